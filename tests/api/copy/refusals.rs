//! What is not copied, and what is said about it.

use super::scene::{Everything, KEY, copy, copy_out, dump, plain, rows, settings};
use super::{older, target};
use crate::harness::Database;
use crate::harness::process::{complaint, hook_keys, on, stdout};

fn refused(from: &str, to: &str) -> String {
    complaint(&copy(from, to).output().unwrap())
}

#[test]
fn a_target_that_holds_anything_is_refused_and_left_alone() {
    let (_source_directory, source) = plain(3);
    let (_directory, target) = target();
    stdout(&settings(&target).arg("migrate").output().unwrap());
    stdout(&settings(&target).args(["org", "create", "other"]).output().unwrap());
    let before = dump(&target, &source);
    let message = refused(&source.url(), &target.url());
    assert!(message.contains("target: it holds rows already (1 in orgs, 1 in audit_events)"), "{message}");
    assert!(message.contains("name an empty database"), "{message}");
    assert_eq!(dump(&target, &source), before);

    // One of an older version is not brought up for nothing.
    older(&target);
    let message = refused(&source.url(), &target.url());
    assert!(message.contains("(1 in orgs)"), "{message}");
    let check = settings(&target).args(["migrate", "--check"]).output().unwrap();
    assert!(complaint(&check).contains("1 migration(s) pending"));
}

#[test]
fn a_copy_is_not_repeated() {
    let (_source_directory, source) = plain(3);
    let (_directory, target) = target();
    stdout(&copy(&source.url(), &target.url()).output().unwrap());
    let message = refused(&source.url(), &target.url());
    assert!(message.contains("(1 in orgs, 3 in key_sets, 1 in audit_events)"), "{message}");
}

#[test]
fn one_database_under_two_names_is_refused() {
    let (directory, source) = plain(0);
    let Database::Sqlite(path) = &source else { unreachable!() };
    let [soft, hard] = ["soft.db", "hard.db"].map(|name| directory.path().join(name));
    std::os::unix::fs::symlink(path, &soft).unwrap();
    std::fs::hard_link(path, &hard).unwrap();
    let dotted = format!("sqlite:{}/./source.db", directory.path().display());
    let named = [soft, hard].map(|path| format!("sqlite:{}", path.display()));
    for other in [&source.url(), &dotted, &named[0], &named[1]] {
        let message = refused(&source.url(), other);
        assert!(message.contains("source and target are the same database"), "{other} gave {message}");
    }

    let (_directory, database) = target();
    if let Database::Postgres { .. } = database {
        stdout(&settings(&database).arg("migrate").output().unwrap());
        let other = database.url().replace("127.0.0.1", "localhost");
        for other in [database.url(), other] {
            let message = refused(&database.url(), &other);
            assert!(message.contains("source and target are the same database"), "{other} gave {message}");
        }
        // Another schema of the same database is another place.
        let (_directory, elsewhere) = target();
        stdout(&copy(&database.url(), &elsewhere.url()).output().unwrap());
    }
}

#[tokio::test]
async fn another_master_key_is_refused_before_anything_is_made() {
    let scene = Everything::make("https://example.com").await;
    let target = Database::Sqlite(scene.data.join("target.db"));
    let message = refused(&scene.database().url(), &target.url());
    assert!(message.contains("source: this master key does not open term 1"), "{message}");
    assert!(!message.contains(KEY), "{message}");
    let mut without = copy(&scene.database().url(), &target.url());
    let without = complaint(&without.env_remove("HOOK_KEYS_MASTER_KEY").output().unwrap());
    assert!(without.contains("there is no master key"), "{without}");
    scene.database().sql("DELETE FROM keyring");
    let message = complaint(&copy_out(&scene.data, &target));
    assert!(message.contains("source: ") && message.contains("its keyring is gone"), "{message}");
    assert!(!scene.data.join("target.db").exists());
}

#[test]
fn a_source_that_is_missing_or_of_another_version_is_refused() {
    let (directory, source) = plain(0);
    let (_directory, target) = target();
    let nowhere = format!("sqlite:{}/none.db", directory.path().display());
    let message = refused(&nowhere, &target.url());
    assert!(message.contains("source: there is no database at"), "{message}");
    assert!(!directory.path().join("none.db").exists());
    let text = directory.path().join("text.db");
    std::fs::write(&text, "no database, but long enough to look at".repeat(100)).unwrap();
    let message = refused(&format!("sqlite:{}", text.display()), &target.url());
    assert!(message.contains("source: the database") && message.contains("cannot be opened"), "{message}");

    older(&source);
    let message = refused(&source.url(), &target.url());
    assert!(
        message.contains("source: the database lacks 1 migration(s): run `hook-keys migrate`"),
        "{message}"
    );
    stdout(&settings(&source).arg("migrate").output().unwrap());
    source.sql("INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')");
    let message = refused(&source.url(), &target.url());
    assert!(message.contains("source: the database was migrated by a newer hook-keys"), "{message}");
}

#[test]
fn a_target_that_is_not_ours_or_newer_is_refused_and_left_alone() {
    let (_source_directory, source) = plain(3);
    let (_directory, target) = target();
    target.sql("CREATE TABLE others (id INTEGER)");
    let message = refused(&source.url(), &target.url());
    assert!(message.contains("target: the database belongs to another program"), "{message}");
    target.sql("DROP TABLE others");
    stdout(&settings(&target).arg("migrate").output().unwrap());
    target.sql("INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')");
    target.sql("UPDATE schema_floor SET version = '99991231000000'");
    let message = refused(&source.url(), &target.url());
    assert!(message.contains("target: the database was migrated by a newer hook-keys"), "{message}");
    assert_eq!(rows(&target, &source), 0);
}

#[test]
fn what_cannot_be_read_or_reached_is_told_by_its_side_and_without_the_password() {
    let (_directory, source) = plain(0);
    for (url, part) in [
        ("mysql://u:s3cret@127.0.0.1/x", "target: database_url: use `sqlite:` and the path of a file"),
        ("sqlite://x", "target: database_url: use `sqlite:`"),
        ("postgres://u:s3cret@127.0.0.1:port/x", "target: database_url: use postgres://"),
        ("postgres://u:s3cret@127.0.0.1:1/x", "target: PostgreSQL at 127.0.0.1"),
        ("sqlite:/nowhere/at/all/x.db", "target: the database /nowhere/at/all/x.db cannot be opened"),
    ] {
        let message = refused(&source.url(), url);
        assert!(message.contains(part) && !message.contains("s3cret"), "{url} gave {message}");
        if !url.starts_with("sqlite:/nowhere") {
            let message = refused(url, &source.url());
            let part = part.replace("target: ", "source: ");
            assert!(message.contains(&part) && !message.contains("s3cret"), "{url} gave {message}");
        }
    }
}

#[test]
fn what_was_left_out_is_asked_for() {
    let nothing = hook_keys().arg("copy").output().unwrap();
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
    let half = complaint(&hook_keys().args(["copy", "--to", "sqlite:x.db"]).output().unwrap());
    assert!(half.contains("say where the data is"), "{half}");
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let missing = complaint(&on(&data, &["copy", "--to", "sqlite:x.db"]));
    assert!(missing.contains("master.key"), "{missing}");
}
