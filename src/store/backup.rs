//! Backups as files: SQLite databases that nothing is written to any more, marked as what they are.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sql_types::Integer;

use super::conn::{self, Conn};
use super::migrate::{self, Difference};
use crate::error::{Error, Result};

/// SQLite's `application_id` of a backup, in octets 68 to 71 of the file: the letters HKBK.
pub const APPLICATION: i32 = 0x484b_424b;

#[derive(QueryableByName)]
struct Mark {
    #[diesel(sql_type = Integer)]
    application_id: i32,
}

/// Makes a database that nobody has open a backup: one file, whole by itself.
pub fn finish(path: &Path) -> Result<()> {
    conn::finish_file(path, APPLICATION)
}

/// A connection that reads a backup, at this version's schema. One of an older version is copied first, to where
/// temporary files are, and the copy brought up; it is gone with the connection.
pub fn open(path: &Path) -> Result<Conn> {
    let mut conn = conn::open_unchanging(path)?;
    let Difference { missing, newer } = migrate::compare(&mut conn)?;
    if let Some(newer) = newer {
        let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        return Err(Error::setup(format!(
            "it was made by a newer hook-keys (it has migration {newer}, which {name} {version} does not know): restore \
             it with that version"
        )));
    }
    if missing.is_empty() {
        return Ok(conn);
    }
    let scratch = Scratch::copy_of(path)?;
    let mut conn = conn::open_scratch(&scratch.0)?;
    migrate::bring_up(&mut conn)?;
    Ok(Conn::Sqlite(conn))
}

/// Whether a database is a backup.
pub(super) fn is_marked(conn: &mut Conn) -> Result<bool> {
    let Conn::Sqlite(conn) = conn else { return Ok(false) };
    let mark: Mark = diesel::sql_query("PRAGMA application_id").get_result(conn)?;
    Ok(mark.application_id == APPLICATION)
}

/// A file that loses its name when this is dropped. Who has it open keeps it.
struct Scratch(PathBuf);

impl Scratch {
    fn copy_of(path: &Path) -> Result<Self> {
        let name = format!("{}-restore-{}", env!("CARGO_PKG_NAME"), std::process::id());
        let scratch = std::env::temp_dir().join(name);
        let failed = |error: std::io::Error| {
            Error::setup(format!(
                "it is of an older version, so a copy must be brought up first, but {} cannot be written: {error}; \
                 another directory can be named in the variable TMPDIR",
                scratch.display()
            ))
        };
        let mut options = fs::OpenOptions::new();
        let mut copy = options.write(true).create_new(true).mode(0o600).open(&scratch).map_err(failed)?;
        let made = Self(scratch.clone());
        let copied = fs::File::open(path).and_then(|mut from| std::io::copy(&mut from, &mut copy));
        copied.map_err(failed)?;
        Ok(made)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
