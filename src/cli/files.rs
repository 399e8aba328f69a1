//! The files of a data directory.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::app::{Parts, new_master_key};
use crate::config::Layers;
use crate::domain::token::ApiToken;
use crate::error::{Error, Result};

/// A directory that `hook-keys dev` keeps everything in.
pub(super) struct DataDir(PathBuf);

impl DataDir {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Lets the settings use this directory's database and master key.
    pub(super) fn apply(&self, layers: Layers) -> Result<Layers> {
        let text = |path: PathBuf| {
            path.into_os_string()
                .into_string()
                .map_err(|path| Error::setup(format!("the path {} is not valid UTF-8", path.display())))
        };
        layers
            .with_flag("database_url", format!("sqlite:{}", text(self.database())?))?
            .with_flag("master_key_file", text(self.master_key())?)
    }

    /// Makes the directory, for its owner only, and a master key, unless they are there.
    pub(super) fn prepare(&self) -> Result<()> {
        let shown = self.0.display();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .map_err(|error| Error::setup(format!("the data directory {shown} cannot be made: {error}")))?;
        let (path, database) = (self.master_key(), self.database());
        if path.exists() {
            return Ok(());
        }
        if database.exists() {
            return Err(Error::setup(format!(
                "{} is missing, and without it the keys in {} cannot be opened: \
                 put the file back, or start with another --data-dir",
                path.display(),
                database.display()
            )));
        }
        write_private(&path, &new_master_key(&Parts::default())?).map_err(|error| unwritable(&path, &error))
    }

    /// The token that the last start left here.
    pub(super) fn read_token(&self) -> Option<ApiToken> {
        let text = Zeroizing::new(fs::read_to_string(self.token()).ok()?);
        ApiToken::parse(text.trim())
    }

    /// Leaves a token for later starts, in place of an earlier one.
    pub(super) fn write_token(&self, token: &ApiToken) -> Result<()> {
        write_private(&self.token(), token.reveal()).map_err(|error| unwritable(&self.token(), &error))
    }

    fn database(&self) -> PathBuf {
        self.0.join("hook-keys.db")
    }

    fn master_key(&self) -> PathBuf {
        self.0.join("master.key")
    }

    fn token(&self) -> PathBuf {
        self.0.join("admin-token")
    }
}

/// Writes a file that only its owner may read, whole or not at all.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::setup(format!("{} cannot be written: {error}", path.display()))
}
