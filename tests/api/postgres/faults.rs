//! The database goes away, hangs, and lets a transaction lose: what clients see of it, and that it passes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio_postgres::NoTls;

use super::{run, settings};
use crate::harness::keys::small_key;
use crate::harness::process::{Serve, stdout};
use crate::harness::{Client, PATIENCE, PostgresServer, path_of};

/// A node on a server of its own, and a client that may do everything in an org.
fn node(directory: &Path, server: &PostgresServer, timeout: &str) -> (Serve, Client) {
    node_with(directory, server, timeout, &[])
}

/// The same with more arguments.
fn node_with(directory: &Path, server: &PostgresServer, timeout: &str, more: &[&str]) -> (Serve, Client) {
    let config = settings(directory, server.url(), &[("timeout", timeout)]);
    stdout(&run(&config, &["migrate"]));
    stdout(&run(&config, &["org", "create", "acme"]));
    let token = ["token", "create", "--org", "acme", "--name", "t", "--permission", "all", "--json"];
    let made: Value = serde_json::from_str(&stdout(&run(&config, &token))).unwrap();
    let serve = Serve::start(&config, more);
    let client = serve.client(made["token"].as_str().unwrap());
    (serve, client)
}

/// Expects that every kind of request is refused for now, in the shape of its API, but for what is remembered.
async fn refused_for_now(client: &Client, key: &Value) {
    for (method, path, body) in [
        (Method::GET, "/api/v1/hook-keys?asked=never".to_owned(), None),
        (Method::POST, "/api/v1/hook-keys".to_owned(), Some(json!({ "name": "new" }))),
        (Method::PUT, path_of(key), Some(json!({ "name": "other" }))),
    ] {
        let answer = client.send(method, &path, body).await;
        assert_eq!(answer.headers["retry-after"], "1");
        answer.expect_error(503, "E0000010", "");
    }
    for (method, path, body) in [
        (Method::GET, "/keys", None),
        (Method::POST, "/keys", Some(small_key("new"))),
        (Method::DELETE, "/key-sets/none", None),
    ] {
        let answer = client.send(method, path, body).await;
        assert_eq!(answer.headers["retry-after"], "1");
        answer.expect_message(503, "Service unavailable: try again in a moment");
    }
}

#[tokio::test]
async fn while_the_server_is_away_requests_get_503_and_when_it_is_back_they_work() {
    let directory = tempfile::tempdir().unwrap();
    let server = PostgresServer::start(&[]);
    let (serve, client) = node(directory.path(), &server, "60s");
    let key = client.create("k").await;
    client.until("/readyz", 200).await;
    for mode in ["fast", "immediate"] {
        client.get("/api/v1/hook-keys").await.expect(200);
        server.stop(mode);
        refused_for_now(&client, &key).await;
        let answer = client.until("/readyz", 503).await;
        assert_eq!(answer.headers["retry-after"], "1");
        let answer = answer.expect_message(503, "Not ready: the database is out of sight").json();
        assert_eq!(
            (&answer["status"], &answer["checks"]["database"]["status"]),
            (&json!("not ready"), &json!("failing"))
        );
        assert_eq!(answer["checks"]["pool"]["status"], "ok");
        client.get("/healthz").await.expect(200);
        // Nothing that was remembered counts any more.
        client.get("/api/v1/hook-keys").await.expect_error(503, "E0000010", "");
        refused_for_now(&client, &key).await;
        server.start_again(&[]);
        client.until("/readyz", 200).await;
        client.put(&path_of(&key), json!({ "name": format!("after {mode}") })).await.expect(200);
        assert_eq!(client.names().await, [format!("after {mode}")]);
    }
    let log = serve.log_text();
    assert!(
        log.contains("not ready: the database has been out of sight") && log.contains("the database is back")
    );
}

#[tokio::test]
async fn a_server_that_hangs_keeps_no_request_for_longer_than_the_time_limit() {
    let directory = tempfile::tempdir().unwrap();
    let server = PostgresServer::start(&[]);
    let (_serve, client) = node(directory.path(), &server, "300ms");
    let key = client.create("k").await;
    client.until("/readyz", 200).await;
    {
        let _hung = Hung::make(&server);
        refused_for_now(&client, &key).await;
        client.until("/readyz", 503).await;
        // More than there are connections.
        for _ in 0..12 {
            client.get("/keys").await.expect(503);
        }
    }
    client.until("/readyz", 200).await;
    // What was answered 503 may have happened.
    client.until(&path_of(&key), 200).await;
    let names = client.names().await;
    assert!(names.iter().all(|name| ["k", "other", "new"].contains(&name.as_str())), "{names:?}");
    client.put(&path_of(&key), json!({ "name": "at last" })).await.expect(200);
}

#[tokio::test]
async fn a_key_pair_whose_key_may_be_stored_becomes_no_other_key() {
    let directory = tempfile::tempdir().unwrap();
    let server = PostgresServer::start(&[]);
    // Without a stock, a pair that is put back goes to whoever waits.
    let (_serve, client) = node_with(directory.path(), &server, "1s", &["--pool-size", "0"]);
    client.until("/readyz", 200).await;
    // Each statement is within the limit, a creation is not, and goes on.
    server.sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.8); RETURN NEW; END'",
    );
    for table in ["hook_keys", "changes"] {
        server.sql(&format!(
            "CREATE TRIGGER slow BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION slow()"
        ));
    }
    let mut creations = tokio::task::JoinSet::new();
    for number in 0..40 {
        let client = client.clone();
        creations.spawn(async move {
            let body = json!({ "name": format!("k{number}") });
            client.post("/api/v1/hook-keys", body).await.status.as_u16()
        });
    }
    let mut answers = vec![creations.join_next().await.unwrap().unwrap()];
    assert_eq!(answers, [503]);
    for table in ["hook_keys", "changes"] {
        server.sql(&format!("DROP TRIGGER slow ON {table}"));
    }
    answers.extend(creations.join_all().await);
    let listed = client.get("/api/v1/hook-keys").await.expect(200).json();
    let stored = listed.as_array().unwrap();
    let acknowledged = answers.iter().filter(|status| **status == 200).count();
    assert!(stored.len() > acknowledged && acknowledged > 0, "{} of {acknowledged}", stored.len());
    let mut moduli = BTreeSet::new();
    for key in stored {
        let path = format!("/api/v1/hook-keys/public/{}", key["keyId"].as_str().unwrap());
        let public = client.get(&path).await.expect(200).json();
        assert!(moduli.insert(public["n"].as_str().unwrap().to_owned()), "two keys have one pair");
    }
}

#[tokio::test]
async fn connections_that_hang_are_given_up_and_others_take_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let server = PostgresServer::start(&[]);
    let (serve, client) = node(directory.path(), &server, "300ms");
    let key = client.create("k").await;
    // The server is well: as when something between the two has lost what it forwards.
    let hung = Hung::connections(&server);
    let begun = Instant::now();
    loop {
        let renamed = client.put(&path_of(&key), json!({ "name": "renamed" })).await;
        let names = client.get("/api/v1/hook-keys").await;
        let given_up =
            serve.log_text().matches("a connection to the database hangs, and is given up").count();
        if renamed.status == 200 && names.status == 200 && given_up >= hung.0.len() {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{} of {} were given up", given_up, hung.0.len());
    }
    client.until("/readyz", 200).await;
}

/// Processes of a server that are stopped, until dropped.
struct Hung(Vec<Pid>);

impl Hung {
    /// Those of the node's connections.
    fn connections(server: &PostgresServer) -> Self {
        let ours = "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'hook-keys'";
        let pids = server.sql(ours).into_iter().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap());
        let hung = Self(pids.collect());
        assert!(hung.0.len() >= 3, "a reader, a writer and the watcher, not {:?}", hung.0);
        hung.signal(Signal::STOP);
        hung
    }

    /// All of them.
    fn make(server: &PostgresServer) -> Self {
        let main = server.pid();
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let pid: i32 = entry.unwrap().file_name().to_str()?.parse().ok()?;
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let parent =
                status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse::<i32>().ok()?;
            (pid == main || parent == main).then(|| Pid::from_raw(pid).unwrap())
        });
        let hung = Self(processes.collect());
        assert!(hung.0.len() > 3, "the server has more processes than {:?}", hung.0);
        hung.signal(Signal::STOP);
        hung
    }

    fn signal(&self, signal: Signal) {
        for pid in &self.0 {
            // One of them may have ended.
            let _ = kill_process(*pid, signal);
        }
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
    }
}

#[tokio::test]
async fn a_write_that_loses_against_another_transaction_is_tried_again_unseen() {
    let directory = tempfile::tempdir().unwrap();
    // The node is the first to look whether it waits in vain, once, and so the one that gives way.
    let server = PostgresServer::start(&["deadlock_timeout=3s"]);
    let (serve, client) = node(directory.path(), &server, "60s");
    let key = client.create("k").await;
    let (other, connection) = tokio_postgres::connect(server.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    other
        .batch_execute("SET deadlock_timeout = '1min'; BEGIN; SELECT * FROM hook_keys FOR UPDATE")
        .await
        .unwrap();
    let renaming = {
        let (client, path) = (client.clone(), path_of(&key));
        tokio::spawn(async move { client.put(&path, json!({ "name": "renamed" })).await })
    };
    // It holds the right to write and waits for the row; this transaction has the row and wants the right.
    let begun = Instant::now();
    while server.sql("SELECT count(*)::text FROM pg_locks WHERE NOT granted") != ["1"] {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    other
        .batch_execute("SELECT pg_advisory_xact_lock(1751084907, hashtext(current_schema()))")
        .await
        .unwrap();
    other.batch_execute("COMMIT").await.unwrap();
    renaming.await.unwrap().expect(200);
    assert_eq!(client.names().await, ["renamed"]);
    let deadlocks = "SELECT deadlocks::text FROM pg_stat_database WHERE datname = current_database()";
    while server.sql(deadlocks) == ["0"] {
        assert!(begun.elapsed() < PATIENCE, "nothing was lost, so nothing was tried again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(serve);
}
