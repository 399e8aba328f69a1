//! `hook-keys keyring master`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};

use crate::app::{Base, Parts, Purpose, master_key, master_key_in};
use crate::cli::files::make_master_key_file;
use crate::cli::progress::spin;
use crate::cli::{Location, block_on, out};
use crate::config::{MASTER_KEY_VARIABLE, MasterKeySource, Settings};
use crate::error::{Error, Result};
use crate::service::keyring::MasterRotation;

#[derive(Subcommand)]
pub(in crate::cli) enum Master {
    /// Wrap the keyring with a new master key. Servers that run go on.
    ///
    /// The new key is on the disk before the keyring is changed, and the keyring is changed as a whole: ended at any
    /// moment, the command leaves a database that opens with the old key or with the new one. Run again, it does what
    /// is left and says which.
    Rotate(Rotate),
}

#[derive(Args)]
pub(in crate::cli) struct Rotate {
    /// Where the new master key goes: a file that is made, or one that holds a master key already.
    #[arg(long, value_name = "PATH")]
    new_file: PathBuf,
    #[command(flatten)]
    location: Location,
}

impl Master {
    pub(in crate::cli) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Rotate(command) => command.run(),
        }
    }
}

impl Rotate {
    fn run(self) -> Result<ExitCode> {
        let settings = self.location.data_layers()?.check()?;
        let path = std::path::absolute(&self.new_file)
            .map_err(|error| Error::setup(format!("--new-file: {}: {error}", self.new_file.display())))?;
        let old = Arc::new(master_key(&settings)?);
        let source = source(&settings);
        refuse_same_file(&settings, &path)?;
        let rotation = block_on(async {
            // Before a file is made for nothing.
            let base = Base::open(&settings, Parts::default(), Purpose::Command).await?;
            make_master_key_file(&path)?;
            // From the disk, as the next start will read it.
            let new = Arc::new(master_key_in(&path)?);
            let rotated = spin("wrapping", base.keyring.rotate_master(&old, &new)).await;
            if rotated.as_ref().is_err_and(|error| error.private().is_some()) {
                out::remark(format!(
                    "the keyring opens with the master key in {source} or with the one in {}: keep both, and run \
                     this command again, which says with which",
                    path.display()
                ));
            }
            rotated
        })?;
        let shown = path.display();
        out::line(match rotation {
            MasterRotation::Done(terms) => {
                format!(
                    "{terms} term(s) open with the master key in {shown}, and no more with the one in {source}"
                )
            }
            MasterRotation::DoneBefore => format!(
                "nothing to do: the keyring opens with the master key in {shown} already, and not with the one in \
                 {source}"
            ),
        })?;
        out::remark(self.next(&settings, &path));
        out::remark(format!(
            "keep the master key in {source}, away from the database, for as long as you keep backups from before"
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// What the operator has to do now.
    fn next(&self, settings: &Settings, path: &Path) -> String {
        let shown = path.display();
        match &settings.master_key {
            MasterKeySource::File(old) if self.location.data_dir.is_some() => {
                format!("before the next start: cp -p {0} {0}.old && mv {shown} {0}", old.display())
            }
            MasterKeySource::Variable(_) => format!(
                "before the next start: put the text of {shown} into {MASTER_KEY_VARIABLE}, or unset that variable \
                 and set master_key_file = \"{shown}\""
            ),
            _ => format!("before the next start: set master_key_file = \"{shown}\", on every node"),
        }
    }
}

/// Where the settings have the master key.
fn source(settings: &Settings) -> String {
    match &settings.master_key {
        MasterKeySource::File(path) => path.display().to_string(),
        _ => format!("the variable {MASTER_KEY_VARIABLE}"),
    }
}

fn refuse_same_file(settings: &Settings, new: &Path) -> Result<()> {
    let MasterKeySource::File(old) = &settings.master_key else { return Ok(()) };
    let real = |path: &Path| path.canonicalize().ok();
    if real(new).is_none() || real(new) != real(old) {
        return Ok(());
    }
    Err(Error::setup(format!(
        "--new-file: {} is the file of the master key that is in use: name a file that does not exist yet",
        new.display()
    )))
}
