//! `hook-keys copy`: between SQLite files and, where `HOOK_KEYS_TEST_POSTGRES` names one, to and from a PostgreSQL
//! server.

pub mod measure;
mod refusals;
pub mod scene;
pub mod terminal;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use serde_json::{Value, json};

use crate::harness::Database;
use crate::harness::process::{complaint, hook_keys, on, stdout};
use crate::harness::service::Service;
use scene::{Everything, Serving, copy, copy_out, dump, lists, plain, rows, settings};

/// A directory and a database in it, or a schema that is called like it.
fn target() -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::create(directory.path());
    (directory, database)
}

#[tokio::test]
async fn everything_goes_there_and_back_and_works_in_both_places() {
    let service = Service::answering(json!({ "access_token": "t" }));
    let scene = Everything::make(&service.base).await;
    let source = scene.database();
    let serving = Serving::start(&source, &scene.data);
    let shown = lists(&serving.client(&scene.admin)).await;
    drop(serving);
    // Only now: what was shown has left a row.
    let before = dump(&source, &source);

    let (_directory, middle) = target();
    let (back_directory, _) = target();
    let path = back_directory.path().join("back.db");
    let back = Database::Sqlite(path.clone());
    let copied: Value = serde_json::from_str(&stdout(&copy_out(&scene.data, &middle))).unwrap();
    assert_eq!(dump(&middle, &source), before);
    let counted: u64 =
        copied["tables"].as_array().unwrap().iter().map(|table| table["rows"].as_u64().unwrap()).sum();
    assert_eq!((counted, &copied["broken"]), (before.len() as u64, &json!([])));
    assert_eq!(copied["sound"], 3 + 3 + 4, "private halves of hook keys, values of hooks, private keys");

    let table = on(&scene.data, &["copy", "--from", &middle.url(), "--to", &back.url()]);
    let table = stdout(&table);
    assert!(table.starts_with("TABLE         ROWS\norgs          2\n"), "{table}");
    assert!(table.ends_with("\n10 sound, 0 broken\n"), "{table}");
    assert_eq!(dump(&back, &source), before);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!back_directory.path().join("back.db-wal").exists(), "the log was not merged");
    assert_eq!(dump(&source, &source), before, "nothing happens to the source");

    for database in [&middle, &back] {
        let serving = Serving::start(database, &scene.data);
        let acme = serving.client(&scene.admin);
        assert_eq!(lists(&acme).await, shown);
        serving.client(&scene.revoked).get("/api/v1/hook-keys").await.expect(401);
        let calls = service.calls();
        acme.post(&format!("{}/execute", scene.signing), json!({})).await.expect(200);
        assert_eq!(service.calls(), calls + 2, "a token and the call");
        // What is made now comes after what was copied.
        acme.create("new").await;
        assert_eq!(acme.names().await, ["b", "renamed", "new"]);
    }
}

#[test]
fn a_copy_that_is_killed_leaves_no_row_and_the_next_one_succeeds() {
    let (_source_directory, source) = plain(40_000);
    let (_directory, target) = target();
    let Database::Sqlite(path) = &source else { unreachable!() };
    let mut writer = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    for pause in [0, 40, 120] {
        let mut command = copy(&source.url(), &target.url());
        let mut copying = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // While the copy runs nobody else writes to the source: that is how to see that it does.
        let start = Instant::now();
        while writer.batch_execute("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
            assert!(start.elapsed() < Duration::from_secs(60), "it never began");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(pause));
        assert!(writer.batch_execute("BEGIN IMMEDIATE").is_err(), "it still runs");
        copying.kill().unwrap();
        assert_eq!(copying.wait().unwrap().code(), None);
        assert_eq!(rows(&target, &source), 0, "after {pause} ms");
    }
    let copied = stdout(&copy(&source.url(), &target.url()).output().unwrap());
    assert!(copied.contains("key_sets      40000"), "{copied}");
    assert_eq!(dump(&target, &source), dump(&source, &source));
}

#[test]
fn an_interrupt_leaves_no_row_either() {
    let (_source_directory, source) = plain(30_000);
    let (_directory, target) = target();
    let mut copying = copy(&source.url(), &target.url()).stderr(Stdio::null()).spawn().unwrap();
    let Database::Sqlite(path) = &source else { unreachable!() };
    let mut writer = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    while writer.batch_execute("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = rustix::process::Pid::from_child(&copying);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(!copying.wait().unwrap().success());
    assert_eq!(rows(&target, &source), 0);
}

#[test]
fn an_empty_target_of_an_older_version_is_brought_up() {
    let (_source_directory, source) = plain(3);
    let (_directory, target) = target();
    stdout(&settings(&target).arg("migrate").output().unwrap());
    older(&target);
    stdout(&copy(&source.url(), &target.url()).output().unwrap());
    assert_eq!(dump(&target, &source), dump(&source, &source));
}

/// Takes the last migration back.
fn older(database: &Database) {
    database.sql("DROP TABLE audit_events");
    database.sql(
        "DELETE FROM __diesel_schema_migrations
         WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)",
    );
}

#[test]
fn either_end_may_be_the_one_of_the_settings() {
    let (_source_directory, source) = plain(3);
    let (_directory, target) = target();
    let copied = settings(&target).args(["copy", "--from", &source.url()]).output().unwrap();
    stdout(&copied);
    assert_eq!(dump(&target, &source), dump(&source, &source));
}

#[tokio::test]
async fn a_value_that_is_broken_is_copied_and_told() {
    let scene = Everything::make("https://example.com").await;
    let source = scene.database();
    source.sql(
        "UPDATE hook_keys SET private_key = CAST(x'02' || substr(private_key, 2) AS BLOB) WHERE name = 'b'",
    );
    let (_directory, target) = target();
    let output = on(&scene.data, &["copy", "--to", &target.url()]);
    let complaint = complaint(&output);
    assert!(complaint.contains("the target holds all rows, each as it is in the source"), "{complaint}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(": hook_keys.private_key: ") && text.ends_with("\n9 sound, 1 broken\n"), "{text}");
    assert_eq!(dump(&target, &source), dump(&source, &source));
}

#[test]
fn a_text_that_postgresql_cannot_store_is_refused_there_and_copied_elsewhere() {
    let (_source_directory, source) = plain(300);
    source.sql("UPDATE key_sets SET name = 'a' || char(0) || 'b' WHERE seq = 250");
    let (_directory, target) = target();
    let copied = copy(&source.url(), &target.url()).output().unwrap();
    if matches!(target, Database::Sqlite(_)) {
        stdout(&copied);
        assert_eq!(dump(&target, &source), dump(&source, &source));
    } else {
        let refused = complaint(&copied);
        let place =
            "source: key_sets.name of 00000000-0000-4000-8000-000000000250 holds the character U+0000";
        assert!(refused.contains(place), "{refused}");
        assert_eq!(rows(&target, &source), 0);
    }
}

#[test]
fn help_says_to_stop_the_servers_first() {
    let help = stdout(&hook_keys().args(["copy", "--help"]).output().unwrap());
    assert!(help.contains("Stop the servers first"), "{help}");
}
