//! Three nodes on one PostgreSQL under load, while nodes are killed and the server is restarted: what was
//! acknowledged is there, and nobody ever reads what cannot be.
//!
//! `HOOK_KEYS_CRASH_ROUNDS` sets how often a node is killed; 3 when it is not set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{run, settings};
use crate::harness::history::{Action, Event, contradictions};
use crate::harness::keys::small_key;
use crate::harness::process::{Serve, stdout};
use crate::harness::{Client, PATIENCE, PostgresServer};

const CLIENTS: usize = 9;
const REGISTERS: usize = 4;

/// How often a register was read.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// What one client did, besides reading and writing registers.
#[derive(Default)]
struct Log {
    events: Vec<Event>,
    /// Keys by their kid: whether they must be there, must not, or may.
    keys: BTreeMap<String, Fate>,
    /// Names of key sets that this client was given, and those that it was refused because they are taken.
    won: BTreeSet<String>,
    lost: BTreeSet<String>,
    /// Answers that count, since they were last counted.
    answers: usize,
    /// How often each status was answered; 0 is no answer at all.
    statuses: BTreeMap<u16, usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    There,
    Gone,
    Unknown,
}

/// The nodes, of which some may be away, and what they share.
struct Cluster {
    server: PostgresServer,
    config: PathBuf,
    addresses: Vec<String>,
    nodes: Vec<Option<Serve>>,
    /// How long each return to readiness took.
    returns: Vec<(&'static str, Duration)>,
}

impl Cluster {
    fn kill(&mut self, node: usize) {
        self.nodes[node].take().unwrap().kill();
    }

    async fn restart(&mut self, node: usize) {
        let begun = Instant::now();
        self.nodes[node] = Some(Serve::start_on(&self.addresses[node], &self.config, &[]));
        self.all_ready("node", begun).await;
    }

    /// Restarts the server: in order, or as after a crash.
    async fn restart_server(&mut self, mode: &str, pause: Duration) {
        self.server.stop(mode);
        tokio::time::sleep(pause).await;
        self.server.start_again(&[]);
        self.all_ready("server", Instant::now()).await;
    }

    async fn all_ready(&mut self, after: &'static str, begun: Instant) {
        for node in self.nodes.iter().flatten() {
            Client::new(&node.base, None).until("/readyz", 200).await;
        }
        self.returns.push((after, begun.elapsed()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_while_nodes_are_killed_and_the_server_is_restarted() {
    let rounds: usize = std::env::var("HOOK_KEYS_CRASH_ROUNDS").map_or(3, |text| text.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let server = PostgresServer::start(&[]);
    let config = settings(directory.path(), server.url(), &[("timeout", "3s")]);
    stdout(&run(&config, &["migrate"]));
    stdout(&run(&config, &["org", "create", "acme"]));
    let made =
        run(&config, &["token", "create", "--org", "acme", "--name", "t", "--permission", "all", "--json"]);
    let made: Value = serde_json::from_str(&stdout(&made)).unwrap();
    let token = made["token"].as_str().unwrap().to_owned();
    let nodes: Vec<_> = (0..3).map(|_| Serve::start(&config, &[])).collect();
    let addresses: Vec<_> = nodes.iter().map(|node| node.address().to_owned()).collect();
    let clients: Vec<_> = nodes.iter().map(|node| node.client(&token)).collect();
    let nodes = nodes.into_iter().map(Some).collect();
    let mut cluster = Cluster { server, config, addresses, nodes, returns: Vec::new() };
    cluster.all_ready("start", Instant::now()).await;
    clients[0].create_set("bag").await;

    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(work(number, clients.clone(), Arc::clone(&stop), Arc::clone(&done))))
        .collect();
    for round in 0..rounds {
        more(&done, 200).await;
        cluster.kill(round % 3);
        more(&done, 100).await;
        match round % 3 {
            // In order, and for longer than a node remembers anything.
            0 => cluster.restart_server("fast", Duration::from_secs(6)).await,
            1 => cluster.restart_server("immediate", Duration::from_millis(200)).await,
            _ => {}
        }
        cluster.restart(round % 3).await;
    }
    more(&done, 200).await;
    stop.store(true, SeqCst);
    let mut logs = Vec::new();
    for worker in workers {
        logs.push(worker.await.unwrap());
    }
    judge(&clients, logs, &cluster.returns).await;
}

/// Waits for so many more answers that count.
async fn more(done: &AtomicUsize, many: usize) {
    let (begun, until) = (Instant::now(), done.load(SeqCst) + many);
    while done.load(SeqCst) < until {
        assert!(begun.elapsed() < PATIENCE, "the load has stopped");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Reads and writes, each time at another node, until told to stop.
async fn work(number: usize, nodes: Vec<Client>, stop: Arc<AtomicBool>, done: Arc<AtomicUsize>) -> Log {
    let mut log = Log::default();
    for turn in 0.. {
        if stop.load(SeqCst) {
            break;
        }
        let node = &nodes[(number + turn) % nodes.len()];
        let register = (number * 7 + turn) % REGISTERS;
        match turn % 5 {
            0 | 2 => log.read(node, register).await,
            1 => log.write(node, register, format!("v{number}-{turn}")).await,
            3 => log.create_or_delete(node, number, turn).await,
            _ => log.claim(node, format!("claim-{}", turn / 5)).await,
        }
        done.fetch_add(std::mem::take(&mut log.answers), SeqCst);
    }
    log
}

impl Log {
    async fn read(&mut self, node: &Client, register: usize) {
        // As nobody has asked before, so that the node cannot answer from memory: there it may lag behind the others.
        let path = format!("{}?asked={}", path(register), ASKED.fetch_add(1, SeqCst));
        let sent = Instant::now();
        let Some((status, body)) = self.ask(node, Method::GET, &path, None).await else { return };
        let value = match status {
            200 => Some(value_of(&body)),
            404 => None,
            _ => return,
        };
        self.events.push(Event { register, action: Action::Read(value), sent, done: Some(Instant::now()) });
    }

    async fn write(&mut self, node: &Client, register: usize, value: String) {
        let sent = Instant::now();
        let body = json!({ "tags": [value] });
        let answer = self.ask(node, Method::PUT, &path(register), Some(body)).await;
        let done = answer.filter(|(status, _)| *status == 200).map(|_| Instant::now());
        self.events.push(Event { register, action: Action::Write(value), sent, done });
    }

    /// Makes a key, or deletes the one made before.
    async fn create_or_delete(&mut self, node: &Client, number: usize, turn: usize) {
        let kid = format!("k{number}-{}", turn / 10);
        if turn % 10 == 3 {
            let mut body = small_key(&kid);
            body["name"] = kid.clone().into();
            let answer = self.ask(node, Method::POST, "/key-sets/bag/keys", Some(body)).await;
            let made = answer.is_some_and(|(status, _)| status == 201);
            self.keys.insert(kid, if made { Fate::There } else { Fate::Unknown });
        } else if turn % 20 == 8 {
            let answer = self.ask(node, Method::DELETE, &format!("/keys/{kid}"), None).await;
            // A create without an answer may still be under way, and come after the delete.
            let gone = answer.is_some_and(|(status, _)| status == 204) && self.keys[&kid] == Fate::There;
            self.keys.insert(kid, if gone { Fate::Gone } else { Fate::Unknown });
        }
    }

    /// Wants a name that all clients want.
    async fn claim(&mut self, node: &Client, name: String) {
        match self.ask(node, Method::POST, "/key-sets", Some(json!({ "name": name }))).await {
            Some((201, _)) => drop(self.won.insert(name)),
            Some((409, _)) => drop(self.lost.insert(name)),
            _ => {}
        }
    }

    /// The answer, if there is one that counts: not when the node or the database is away.
    async fn ask(
        &mut self,
        node: &Client,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<(u16, Value)> {
        let request = node.request(method.clone(), path).timeout(Duration::from_secs(30));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = async {
            let response = request.send().await.ok()?;
            let (status, headers) = (response.status(), response.headers().clone());
            Some((status, headers, response.text().await.ok()?))
        };
        let Some((status, headers, text)) = answer.await else {
            *self.statuses.entry(0).or_default() += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
            return None;
        };
        *self.statuses.entry(status.as_u16()).or_default() += 1;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(headers.get("retry-after").unwrap(), "1");
            tokio::time::sleep(Duration::from_millis(20)).await;
            return None;
        }
        assert!(
            [200, 201, 204, 404, 409].contains(&status.as_u16()),
            "{method} {path} answered {status}: {text}"
        );
        self.answers += 1;
        Some((status.as_u16(), serde_json::from_str(&text).unwrap_or_default()))
    }
}

fn path(register: usize) -> String {
    format!("/key-sets/register-{register}")
}

fn value_of(set: &Value) -> String {
    set["tags"][0].as_str().unwrap().to_owned()
}

/// Holds what is there at the end, and what was seen on the way, against what was acknowledged.
async fn judge(nodes: &[Client], logs: Vec<Log>, returns: &[(&str, Duration)]) {
    let mut last = Log::default();
    for node in nodes {
        for register in 0..REGISTERS {
            last.read(node, register).await;
        }
    }
    assert_eq!(last.events.len(), REGISTERS * nodes.len(), "every node reads every register at the end");
    let events: Vec<_> = logs.iter().flat_map(|log| log.events.clone()).chain(last.events).collect();
    let wrong = contradictions(&events);
    assert!(wrong.is_empty(), "{} contradictions:\n{}", wrong.len(), wrong.join("\n"));

    let kids = all(&nodes[0], "/key-sets/bag/keys?size=1000", "kid").await;
    let fates: BTreeMap<_, _> = logs.iter().flat_map(|log| log.keys.clone()).collect();
    for (kid, fate) in &fates {
        match fate {
            Fate::There => assert!(kids.contains(kid), "{kid} was acknowledged and is gone"),
            Fate::Gone => assert!(!kids.contains(kid), "{kid} was deleted and is there"),
            Fate::Unknown => {}
        }
    }
    assert!(kids.iter().all(|kid| fates.contains_key(kid)), "a key came from nowhere");

    let names = all(&nodes[1], "/key-sets?size=1000", "name").await;
    let mut winners = BTreeMap::<&String, usize>::new();
    for name in logs.iter().flat_map(|log| &log.won) {
        *winners.entry(name).or_default() += 1;
    }
    assert!(winners.values().all(|many| *many == 1), "a name was given twice");
    assert!(winners.keys().all(|name| names.contains(*name)), "a name that was given is free");
    let taken = logs.iter().flat_map(|log| &log.lost);
    assert!(taken.into_iter().all(|name| names.contains(name)), "a name was refused as taken and is free");

    let count = |fate| fates.values().filter(|known| **known == fate).count();
    let writes = events.iter().filter(|event| matches!(event.action, Action::Write(_)));
    let unknown = writes.clone().filter(|event| event.done.is_none()).count();
    let mut statuses = BTreeMap::<u16, usize>::new();
    for (status, many) in logs.iter().flat_map(|log| &log.statuses) {
        *statuses.entry(*status).or_default() += many;
    }
    assert!(
        count(Fate::There) > 0 && count(Fate::Gone) > 0 && !winners.is_empty(),
        "the load did too little"
    );
    eprintln!(
        "{} reads, {} writes of registers ({unknown} without an answer), {} keys there and {} deleted, {} names \
         given; answers by status (0: none): {statuses:?}; ready again after: {returns:?}",
        events.len() - writes.clone().count(),
        writes.count(),
        count(Fate::There),
        count(Fate::Gone),
        winners.len(),
    );
}

/// A member of every item of a list, through all of its pages.
async fn all(node: &Client, first: &str, member: &str) -> BTreeSet<String> {
    let (mut next, mut found) = (Some(first.to_owned()), BTreeSet::new());
    while let Some(path) = next {
        let page = node.get(&path).await.expect(200).json();
        let items = page["data"].as_array().unwrap();
        found.extend(items.iter().map(|item| item[member].as_str().unwrap().to_owned()));
        next = page["next"].as_str().map(str::to_owned);
    }
    found
}
