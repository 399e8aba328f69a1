//! The files: who may read and replace them.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Findings;
use crate::app;
use crate::config::{DatabaseSettings, MASTER_KEY_VARIABLE, MasterKeySource, Settings};

/// Permission bits that let others than the owner read or write.
const OTHERS: u32 = 0o077;

/// Those that let others make, rename and remove files in a directory, and the one that limits them to their own.
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Looks at where the master key comes from.
pub(super) fn master_key(found: &mut Findings, settings: &Settings, in_data_dir: bool) {
    let about = "master key";
    if let Err(error) = app::master_key(settings) {
        return found.error(about, &error);
    }
    let MasterKeySource::File(path) = &settings.master_key else {
        let what = format!(
            "the variable {MASTER_KEY_VARIABLE}: whoever may read the environment of the process has it"
        );
        return found.risk(about, what, "put it into a file of mode 0600 and name that in master_key_file");
    };
    let shown = path.display();
    let Ok(metadata) = fs::metadata(path) else { return };
    let (mode, owner) = (metadata.mode() & 0o777, metadata.uid());
    let readers = if owner == 0 { "root".to_owned() } else { format!("uid {owner} and root") };
    found.ok(about, format!("the file {shown} of mode {mode:04o}: {readers} may read it"));
    directory(found, about, path);
    if let DatabaseSettings::Sqlite(database) = &settings.database
        && !in_data_dir
        && directory_of(database) == directory_of(path)
    {
        found.risk(
            about,
            format!("{shown} lies beside the database: a copy of the directory opens everything"),
            "move it to a directory of its own and name that in master_key_file",
        );
    }
}

/// Looks at the files of the database and those that give access to it.
pub(super) fn database(found: &mut Findings, settings: &Settings) {
    match &settings.database {
        DatabaseSettings::Sqlite(path) => {
            // Links followed: SQLite makes its other files beside the real one.
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            for end in ["", "-wal", "-shm"] {
                let mut name = real.clone().into_os_string();
                name.push(end);
                private(found, "database", &PathBuf::from(name));
            }
            directory(found, "database", &real);
        }
        DatabaseSettings::Postgres(postgres) => {
            let password = url::Url::parse(&postgres.url).ok().and_then(|url| url.password().map(drop));
            if password.is_some() {
                found.risk(
                    "database",
                    "its password stands in database_url, so in a settings file or an environment",
                    "put it into a file of mode 0600 and name that in postgres.password_file",
                );
            }
            let key = postgres.client.as_ref().map(|(_, key)| key);
            for path in [postgres.password_file.as_ref(), key].into_iter().flatten() {
                private(found, "database", path);
            }
        }
    }
}

/// A file that nobody but its owner should read. One that is missing is told by whoever needs it.
fn private(found: &mut Findings, about: &'static str, path: &Path) {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(metadata) if metadata.mode() & OTHERS != 0 => {
            let mode = metadata.mode() & 0o777;
            let what = format!("{shown} has mode {mode:04o}, so others than its owner may read or change it");
            found.wrong(about, what, format!("chmod 600 {shown}"));
        }
        Ok(metadata) => found.ok(about, format!("{shown} has mode {:04o}", metadata.mode() & 0o777)),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            let mend = format!("namei -l {shown}, which shows the modes on the way there");
            found.wrong(about, format!("{shown} cannot be looked at: {error}"), mend);
        }
    }
}

/// The directory of a file: who may write there may replace it.
pub(super) fn directory(found: &mut Findings, about: &'static str, file: &Path) {
    let Some(directory) = directory_of(file) else { return };
    let Ok(metadata) = fs::metadata(&directory) else { return };
    let mode = metadata.mode();
    if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
        let shown = directory.display();
        let what = format!("others may replace the files in {shown}, which has mode {:04o}", mode & 0o7777);
        found.wrong(about, what, format!("chmod go-w {shown}"));
    }
}

fn directory_of(file: &Path) -> Option<PathBuf> {
    let real = file.canonicalize().or_else(|_| std::path::absolute(file)).ok()?;
    real.parent().map(Path::to_path_buf)
}
