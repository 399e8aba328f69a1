//! The files of a data directory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::app::{Parts, new_master_key};
use crate::config::Layers;
use crate::domain::token::ApiToken;
use crate::error::{Error, Result};
use crate::store::migrate;

/// The extension of a file that is not finished; the number of the process that writes it follows.
const DRAFT: &str = "draft-";

/// A directory that `hook-keys dev` keeps everything in.
pub(super) struct DataDir(PathBuf);

impl DataDir {
    pub(super) fn new(path: &Path) -> Self {
        // Without doubled slashes: two at the front of a database's path are refused, as the mark of a URL.
        Self(path.components().collect())
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

    /// Makes the directory, for its owner only, and a master key, unless they are there. Until the lock that
    /// it returns is dropped, every other start on this directory waits here.
    pub(super) fn prepare(&self) -> Result<StartLock> {
        let shown = self.0.display();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .map_err(|error| Error::setup(format!("the data directory {shown} cannot be made: {error}")))?;
        let lock = StartLock::take(&self.0.join("start.lock"))?;
        // Before a draft of this start can be among them.
        remove_drafts(&self.0, &["master", "admin-token"])
            .map_err(|error| Error::setup(format!("{shown} cannot be cleared of drafts: {error}")))?;
        self.make_master_key()?;
        Ok(lock)
    }

    fn make_master_key(&self) -> Result<()> {
        let (path, database) = (self.master_key(), self.database());
        // Not `exists`, which also says no to a link whose target is not mounted.
        match fs::symlink_metadata(&path) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Error::setup(format!("{} cannot be looked at: {error}", path.display())));
            }
        }
        if database.exists() && migrate::holds_keyring(&database)? {
            return Err(Error::setup(format!(
                "{} is missing, and without it the keys in {} cannot be opened: \
                 put the file back, or start with another --data-dir",
                path.display(),
                database.display()
            )));
        }
        publish(&path, &new_master_key(&Parts::default())?, keep).map_err(|error| unwritable(&path, &error))
    }

    /// The token that the last start left here.
    pub(super) fn read_token(&self) -> Option<ApiToken> {
        let text = Zeroizing::new(fs::read_to_string(self.token()).ok()?);
        ApiToken::parse(text.trim())
    }

    /// Leaves a token for later starts, in place of an earlier one.
    pub(super) fn write_token(&self, token: &ApiToken) -> Result<()> {
        let path = self.token();
        publish(&path, token.reveal(), replace).map_err(|error| unwritable(&path, &error))
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

/// Held while one process starts: two that make a master key, an org or a token at once would each make one.
/// The system frees it when the process ends, however it ends.
pub(super) struct StartLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl StartLock {
    fn take(path: &Path) -> Result<Self> {
        let opened = private().create(true).truncate(false).open(path);
        let locked = opened.and_then(|file| file.lock().map(|()| Self(file)));
        locked.map_err(|error| Error::setup(format!("{} cannot be locked: {error}", path.display())))
    }
}

/// Makes a file with a new master key, unless there is a file already.
pub(super) fn make_master_key_file(path: &Path) -> Result<()> {
    let make = || {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            found => return found.map(drop),
        }
        if let (Some(directory), Some(stem)) = (path.parent(), path.file_stem().and_then(OsStr::to_str)) {
            remove_drafts(directory, &[stem])?;
        }
        let text = new_master_key(&Parts::default()).map_err(io::Error::other)?;
        publish(path, &text, keep)
    };
    make().map_err(|error| unwritable(path, &error))
}

/// Removes what processes that were killed left half done: a draft may hold a secret.
fn remove_drafts(directory: &Path, stems: &[&str]) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let file = name.to_str().and_then(|name| name.rsplit_once('.'));
        let process = file.filter(|(stem, _)| stems.contains(stem));
        let process = process.and_then(|(_, extension)| extension.strip_prefix(DRAFT));
        if process.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Makes a file that only its owner may read, whole or not at all, also when the power fails. `publish` gives
/// the finished draft its name.
fn publish(path: &Path, text: &str, publish: fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    let draft = path.with_extension(format!("{DRAFT}{}", std::process::id()));
    let written = private()
        .create_new(true)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        })
        .and_then(|()| publish(&draft, path));
    // A draft that was renamed is gone already.
    let _ = fs::remove_file(&draft);
    written?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// For a file that must never be lost: one that is there already stays.
fn keep(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

/// For a file of which only the newest counts.
fn replace(draft: &Path, path: &Path) -> io::Result<()> {
    fs::rename(draft, path)
}

fn private() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::setup(format!("{} cannot be written: {error}", path.display()))
}
