//! kill -9 at random moments: what was acknowledged is there, what is there is whole.
//!
//! `HOOK_KEYS_CRASH_ROUNDS` sets how many times the server is killed; 3 when it is not set.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use hook_keys::crypto::SystemEntropy;
use hook_keys::domain::Entropy as _;
use serde_json::{Value, json};

use crate::harness::process::{Dev, on, stdout};
use crate::harness::{Client, path_of};

const WRITERS: usize = 6;

/// What one writer knows of its keys: by id, the names that the key may have now. `None` among them means it
/// may be gone. More than one when a write was under way at the kill.
type Known = HashMap<String, Vec<Option<String>>>;

#[tokio::test]
async fn every_acknowledged_write_outlives_kill_9_and_every_key_is_whole() {
    let rounds = std::env::var("HOOK_KEYS_CRASH_ROUNDS").map_or(3, |text| text.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut known = Known::new();
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut dev = Dev::start(&data, &[]);
    stdout(&on(&data, &["org", "update", "default", "--max-hook-keys", "100000"]));
    for round in 0..rounds {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let count = Arc::clone(&acknowledged);
                tokio::spawn(write_until_killed(dev.client(), format!("{round}-{writer}"), count))
            })
            .collect();
        random_moment(&acknowledged).await;
        dev.kill();
        for writer in writers {
            known.extend(writer.await.unwrap());
        }
        dev = Dev::start(&data, &[]);
        let found = keys(&dev.client()).await;
        compare(&known, &found);
        verify(&data, found.len());
        assert_eq!(told(&data), found, "a write and its row in the audit trail are never apart");
        // The next round starts from what is there.
        known = found.into_iter().map(|(id, name)| (id, vec![Some(name)])).collect();
    }
    let writes = acknowledged.load(SeqCst);
    eprintln!("{rounds} kills, {writes} acknowledged writes, {} keys at the end", known.len());
}

/// Creates, renames and deletes until the connection breaks; counts what is acknowledged and returns what it
/// knows.
async fn write_until_killed(client: Client, prefix: String, acknowledged: Arc<AtomicUsize>) -> Known {
    let mut known = Known::new();
    for number in 0.. {
        let name = format!("{prefix}-{number}");
        let Some(key) = send(&client, "POST", "/api/v1/hook-keys", &name).await else { break };
        let id = key["id"].as_str().unwrap().to_owned();
        acknowledged.fetch_add(1, SeqCst);
        known.insert(id.clone(), vec![Some(name.clone())]);

        let renamed = format!("{name} renamed");
        known.insert(id.clone(), vec![Some(name), Some(renamed.clone())]);
        if send(&client, "PUT", &path_of(&key), &renamed).await.is_none() {
            break;
        }
        acknowledged.fetch_add(1, SeqCst);
        known.insert(id.clone(), vec![Some(renamed.clone())]);

        if number % 2 == 0 {
            known.insert(id.clone(), vec![Some(renamed), None]);
            if send(&client, "DELETE", &path_of(&key), "").await.is_none() {
                break;
            }
            acknowledged.fetch_add(1, SeqCst);
            known.insert(id, vec![None]);
        }
    }
    known
}

/// The answer's body, or `None` when the server was killed before all of it came.
async fn send(client: &Client, method: &str, path: &str, name: &str) -> Option<Value> {
    let request = client.request(method.parse().unwrap(), path).json(&json!({ "name": name }));
    let response = request.send().await.ok()?;
    let status = response.status();
    let text = response.text().await.ok()?;
    assert!(status.is_success(), "{method} {path} answered {status}: {text}");
    Some(serde_json::from_str(&text).unwrap_or_default())
}

async fn keys(client: &Client) -> HashMap<String, String> {
    let list = client.get("/api/v1/hook-keys").await.expect(200).json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|key| (text(&key["id"]), text(&key["name"]))).collect()
}

fn compare(known: &Known, found: &HashMap<String, String>) {
    for (id, possible) in known {
        let actual = found.get(id).cloned();
        assert!(possible.contains(&actual), "{id} is {actual:?}, which is none of {possible:?}");
    }
    // A create that was under way leaves a key that nobody was told of: at most one a writer.
    let strangers = found.keys().filter(|id| !known.contains_key(*id)).count();
    assert!(strangers <= WRITERS, "{strangers} keys came from nowhere");
}

/// The keys that there must be by what the audit trail tells.
fn told(data: &Path) -> HashMap<String, String> {
    let mut keys = HashMap::new();
    for line in stdout(&on(data, &["audit", "export"])).lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let kind = event["eventType"].as_str().unwrap();
        let Some(what) = kind.strip_prefix("system.hook.key.") else { continue };
        let text = |member: &str| event["targets"][0][member].as_str().unwrap().to_owned();
        let told = match what {
            "created" => keys.insert(text("id"), text("displayName")).is_none(),
            "updated" => keys.insert(text("id"), text("displayName")).is_some(),
            _ => keys.remove(&text("id")).is_some(),
        };
        assert!(told, "{event} does not follow from the events before it");
    }
    keys
}

/// Every private half opens and matches its public half.
fn verify(data: &Path, keys: usize) {
    let verdict: Value = serde_json::from_str(&stdout(&on(data, &["keyring", "verify", "--json"]))).unwrap();
    assert_eq!((verdict["sound"].as_u64().unwrap(), &verdict["broken"]), (keys as u64, &json!([])));
}

/// Waits for a random number of further writes, 1 to 64, and then for up to 64 milliseconds, so that writes are
/// under way however slow the machine is.
async fn random_moment(acknowledged: &AtomicUsize) {
    let mut random = [0; 2];
    SystemEntropy::new().fill(&mut random).unwrap();
    let [writes, pause] = random.map(|byte| byte % 64);
    let until = acknowledged.load(SeqCst) + 1 + usize::from(writes);
    while acknowledged.load(SeqCst) < until {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(pause.into())).await;
}
