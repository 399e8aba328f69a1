//! Many that write and read at once, on both nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use serde_json::{Value, json};

use super::case::World;
use super::views::{KEYS, SETS, TYPES};
use crate::harness::keys::small_key;
use crate::harness::{Client, REMEMBERING, hook, http_channel, oauth_channel, path_of, path_of_hook};

const WRITERS: usize = 3;
/// One for each register on each node: what is read all the time is what may be remembered too late.
const READERS: usize = WRITERS * 3 * 2;

/// How often each writer writes.
const TURNS: usize = 90;

/// A number that only rises, written into a member of something, and the ways to read it.
struct Register {
    noun: Noun,
    id: String,
    path: String,
    views: Vec<String>,
    /// The last number that each node has acknowledged.
    acknowledged: [AtomicUsize; 2],
    /// The last number that each node has shown, for each view.
    shown: [Vec<AtomicUsize>; 2],
}

#[derive(Debug, Clone, Copy)]
enum Noun {
    HookKey,
    InlineHook,
    KeySet,
}

impl Register {
    fn new(noun: Noun, made: &Value, path: String, lists: &[&str]) -> Self {
        let views: Vec<_> =
            std::iter::once(path.clone()).chain(lists.iter().map(|&list| list.into())).collect();
        let shown = || views.iter().map(|_| AtomicUsize::new(0)).collect();
        Self {
            noun,
            id: made["id"].as_str().unwrap().to_owned(),
            path,
            shown: [shown(), shown()],
            views,
            acknowledged: Default::default(),
        }
    }

    /// Writes a number at a node.
    async fn write(&self, nodes: &[Client; 2], node: usize, number: usize) {
        let name = format!("{}-{number}", self.id);
        let client = &nodes[node];
        let answer = match self.noun {
            Noun::HookKey => client.put(&self.path, json!({ "name": name })).await,
            Noun::InlineHook => client.post(&self.path, json!({ "name": name })).await,
            Noun::KeySet => client.patch(&self.path, json!({ "tags": [name] })).await,
        };
        answer.expect(200);
        self.acknowledged[node].store(number, SeqCst);
    }

    /// Reads the number at a node, and holds it against what that node has said before.
    async fn read(&self, nodes: &[Client; 2], node: usize, view: usize) {
        let (acknowledged, shown) = (&self.acknowledged[node], &self.shown[node][view]);
        let least = acknowledged.load(SeqCst).max(shown.load(SeqCst));
        let path = &self.views[view];
        let body = nodes[node].get(path).await.expect(200).json();
        let number = self.number(&body);
        assert!(number >= least, "node {node} shows {number} at {path} after it has shown or taken {least}");
        shown.fetch_max(number, SeqCst);
    }

    /// The number in the body of a view: of the thing itself or of a list that it is in.
    fn number(&self, body: &Value) -> usize {
        let list = body.as_array().or_else(|| body["data"].as_array());
        let own = match list {
            Some(list) => list.iter().find(|item| item["id"] == self.id).unwrap(),
            None => body,
        };
        let text = match self.noun {
            Noun::HookKey | Noun::InlineHook => own["name"].as_str(),
            Noun::KeySet => own["tags"][0].as_str(),
        };
        text.unwrap().rsplit_once('-').unwrap().1.parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_node_goes_back_and_in_the_end_all_answer_as_the_database_does() {
    // A node that forgets much must be as true as one that forgets nothing.
    let world = World::start([&[REMEMBERING], &[("HOOK_KEYS_CACHE_MAX_ROWS", "16")]]).await;
    let mut case = world.case("load").await;
    let nodes = case.orgs[0].clients.each_ref().map(|clients| clients.admin.clone());
    let mut registers = Vec::new();
    for writer in 0..WRITERS {
        registers.extend(make(&nodes[writer % 2], writer).await);
    }
    let (registers, stop) = (Arc::new(registers), Arc::new(AtomicBool::new(false)));
    case.learn(0).await;
    case.settle(0).await.unwrap();

    let writers = (0..WRITERS).map(|writer| {
        let (registers, nodes) = (Arc::clone(&registers), nodes.clone());
        tokio::spawn(async move {
            for turn in 1..=TURNS {
                // A register has one writer, who goes from node to node.
                let (kind, number) = (turn % 3, turn.div_ceil(3));
                registers[writer * 3 + kind].write(&nodes, (writer + number) % 2, number).await;
            }
        })
    });
    let churn = (0..2).map(|node| tokio::spawn(churn(nodes.clone(), node)));
    let tasks: Vec<_> = writers.chain(churn).collect();
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let (registers, nodes, stop) = (Arc::clone(&registers), nodes.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut turns = 0;
                while !stop.load(SeqCst) {
                    let register = &registers[reader / 2];
                    let view = turns % register.views.len();
                    register.read(&nodes, reader % 2, view).await;
                    turns += 1;
                }
                turns
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    stop.store(true, SeqCst);
    for reader in readers {
        let turns = reader.await.unwrap();
        assert!(turns > TURNS, "only {turns} reads");
    }

    // What the database has answered meanwhile was not written down.
    case.forget();
    case.learn(0).await;
    case.settle(0).await.unwrap();
    for register in registers.iter() {
        for node in 0..2 {
            for view in 0..register.views.len() {
                register.read(&nodes, node, view).await;
            }
        }
    }
}

/// The registers of one writer, each with number 0.
async fn make(client: &Client, writer: usize) -> [Register; 3] {
    let key = client.create(&format!("{writer}-0")).await;
    let used =
        client.create_hook(hook(&format!("{writer}-0"), http_channel("https://example.com/hook"))).await;
    let name = format!("set {writer}");
    let set = client.post("/key-sets", json!({ "name": name, "tags": [format!("{writer}-0")] })).await;
    let set = set.expect(201).json();
    let key_name = format!("of-{writer}");
    let mut body = small_key(&key_name);
    (body["name"], body["set"]) = (json!(key_name), json!({ "id": set["id"] }));
    client.create_key(body).await;

    let path_of_key = path_of(&key);
    let expanded = format!("{path_of_key}?expand=publickey");
    let of_type = format!("/api/v1/inlineHooks?type={}", TYPES[0]);
    let path_of_set = format!("/key-sets/{}", set["id"].as_str().unwrap());
    let (by_name, of_key) = (format!("/key-sets/set%20{writer}"), format!("/keys/{key_name}/set"));
    [
        Register::new(Noun::HookKey, &key, path_of_key, &[&expanded, "/api/v1/hook-keys"]),
        Register::new(Noun::InlineHook, &used, path_of_hook(&used), &["/api/v1/inlineHooks", &of_type]),
        Register::new(Noun::KeySet, &set, path_of_set, &[&by_name, &of_key, "/key-sets"]),
    ]
}

/// Makes and deletes what stands in the same lists, and what makes a hook key one that is used.
async fn churn(nodes: [Client; 2], number: usize) {
    let key = nodes[number].create(&format!("churn {number}")).await;
    for turn in 0..TURNS / 3 {
        let (here, there) = (&nodes[(number + turn) % 2], &nodes[(number + turn + 1) % 2]);
        let (set, name) = (format!("/key-sets/{}", SETS[number]), KEYS[number]);
        here.put(&set, json!({ "tags": ["t0"] })).await.expect(200);
        let body = small_key(name);
        there.put(&format!("{set}/keys/{name}"), body).await.expect(200);
        there.delete(&set).await.expect(204);
        there.get(&set).await.expect(404);
        let channel = oauth_channel("https://example.com/token", "https://example.com/hook", &key);
        let used = path_of_hook(&here.create_hook(hook(&format!("churn {number}"), channel)).await);
        there.post(&format!("{used}/lifecycle/deactivate"), json!({})).await.expect(200);
        assert_eq!(there.get(&path_of(&key)).await.expect(200).json()["isUsed"], true);
        there.delete(&used).await.expect(204);
        assert_eq!(there.get(&path_of(&key)).await.expect(200).json()["isUsed"], false);
    }
}
