//! Backups and restores that end before they are done.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::load::begun;
use super::{backup, filled_plainly, names, place, restore, shelf};
use crate::copy::scene::{KEY, dump, rows, settings};
use crate::harness::process::{complaint, stdout};
use crate::harness::{Database, PATIENCE};

#[test]
fn a_backup_that_is_killed_leaves_no_file_and_the_next_one_clears_up() {
    let (_source_directory, source, _like_directory, like) = filled_plainly(40_000);
    let (shelf, file) = shelf();
    let (mut child, draft) = begun(&source, &file);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!file.exists() && draft.exists());
    // One of a process that lives is left alone, and so is what is called nearly so.
    let others = [format!("keys.backup.draft-{}", std::process::id()), "keys.backup.draft-x".to_owned()];
    for other in &others {
        std::fs::write(shelf.path().join(other), "").unwrap();
    }
    stdout(&backup(&source, &file).output().unwrap());
    let mut expected = vec!["keys.backup".to_owned()];
    expected.extend(others);
    expected.sort();
    assert_eq!(names(shelf.path()), expected);
    let (_directory, target) = place();
    stdout(&restore(&file, &target).output().unwrap());
    assert_eq!(dump(&target, &like), dump(&source, &like));
}

#[test]
fn a_backup_that_finds_no_room_leaves_nothing() {
    let (_source_directory, source, _like_directory, _like) = filled_plainly(20_000);
    let (shelf, file) = shelf();
    // In blocks of 512 octets; without its signal, what goes beyond fails to be written.
    let limited =
        format!("ulimit -f 2000; trap '' XFSZ; exec {} backup \"$0\"", env!("CARGO_BIN_EXE_hook-keys"));
    let output = Command::new("sh")
        .args(["-c", &limited])
        .arg(&file)
        .env_clear()
        .env("HOOK_KEYS_DATABASE_URL", source.url())
        .env("HOOK_KEYS_MASTER_KEY", KEY)
        .output()
        .unwrap();
    complaint(&output);
    assert_eq!(names(shelf.path()), Vec::<String>::new());
}

/// Whether rows of key sets are being put into the database.
fn is_filled(target: &Database, directory: &Path) -> bool {
    match target {
        Database::Sqlite(path) => {
            assert!(path.starts_with(directory));
            let log = format!("{}-wal", path.display());
            std::fs::metadata(log).is_ok_and(|log| log.len() > 1 << 20)
        }
        Database::Postgres { schema, .. } => {
            let locks = format!(
                "SELECT 'held' AS text FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                 WHERE c.relnamespace = '{schema}'::regnamespace AND c.relname = 'key_sets'
                   AND l.mode = 'RowExclusiveLock'"
            );
            !target.texts(&locks).is_empty()
        }
    }
}

#[test]
fn a_restore_that_is_killed_leaves_no_row_and_the_next_one_succeeds() {
    let (_source_directory, source, _like_directory, like) = filled_plainly(40_000);
    let (_shelf, file) = shelf();
    stdout(&backup(&source, &file).output().unwrap());
    let (directory, target) = place();
    let mut child = restore(&file, &target).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !is_filled(&target, directory.path()) {
        assert!(start.elapsed() < PATIENCE, "it never began");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().code(), None, "it still ran");
    assert_eq!(rows(&target, &like), 0);
    let check = settings(&target).args(["migrate", "--check"]).output().unwrap();
    stdout(&check);
    stdout(&restore(&file, &target).output().unwrap());
    assert_eq!(dump(&target, &like), dump(&source, &like));
}
