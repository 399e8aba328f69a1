//! The file of a backup: a SQLite database, and behind it one line with the digest of all before.
//!
//! SQLite counts the pages that its header names, and leaves the line alone. Whoever writes to the database changes the
//! header, and the digest is wrong from then on.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Report;
use crate::crypto::digest::Sha256;
use crate::error::{Error, Result};
use crate::store::backup::{self, APPLICATION};

/// What comes before the number of the format.
const LINE: &str = "hook-keys backup ";

/// What comes between that number and the digest, 64 digits in base 16.
const DIGEST: &str = " sha256 ";

/// The format that this version writes and reads.
const FORMAT: &str = "1";

/// How long the line is, with its end.
const LENGTH: usize = LINE.len() + FORMAT.len() + DIGEST.len() + 64 + 1;

/// The first octets of every SQLite database.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// Where SQLite has the number that says whose database it is.
const APPLICATION_AT: usize = 68;

/// What is read at once.
const PIECE: usize = 1 << 16;

/// The extension of a file that is not finished; the number of the process that writes it follows.
const DRAFT: &str = "draft-";

/// What SQLite may keep beside a database.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// A backup that is being written, beside where it will be. It is removed when dropped.
pub struct Draft {
    file: PathBuf,
    path: PathBuf,
}

impl Draft {
    /// Makes an empty file, which only its owner may read. Refused when there is already something at `file`. Drafts
    /// that killed processes have left for the same file are removed.
    pub fn begin(file: &Path) -> Result<Self> {
        // Without doubled slashes: two at the front of a database's path are refused, as the mark of a URL.
        let file: PathBuf = file.components().collect();
        let unwritable = |error: &io::Error| {
            Error::setup(format!("a backup cannot be written to {}: {error}", file.display()))
        };
        if file == Path::new("-") {
            return Err(Error::setup(
                "a backup is not written to standard output, where nobody could tell whether it arrived: name a file",
            ));
        }
        let Some(name) = file.file_name() else {
            return Err(Error::setup(format!("{} is no name for a file", file.display())));
        };
        match fs::symlink_metadata(&file) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(unwritable(&error)),
            Ok(_) => return Err(taken(&file)),
        }
        remove_drafts(&file, name).map_err(|error| unwritable(&error))?;
        let path = file.with_file_name(draft_of(name, &std::process::id().to_string()));
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(|error| unwritable(&error))?;
        Ok(Self { file, path })
    }

    /// The draft as the setting `database_url` names it.
    pub fn url(&self) -> Result<String> {
        let unnamed = || Error::setup(format!("the path {} is not valid UTF-8", self.file.display()));
        let path = std::path::absolute(&self.path).map_err(|_| unnamed())?;
        Ok(format!("sqlite:{}", path.to_str().ok_or_else(unnamed)?))
    }

    /// Makes the database, which nobody has open any more, a backup, and gives it its name. Returns its size.
    pub fn publish(self) -> Result<u64> {
        backup::finish(&self.path)?;
        let size = seal(&self.path).and_then(|size| {
            name(&self.path, &self.file)?;
            let directory = self.file.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
            Ok(size)
        });
        size.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => taken(&self.file),
            _ => Error::setup(format!("the backup {} cannot be finished: {error}", self.file.display())),
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        for end in BESIDE {
            let _ = fs::remove_file(with_end(&self.path, end));
        }
    }
}

fn taken(file: &Path) -> Error {
    Error::setup(format!(
        "there is something at {} already, and a backup never overwrites: name a file that does not exist yet",
        file.display()
    ))
}

fn draft_of(name: &std::ffi::OsStr, process: &str) -> OsString {
    let mut draft = name.to_owned();
    draft.push(format!(".{DRAFT}{process}"));
    draft
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

/// Removes what processes that are no more left half done.
fn remove_drafts(file: &Path, name: &std::ffi::OsStr) -> io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let start = draft_of(name, "");
    for entry in fs::read_dir(directory.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let found = entry.file_name();
        let Some(rest) = found.as_encoded_bytes().strip_prefix(start.as_encoded_bytes()) else { continue };
        let rest = std::str::from_utf8(rest).unwrap_or_default();
        let number = BESIDE.iter().rev().find_map(|end| rest.strip_suffix(end)).unwrap_or_default();
        if number.parse().is_ok_and(|number: i32| !is_alive(number)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether there is another process with this number.
fn is_alive(number: i32) -> bool {
    let Some(pid) = rustix::process::Pid::from_raw(number) else { return true };
    pid != rustix::process::getpid()
        && rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

/// Adds the line, and lets the file reach the disk.
fn seal(path: &Path) -> io::Result<u64> {
    let mut file = OpenOptions::new().read(true).append(true).open(path)?;
    let size = file.metadata()?.len();
    let digest = digest(&mut file, size, &mut |_| {})?;
    writeln!(file, "{LINE}{FORMAT}{DIGEST}{digest}")?;
    file.sync_all()?;
    Ok(size + LENGTH as u64)
}

/// Gives a finished draft its name, unless something has it.
fn name(draft: &Path, file: &Path) -> io::Result<()> {
    match fs::hard_link(draft, file) {
        Ok(()) => fs::remove_file(draft),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
        // Not every file system has links.
        Err(_) if fs::symlink_metadata(file).is_ok() => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(draft, file),
    }
}

/// SHA-256 of the first `size` octets, in base 16. `done` is told of each piece how long it is.
fn digest(file: &mut File, size: u64, done: &mut dyn FnMut(u64)) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut left = file.take(size);
    let (mut piece, mut digest) = (vec![0; PIECE], Sha256::default());
    loop {
        let length = left.read(&mut piece)?;
        if length == 0 {
            break;
        }
        digest.update(piece.get(..length).unwrap_or_default());
        done(length as u64);
    }
    Ok(digest.finish().map(|octet| format!("{octet:02x}")).concat())
}

/// Refuses a file that is no backup, or not as it was written.
pub(super) fn check(path: &Path, report: &Report) -> Result<()> {
    let unreadable = |error: io::Error| Error::setup(format!("it cannot be read: {error}"));
    let mut file = File::open(path).map_err(unreadable)?;
    let mut head = [0; 100];
    let headed = file.read_exact(&mut head);
    if headed.as_ref().is_err_and(|error| error.kind() != ErrorKind::UnexpectedEof) {
        headed.map_err(unreadable)?;
    }
    let mark = head.get(APPLICATION_AT..APPLICATION_AT + 4);
    if !head.starts_with(SQLITE) || mark.is_none_or(|mark| mark != APPLICATION.to_be_bytes()) {
        return Err(Error::setup(
            "it is no backup of hook-keys: `hook-keys backup FILE` makes one, and `hook-keys copy` takes a database",
        ));
    }
    let length = file.metadata().map_err(unreadable)?.len();
    let size = length.saturating_sub(LENGTH as u64);
    let mut line = String::new();
    file.seek(SeekFrom::Start(size)).map_err(unreadable)?;
    // What is no text is no such line either.
    let _ = file.read_to_string(&mut line);
    let parts = line.strip_prefix(LINE).and_then(|rest| rest.split_once(DIGEST));
    let Some((format, expected)) = parts.and_then(|(format, rest)| Some((format, rest.strip_suffix('\n')?)))
    else {
        return Err(Error::setup(
            "it was cut short, or written to after it was made: its last line is not the one that a backup ends \
             with; use another copy of it",
        ));
    };
    if format != FORMAT {
        return Err(Error::setup(format!(
            "it has format {format}, and this version reads format {FORMAT}: restore it with the version that made it"
        )));
    }
    let mut done = 0;
    let found = digest(&mut file, size, &mut |length| {
        done += length;
        report(done, size);
    });
    if found.map_err(unreadable)? == expected {
        return Ok(());
    }
    Err(Error::setup("it is damaged: its octets are not those that were written; use another copy of it"))
}
