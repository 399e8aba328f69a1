//! Servers that write while a backup is made.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{backup, filled_plainly, restore, shelf};
use crate::copy::scene::{KEY, Serving, rows, settings};
use crate::harness::database::texts;
use crate::harness::process::stdout;
use crate::harness::{Client, Database, PATIENCE};

/// What the backup has written so far, the migrations aside: it is in the middle of its one transaction.
const SOME: u64 = 1 << 20;

/// Begins a backup and waits until it is in the middle.
pub fn begun(database: &Database, file: &Path) -> (Child, PathBuf) {
    let mut command = backup(database, file);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let draft = format!("{}.draft-{}", file.display(), child.id());
    let log = PathBuf::from(format!("{draft}-wal"));
    let start = std::time::Instant::now();
    while std::fs::metadata(&log).map_or(0, |log| log.len()) < SOME {
        assert!(start.elapsed() < PATIENCE, "it never began: {:?}", child.try_wait());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(child.try_wait().unwrap().is_none(), "it still runs");
    (child, draft.into())
}

/// A key set and its two tags: three rows of one transaction.
async fn create(client: &Client, name: &str) {
    client.post("/key-sets", json!({ "name": name, "tags": ["a", "b"] })).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_go_on_writing_and_the_backup_is_the_state_of_one_moment() {
    let (_source_directory, source, like_directory, _like) = filled_plainly(40_000);
    let data = like_directory.path();
    std::fs::write(data.join("master.key"), KEY).unwrap();
    std::fs::set_permissions(data.join("master.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let token = ["token", "create", "--org", "acme", "--name", "writer", "--permission", "all"];
    let token = stdout(&settings(&source).args(token).output().unwrap());
    let serving = Serving::start(&source, data);
    let client = serving.client(token.trim());
    create(&client, "before").await;

    // It writes all the time, and deletes again what it has written.
    let (ended, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writer = tokio::spawn({
        let (client, ended, written) =
            (serving.client(token.trim()), Arc::clone(&ended), Arc::clone(&written));
        async move {
            while !ended.load(Ordering::Relaxed) {
                let number = written.fetch_add(1, Ordering::Relaxed);
                create(&client, &format!("all the time {number}")).await;
                if number.is_multiple_of(2) {
                    client.delete(&format!("/key-sets/all%20the%20time%20{number}")).await.expect(204);
                }
            }
        }
    });
    let (_shelf, file) = shelf();
    let (child, _) = begun(&source, &file);
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).unwrap();
    let earlier = written.load(Ordering::Relaxed);
    for number in 0..20 {
        create(&client, &format!("meanwhile {number}")).await;
    }
    client.delete("/key-sets/before").await.expect(204);
    kill_process(pid, Signal::CONT).unwrap();
    let output = child.wait_with_output().unwrap();
    ended.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    assert!(written.load(Ordering::Relaxed) > earlier);
    stdout(&output);

    let found = |what: &str| texts(&file, &format!("SELECT name AS text FROM key_sets s WHERE {what}"));
    assert_eq!(found("name LIKE 'meanwhile %'"), Vec::<String>::new(), "written after the moment");
    assert_eq!(found("name = 'before'"), ["before"], "deleted after the moment");
    let whole = "(SELECT count(*) FROM tags WHERE set_id = s.id) <> iif(s.tags IS NULL, 0, 2)";
    assert_eq!(found(whole), Vec::<String>::new(), "in part only");
    let now = client.get("/key-sets/meanwhile%200").await.expect(200).json();
    assert_eq!(now["tags"], json!(["a", "b"]), "and the server has them all");
    drop(serving);
    let (_directory, target) = super::place();
    stdout(&restore(&file, &target).output().unwrap());
    assert!(rows(&target, &Database::Sqlite(file)) >= 40_000);
}
