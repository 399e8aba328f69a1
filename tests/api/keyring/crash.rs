//! kill -9 at random moments of `keyring rotate`, `reseal` and `master rotate`, while a server answers.
//!
//! `HOOK_KEYS_CRASH_ROUNDS` sets how many times each command is killed; 3 when it is not set.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use hook_keys::crypto::SystemEntropy;
use hook_keys::domain::Entropy as _;
use serde_json::Value;

use super::sealed_hook;
use crate::harness::keys::{ec_jwk, key_of};
use crate::harness::process::{Dev, hook_keys, stdout};
use crate::harness::{Client, Database, path_of_hook};

/// Values that are sealed before the first kill: several transactions of a reseal.
const KEYS: usize = 150;

/// The longest pause before a kill. A command that was quicker than that is not killed, and that is fine too.
const LONGEST: Duration = Duration::from_millis(50);

/// The commands on the database of a server, and the files that the master key may be in: the server's comes first.
struct Scene {
    _directory: tempfile::TempDir,
    database: Database,
    keys: [PathBuf; 2],
}

impl Scene {
    fn command(&self, key: &Path, arguments: &[&str]) -> Command {
        let mut command = hook_keys();
        command
            .env("HOOK_KEYS_DATABASE_URL", self.database.url())
            .env("HOOK_KEYS_MASTER_KEY_FILE", key)
            .args(["keyring"])
            .args(arguments);
        command
    }

    /// What `keyring verify` says with the one or the other key: exactly one opens the keyring.
    fn opening(&self) -> PathBuf {
        let opens = |key: &&PathBuf| {
            let output = self.command(key, &["verify"]).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.is_empty() || text.ends_with(" sound, 0 broken\n"), "{text}");
            output.status.success()
        };
        let opening: Vec<_> = self.keys.iter().filter(opens).collect();
        assert_eq!(opening.len(), 1, "{opening:?}");
        opening[0].clone()
    }

    /// Starts a command and kills it after a random while.
    fn kill(&self, arguments: &[&str]) {
        let mut command = self.command(&self.keys[0], arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut random = [0; 2];
        SystemEntropy::new().fill(&mut random).unwrap();
        std::thread::sleep(LONGEST * u32::from(u16::from_le_bytes(random)) / u32::from(u16::MAX));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[tokio::test]
async fn killed_at_any_moment_everything_opens_and_no_request_fails() {
    let rounds = std::env::var("HOOK_KEYS_CRASH_ROUNDS").map_or(3, |text| text.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let dev = Dev::start(&data, &[]);
    let client = dev.client();
    for number in 0..KEYS {
        client.create_key(key_of(&ec_jwk(&format!("k{number}")))).await;
    }
    let hooked = client.create_hook(sealed_hook("hook", "0")).await;
    let (end, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..3)
        .map(|number| {
            tokio::spawn(load(client.clone(), number, path_of_hook(&hooked), end.clone(), answered.clone()))
        })
        .collect();
    let keys = [data.join("master.key"), directory.path().join("new.key")];
    let database = Database::Sqlite(data.join("hook-keys.db"));
    let scene = Scene { _directory: directory, database, keys };
    let work = move || {
        let [old, new] = &scene.keys;
        for _ in 0..rounds {
            scene.kill(&["rotate"]);
            assert_eq!(scene.opening(), *old);
            scene.kill(&["reseal"]);
            assert_eq!(scene.opening(), *old);
            stdout(&scene.command(old, &["rotate"]).output().unwrap());
            scene.kill(&["reseal"]);
            assert_eq!(scene.opening(), *old);
            let master = ["master", "rotate", "--new-file", new.to_str().unwrap()];
            scene.kill(&master);
            scene.opening();
            // Run to its end, it says which key opens the keyring.
            let said = stdout(&scene.command(old, &master).output().unwrap());
            let named = format!("with the master key in {}", new.display());
            assert!(said.contains(&named), "{said}");
            assert_eq!(scene.opening(), *new);
            // To where the server has its key from, as an operator is told to.
            std::fs::rename(new, old).unwrap();
            stdout(&scene.command(old, &["reseal"]).output().unwrap());
        }
        let drafts = std::fs::read_dir(new.parent().unwrap()).unwrap();
        let drafts =
            drafts.filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().contains("draft"));
        assert_eq!(drafts.count(), 0);
        stdout(&scene.command(old, &["status", "--json"]).output().unwrap())
    };
    let status = tokio::task::spawn_blocking(work).await.unwrap();
    end.store(true, SeqCst);
    for task in load {
        task.await.unwrap();
    }
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["orphans"], 0);
    let terms = status["terms"].as_array().unwrap();
    assert!(terms.len() > rounds, "{status}");
    assert!(terms.iter().all(|term| term["current"] == true || term["blobs"] == 0), "{status}");
    assert!(answered.load(SeqCst) > 0);
    eprintln!("{rounds} rounds of kills, {} requests, {} terms", answered.load(SeqCst), terms.len());
}

/// Reads and writes what is sealed, until the end. Every request must succeed.
async fn load(client: Client, number: usize, path: String, end: Arc<AtomicBool>, answered: Arc<AtomicUsize>) {
    let key = client.create_key(key_of(&ec_jwk(&format!("load{number}")))).await;
    let of_key = format!("/keys/{}", key["id"].as_str().unwrap());
    for turn in 0.. {
        if end.load(SeqCst) {
            return;
        }
        // A text is kept byte for byte.
        let mut body = key_of(&ec_jwk(&format!("load{number}")));
        body["jwk"] = format!("{}{}", body["jwk"].as_str().unwrap(), " ".repeat(turn % 50)).into();
        client.put(&of_key, body.clone()).await.expect(200);
        assert_eq!(client.get(&of_key).await.expect(200).json()["jwk"], body["jwk"]);
        if number == 0 {
            client.put(&path, sealed_hook("hook", &turn.to_string())).await.expect(200);
        }
        client.get(&path).await.expect(200);
        client.get("/keys?size=20").await.expect(200);
        answered.fetch_add(4, SeqCst);
    }
}
