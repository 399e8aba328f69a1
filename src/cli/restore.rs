//! `hook-keys restore`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::keyring::verify;
use super::progress::Bar;
use super::{Location, block_on, copy, out};
use crate::app::{Base, Parts, master_key};
use crate::config::Settings;
use crate::error::Result;
use crate::service::Archive;
use crate::service::copy::Count;
use crate::service::keyring::Verdict;

#[derive(Args)]
pub(super) struct Restore {
    /// The backup, as `hook-keys backup` made it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Do not open the sealed values of the database. Then the master key is not needed.
    #[arg(long)]
    no_verify: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    location: Location,
}

impl Restore {
    pub(super) fn run(self) -> Result<ExitCode> {
        let settings = self.location.data_layers()?.check()?;
        let (tables, verdict) = block_on(self.put_back(&settings))?;
        copy::print(self.json, &tables, verdict.as_ref())?;
        if verdict.is_none_or(|verdict| verdict.broken.is_empty()) {
            return Ok(ExitCode::SUCCESS);
        }
        out::remark(
            "hook-keys: the database holds all rows, each as it is in the backup, and what is broken there was put back \
             broken",
        );
        Ok(ExitCode::FAILURE)
    }

    async fn put_back(&self, settings: &Settings) -> Result<(Vec<Count>, Option<Verdict>)> {
        let master = if self.no_verify { None } else { Some(Arc::new(master_key(settings)?)) };
        let bar = Bar::new("checking");
        let mut archive = Archive::open(&self.file, &bar.report())?;
        drop(bar);
        if let Some(master) = &master {
            archive.require(master)?;
        }
        let target = Base::open_as_is(settings, Parts::default(), true).await?;
        let bar = Bar::new("restoring");
        let tables = archive.restore(&target.db, &*target.keyring.entropy, &bar.report()).await?;
        drop(bar);
        if master.is_none() {
            return Ok((tables, None));
        }
        match verify(&target.keyring, settings).await {
            Ok(verdict) => Ok((tables, Some(verdict))),
            Err(error) => {
                out::remark(
                    "hook-keys: the database holds all rows of the backup, but its sealed values could not be opened to \
                     the end: `hook-keys keyring verify` does that again",
                );
                Err(error)
            }
        }
    }
}
