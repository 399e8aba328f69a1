//! `hook-keys backup` and `hook-keys restore`, on either database and from one to the other.

mod ended;
mod load;
mod nodes;
mod refusals;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hook_keys::crypto::digest::sha256;
use serde_json::{Value, json};

use crate::copy::scene::{Everything, KEY, Serving, copy_out, dump, lists, plain, rows, settings};
use crate::copy::terminal::{HIDE, on_a_terminal};
use crate::harness::Database;
use crate::harness::database::{sql, texts};
use crate::harness::process::{complaint, hook_keys, stdout};
use crate::harness::service::Service;

/// An empty place: a directory and a database in it, or a schema that is called like it.
fn place() -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::create(directory.path());
    (directory, database)
}

/// A directory for files, and the path of a backup in it that is not there yet.
fn shelf() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys.backup");
    (directory, file)
}

/// The names of what is in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A command on a database with the master key of a data directory.
fn with_key_of(database: &Database, data: &Path) -> Command {
    let mut command = hook_keys();
    command
        .env("HOOK_KEYS_DATABASE_URL", database.url())
        .env("HOOK_KEYS_MASTER_KEY_FILE", data.join("master.key"));
    command
}

/// A database of the kind under test with all that there is, as a scene has it.
fn filled(scene: &Everything) -> (tempfile::TempDir, Database) {
    let (directory, database) = place();
    copy_out(&scene.data, &database);
    (directory, database)
}

/// The same with rows that nobody sealed, under [`KEY`]; and a SQLite file with the same tables.
fn filled_plainly(rows: u32) -> (tempfile::TempDir, Database, tempfile::TempDir, Database) {
    let (like_directory, like) = plain(rows);
    let (directory, database) = place();
    let mut copy = hook_keys();
    copy.env("HOOK_KEYS_MASTER_KEY", KEY).args(["copy", "--from", &like.url(), "--to", &database.url()]);
    stdout(&copy.output().unwrap());
    (directory, database, like_directory, like)
}

fn backup(database: &Database, file: &Path) -> Command {
    let mut command = settings(database);
    command.arg("backup").arg(file);
    command
}

fn restore(file: &Path, database: &Database) -> Command {
    let mut command = settings(database);
    command.arg("restore").arg(file);
    command
}

/// Changes the database in a backup, and puts the line behind it that such a backup would have.
fn rewrite(file: &Path, statements: &[&str]) {
    let bytes = std::fs::read(file).unwrap();
    let line = bytes.windows(17).rposition(|part| part == b"hook-keys backup ").unwrap();
    std::fs::write(file, &bytes[..line]).unwrap();
    for statement in statements {
        sql(file, statement);
    }
    let mut bytes = std::fs::read(file).unwrap();
    let digest = sha256(&bytes).map(|byte| format!("{byte:02x}")).concat();
    bytes.extend(format!("hook-keys backup 1 sha256 {digest}\n").into_bytes());
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn everything_comes_back_on_either_database_and_works_there() {
    let service = Service::answering(json!({ "access_token": "t" }));
    let scene = Everything::make(&service.base).await;
    let like = scene.database();
    let (_source_directory, source) = filled(&scene);
    let serving = Serving::start(&source, &scene.data);
    let shown = everything_shown(&serving, &scene).await;
    drop(serving);
    // Only now: what was shown has left a row.
    let before = dump(&source, &like);
    assert!(before.iter().any(|row| row.contains(&hex("elsewhere"))), "the key of another org");

    let (shelf, file) = shelf();
    let made = with_key_of(&source, &scene.data).args(["backup", "--json"]).arg(&file).output().unwrap();
    let made: Value = serde_json::from_str(&stdout(&made)).unwrap();
    assert_eq!(
        (count(&made), &made["sound"], &made["broken"]),
        (before.len() as u64, &json!(10), &json!([]))
    );
    assert_eq!(names(shelf.path()), ["keys.backup"], "nothing beside it");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(dump(&source, &like), before, "nothing happens to the source");
    // Any program that reads SQLite reads it.
    assert_eq!(texts(&file, "SELECT integrity_check AS text FROM pragma_integrity_check"), ["ok"]);
    let kept = std::fs::read(&file).unwrap();
    assert_eq!(kept[18..20], [1, 1], "no log is needed");

    let (_directory, same_kind) = place();
    let lite_directory = tempfile::tempdir().unwrap();
    let lite = Database::Sqlite(lite_directory.path().join("restored.db"));
    for (target, words) in [(&same_kind, &["restore"][..]), (&lite, &["restore", "--json"])] {
        let restored = stdout(&with_key_of(target, &scene.data).args(words).arg(&file).output().unwrap());
        match serde_json::from_str::<Value>(&restored) {
            Ok(restored) => assert_eq!(restored, made),
            Err(_) => assert!(
                restored.starts_with("TABLE         ROWS\norgs          2\n")
                    && restored.ends_with("\n10 sound, 0 broken\n"),
                "{restored}"
            ),
        }
        assert_eq!(dump(target, &like), before);
        let serving = Serving::start(target, &scene.data);
        assert_eq!(everything_shown(&serving, &scene).await, shown);
        let acme = serving.client(&scene.admin);
        serving.client(&scene.revoked).get("/api/v1/hook-keys").await.expect(401);
        let calls = service.calls();
        acme.post(&format!("{}/execute", scene.signing), json!({})).await.expect(200);
        assert_eq!(service.calls(), calls + 2, "a token and the call");
        acme.create("new").await;
        assert_eq!(acme.names().await, ["b", "renamed", "new"]);
    }
    assert_eq!(
        std::fs::metadata(lite_directory.path().join("restored.db")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(std::fs::read(&file).unwrap(), kept, "nothing happens to the backup");
    assert_eq!(names(shelf.path()), ["keys.backup"]);
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().concat()
}

fn count(result: &Value) -> u64 {
    result["tables"].as_array().unwrap().iter().map(|table| table["rows"].as_u64().unwrap()).sum()
}

/// What `acme` is told of all that it has: in lists and one by one, private halves of keys included.
async fn everything_shown(serving: &Serving, scene: &Everything) -> Vec<String> {
    let acme = serving.client(&scene.admin);
    let mut shown = lists(&acme).await;
    let mut paths = Vec::new();
    for key in serde_json::from_str::<Value>(&shown[0]).unwrap().as_array().unwrap() {
        let text = |member: &str| key[member].as_str().unwrap().to_owned();
        paths.push(format!("/api/v1/hook-keys/{}", text("id")));
        paths.push(format!("/api/v1/hook-keys/public/{}", text("keyId")));
    }
    for hook in serde_json::from_str::<Value>(&shown[1]).unwrap().as_array().unwrap() {
        paths.push(crate::harness::path_of_hook(hook));
    }
    for (list, base) in [(2, "/key-sets"), (3, "/keys")] {
        for entry in serde_json::from_str::<Value>(&shown[list]).unwrap()["data"].as_array().unwrap() {
            paths.push(format!("{base}/{}", entry["id"].as_str().unwrap()));
        }
    }
    assert_eq!(paths.len(), 2 * 2 + 4 + 3 + 8);
    for path in paths {
        shown.push(acme.get(&path).await.expect(200).text);
    }
    assert!(shown.iter().any(|text| text.contains("PRIVATE KEY")), "private halves are shown");
    shown
}

#[tokio::test]
async fn a_value_that_is_broken_is_told_and_stops_neither_the_one_nor_the_other() {
    let scene = Everything::make("https://example.com").await;
    let like = scene.database();
    like.sql(
        "UPDATE hook_keys SET private_key = CAST(x'02' || substr(private_key, 2) AS BLOB) WHERE name = 'b'",
    );
    let (_source_directory, source) = filled(&scene);
    let (_shelf, file) = shelf();
    let told = |output: &std::process::Output| {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(
            text.contains(": hook_keys.private_key: ") && text.ends_with("\n9 sound, 1 broken\n"),
            "{text}"
        );
    };
    let made = with_key_of(&source, &scene.data).arg("backup").arg(&file).output().unwrap();
    let complained = complaint(&made);
    assert!(complained.contains("the backup holds all rows, each as it is in the database"), "{complained}");
    told(&made);
    let (_directory, target) = place();
    let restored = with_key_of(&target, &scene.data).arg("restore").arg(&file).output().unwrap();
    let complained = complaint(&restored);
    assert!(complained.contains("the database holds all rows, each as it is in the backup"), "{complained}");
    told(&restored);
    assert_eq!(dump(&target, &like), dump(&source, &like));
}

#[tokio::test]
async fn without_verifying_no_master_key_is_needed() {
    let scene = Everything::make("https://example.com").await;
    let (_source_directory, source) = filled(&scene);
    let (_shelf, file) = shelf();
    let (_directory, target) = place();
    let keyless = |database: &Database, command: &str| {
        let mut run = hook_keys();
        run.env("HOOK_KEYS_DATABASE_URL", database.url()).args([command, "--no-verify", "--json"]).arg(&file);
        serde_json::from_str::<Value>(&stdout(&run.output().unwrap())).unwrap()
    };
    let made = keyless(&source, "backup");
    assert_eq!((made.get("sound"), made.get("broken")), (None, None), "{made}");
    assert_eq!(keyless(&target, "restore"), made);
    assert_eq!(dump(&target, &scene.database()), dump(&source, &scene.database()));
}

#[test]
fn a_backup_of_an_older_version_is_brought_up_on_its_way() {
    let (_source_directory, source, _like_directory, like) = filled_plainly(300);
    let (_shelf, file) = shelf();
    stdout(&backup(&source, &file).output().unwrap());
    rewrite(
        &file,
        &[
            "DROP TABLE audit_events",
            "DELETE FROM __diesel_schema_migrations
             WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)",
        ],
    );
    let before = std::fs::read(&file).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let (_directory, target) = place();
    let mut command = restore(&file, &target);
    stdout(&command.env("TMPDIR", scratch.path()).output().unwrap());
    let mut expected = dump(&source, &like);
    expected.retain(|row| !row.starts_with("audit_events "));
    assert_eq!(dump(&target, &like), expected);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(names(scratch.path()), Vec::<String>::new());

    let (_directory, target) = place();
    let nowhere = restore(&file, &target).env("TMPDIR", scratch.path().join("none")).output().unwrap();
    assert!(complaint(&nowhere).contains("TMPDIR"), "{nowhere:?}");
}

#[test]
fn both_show_bars_on_a_terminal_only() {
    let (_source_directory, source, _like_directory, like) = filled_plainly(3000);
    let (_shelf, file) = shelf();
    let (_directory, target) = place();
    let shown = |database: &Database, command: &str| {
        let url = database.url();
        let variables = [("HOOK_KEYS_DATABASE_URL", url.as_str()), ("HOOK_KEYS_MASTER_KEY", KEY)];
        stdout(&on_a_terminal(&[command, file.to_str().unwrap()], &variables))
    };
    let made = shown(&source, "backup");
    assert!(made.contains("backing up [") && made.contains("/3002, ") && !made.contains(HIDE), "{made:?}");
    let restored = shown(&target, "restore");
    assert!(restored.contains("checking [") && restored.contains("restoring ["), "{restored:?}");
    assert!(!restored.contains(HIDE) && restored.ends_with("0 sound, 0 broken\r\n"), "{restored:?}");
    let (_shelf, file) = shelf();
    let quiet = backup(&source, &file).output().unwrap();
    assert_eq!((stdout(&quiet).is_empty(), quiet.stderr.len()), (false, 0));
    assert_eq!(rows(&target, &like), 3002);
}
