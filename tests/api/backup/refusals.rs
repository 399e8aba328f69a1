//! What is not backed up and not restored, and what is said about it.

use std::path::Path;

use super::{backup, filled, filled_plainly, names, place, restore, rewrite, shelf, with_key_of};
use crate::copy::scene::{Everything, KEY, dump, settings};
use crate::harness::Database;
use crate::harness::process::{complaint, hook_keys, stdout};

/// Whether there is anything at all in the database.
fn is_untouched(database: &Database) -> bool {
    match database {
        Database::Sqlite(path) => !path.exists(),
        Database::Postgres { schema, .. } => {
            let tables =
                format!("SELECT relname AS text FROM pg_class WHERE relnamespace = '{schema}'::regnamespace");
            database.texts(&tables).is_empty()
        }
    }
}

/// What is said when this file is to be restored, before anything is written.
#[track_caller]
fn refused(file: &Path) -> String {
    let (_directory, target) = place();
    let message = complaint(&restore(file, &target).output().unwrap());
    assert!(is_untouched(&target), "{message}");
    message
}

#[test]
fn a_file_that_is_damaged_or_cut_short_anywhere_is_refused() {
    let (_source_directory, source, _like_directory, _like) = filled_plainly(300);
    let (_shelf, file) = shelf();
    stdout(&backup(&source, &file).output().unwrap());
    let whole = std::fs::read(&file).unwrap();
    let line = whole.len() - 91;
    for at in [24, 200, 4096 + 7, whole.len() / 2, line - 1, whole.len() - 30] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&file, bytes).unwrap();
        let message = refused(&file);
        assert!(message.contains("keys.backup: it is damaged"), "at {at}: {message}");
    }
    for length in [line, whole.len() - 1, line - 4096, whole.len() / 2, 100] {
        std::fs::write(&file, &whole[..length]).unwrap();
        let message = refused(&file);
        assert!(message.contains("keys.backup: it was cut short"), "{length} octets: {message}");
    }
    for length in [60, 16, 0] {
        std::fs::write(&file, &whole[..length]).unwrap();
        let message = refused(&file);
        assert!(message.contains("keys.backup: it is no backup of hook-keys"), "{length} octets: {message}");
    }
    let longer = [&whole[..], b"\n"].concat();
    std::fs::write(&file, longer).unwrap();
    assert!(refused(&file).contains("written to after it was made"));
    std::fs::write(&file, whole).unwrap();
    let (_directory, target) = place();
    stdout(&restore(&file, &target).output().unwrap());
}

#[test]
fn what_is_no_backup_or_one_of_a_newer_version_is_refused() {
    let (_source_directory, source, _like_directory, like) = filled_plainly(3);
    let (_shelf, file) = shelf();
    let missing = refused(&file);
    assert!(missing.contains("keys.backup: it cannot be read: No such file"), "{missing}");
    let Database::Sqlite(database) = &like else { unreachable!() };
    let message = refused(database);
    assert!(
        message.contains("it is no backup of hook-keys") && message.contains("`hook-keys copy`"),
        "{message}"
    );

    stdout(&backup(&source, &file).output().unwrap());
    let bytes = std::fs::read(&file).unwrap();
    let text = bytes.len() - 91;
    assert_eq!(&bytes[text..text + 26], b"hook-keys backup 1 sha256 ");
    let mut newer = bytes.clone();
    newer[text + 17] = b'2';
    std::fs::write(&file, newer).unwrap();
    let message = refused(&file);
    assert!(
        message.contains("it has format 2") && message.contains("with the version that made it"),
        "{message}"
    );

    std::fs::write(&file, bytes).unwrap();
    rewrite(&file, &["INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000001')"]);
    let message = refused(&file);
    assert!(message.contains("a newer hook-keys (it has migration 99991231000001"), "{message}");
}

#[tokio::test]
async fn another_master_key_is_told_before_anything_is_written() {
    let scene = Everything::make("https://example.com").await;
    let (_source_directory, source) = filled(&scene);
    let (shelf, file) = shelf();
    let told = complaint(&backup(&source, &file).output().unwrap());
    assert!(told.contains("master key"), "{told}");
    assert_eq!(names(shelf.path()), Vec::<String>::new());
    stdout(&with_key_of(&source, &scene.data).arg("backup").arg(&file).output().unwrap());
    let told = refused(&file);
    assert!(told.contains("master key") && told.contains("keys.backup"), "{told}");
    let (_directory, target) = place();
    let mut keyless = hook_keys();
    let keyless =
        keyless.env("HOOK_KEYS_DATABASE_URL", target.url()).arg("restore").arg(&file).output().unwrap();
    assert!(complaint(&keyless).contains("there is no master key"));
    assert!(is_untouched(&target));
}

#[test]
fn nothing_is_overwritten() {
    let (_source_directory, source, _like_directory, _like) = filled_plainly(3);
    let (shelf, file) = shelf();
    let refused = |file: &Path| {
        let message = complaint(&backup(&source, file).output().unwrap());
        assert!(message.contains("already, and a backup never overwrites"), "{message}");
    };
    std::fs::write(&file, "something").unwrap();
    refused(&file);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "something");
    let link = shelf.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    refused(&link);
    refused(shelf.path());
    assert_eq!(names(shelf.path()), ["keys.backup", "link"]);
    let dash = complaint(&backup(&source, Path::new("-")).output().unwrap());
    assert!(dash.contains("not written to standard output"), "{dash}");
    let nowhere = complaint(&backup(&source, &shelf.path().join("none/x")).output().unwrap());
    assert!(nowhere.contains("cannot be written to") && nowhere.contains("none/x"), "{nowhere}");
}

#[test]
fn a_database_that_holds_anything_is_refused_and_left_alone() {
    let (_source_directory, source, _like_directory, like) = filled_plainly(3);
    let (_shelf, file) = shelf();
    stdout(&backup(&source, &file).output().unwrap());
    let before = dump(&source, &like);
    let message = complaint(&restore(&file, &source).output().unwrap());
    assert!(
        message.contains("target: it holds rows already (1 in orgs, 3 in key_sets, 1 in audit_events)"),
        "{message}"
    );
    assert!(message.contains("name an empty database"), "{message}");
    assert_eq!(dump(&source, &like), before);
}

#[test]
fn a_backup_is_no_database_to_work_on() {
    let (_source_directory, source, _like_directory, _like) = filled_plainly(3);
    let (shelf, file) = shelf();
    stdout(&backup(&source, &file).output().unwrap());
    let bytes = std::fs::read(&file).unwrap();
    let as_database = Database::Sqlite(file.clone());
    let serve = ["serve", "--listen", "127.0.0.1:0", "--pool-size", "0"];
    let path = file.to_str().unwrap();
    // The server comes last: one that starts all the same would be waited for without end.
    for command in [&["migrate"][..], &["org", "list"], &["keyring", "verify"], &["restore", path], &serve] {
        let message = complaint(&settings(&as_database).args(command).output().unwrap());
        assert!(message.contains("the database is a backup"), "{command:?} gave {message}");
        assert!(message.contains("`hook-keys restore FILE`"), "{command:?} gave {message}");
    }
    let (_directory, target) = place();
    let mut copy = hook_keys();
    copy.env("HOOK_KEYS_MASTER_KEY", KEY).args(["copy", "--from", &as_database.url(), "--to", &target.url()]);
    assert!(complaint(&copy.output().unwrap()).contains("source: the database is a backup"));
    assert_eq!((names(shelf.path()), std::fs::read(&file).unwrap()), (vec!["keys.backup".to_owned()], bytes));
}
