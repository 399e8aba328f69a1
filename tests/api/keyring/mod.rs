//! `hook-keys keyring rotate`, `reseal` and `retire`, while servers run.

mod crash;
mod doctor;
mod master;
mod measure;

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::keys::{ec_jwk, key_of, rsa_jwk};
use crate::harness::process::{complaint, hook_keys, stdout};
use crate::harness::{Client, REMEMBERING, Server, hook, path_of, path_of_hook};
use hook_keys::app::Parts;

/// The master key of the servers in this process.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A command on the database of a server.
fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = hook_keys();
    command
        .env("HOOK_KEYS_DATABASE_URL", server.database.url())
        .env("HOOK_KEYS_MASTER_KEY", KEY)
        .args(arguments);
    command
}

fn keyring(server: &Server, arguments: &[&str]) -> Output {
    command(server, &[&["keyring"], arguments].concat()).output().unwrap()
}

/// How many values each term seals; all of them belong to one.
fn blobs(server: &Server) -> Vec<(u64, u64)> {
    let status: Value = serde_json::from_str(&stdout(&keyring(server, &["status", "--json"]))).unwrap();
    assert_eq!(status["orphans"], 0);
    let terms = status["terms"].as_array().unwrap();
    terms.iter().map(|term| (term["term"].as_u64().unwrap(), term["blobs"].as_u64().unwrap())).collect()
}

fn sound(server: &Server, many: u64) {
    assert_eq!(stdout(&keyring(server, &["verify"])), format!("{many} sound, 0 broken\n"));
}

/// The body of a hook with two sealed values.
fn sealed_hook(name: &str, header: &str) -> Value {
    hook(
        name,
        json!({ "type": "HTTP", "version": "1.0.0", "config": {
            "uri": "https://example.com",
            "headers": [{ "key": "X", "value": header }],
            "authScheme": { "type": "HEADER", "key": "A", "value": "v" },
        } }),
    )
}

/// Makes one of each kind, with four sealed values in all, and tells where the answers are that show them.
async fn one_of_each(client: &Client, name: &str) -> Vec<String> {
    let key = client.create(name).await;
    let made = client.create_hook(sealed_hook(name, name)).await;
    let brought = client.create_key(key_of(&ec_jwk(name))).await;
    vec![
        path_of(&key),
        "/api/v1/hook-keys".to_owned(),
        path_of_hook(&made),
        "/api/v1/inlineHooks".to_owned(),
        format!("/keys/{}", brought["id"].as_str().unwrap()),
    ]
}

#[tokio::test]
async fn from_a_rotation_on_every_node_seals_under_the_new_term_and_opens_what_others_have_sealed() {
    let one = Server::start().await;
    let first = one.org("acme").await;
    let (_, token) = one.token("acme", &["all"], None).await;
    let two = one.beside().await;
    let second = two.with_authorization(Some(&format!("SSWS {token}")));
    one_of_each(&first, "before").await;
    assert_eq!(blobs(&one), [(1, 4)]);
    let rotated = keyring(&one, &["rotate"]);
    assert_eq!(stdout(&rotated), "term 2 seals new values from now on\n");
    // Both have opened the keyring before there was a second term. Each reads what the other has made.
    let by_first = one_of_each(&first, "by-first").await;
    for path in &by_first {
        second.get(path).await.expect(200);
    }
    assert_eq!(blobs(&one), [(1, 4), (2, 4)]);
    let by_second = one_of_each(&second, "by-second").await;
    for path in &by_second {
        first.get(path).await.expect(200);
    }
    assert_eq!(blobs(&one), [(1, 4), (2, 8)]);
    // A change seals anew what it is sent, and leaves what it is not sent.
    first.put(&by_first[2], sealed_hook("by-first", "changed")).await.expect(200);
    assert_eq!(
        second.get(&by_first[2]).await.expect(200).json()["channel"]["config"]["headers"][0]["value"],
        "changed"
    );
    sound(&one, 12);
}

#[tokio::test]
async fn resealing_moves_every_value_and_changes_nothing_that_is_shown() {
    let server = Server::start_with(&[REMEMBERING], Parts::default()).await;
    let client = server.org("acme").await;
    let mut paths = one_of_each(&client, "a").await;
    one_of_each(&server.org("other").await, "b").await;
    client.create_key(key_of(&rsa_jwk("rsa"))).await;
    paths.extend(["/keys".to_owned(), format!("{}?format=pem", paths[4])]);
    let mut before = Vec::new();
    for path in &paths {
        before.push(client.get(path).await.expect(200));
    }
    server.clock.advance(std::time::Duration::from_secs(3600));
    stdout(&keyring(&server, &["rotate"]));
    let resealed = stdout(&keyring(&server, &["reseal"]));
    assert_eq!(resealed, "9 value(s) sealed anew under term 2, 0 left under older terms\n");
    assert_eq!(blobs(&server), [(1, 0), (2, 9)]);
    sound(&server, 9);
    for (path, before) in paths.iter().zip(&before) {
        let after = client.get(path).await.expect(200);
        assert_eq!((&after.text, after.header("etag")), (&before.text, before.header("etag")), "{path}");
    }
    // A node that starts now has not remembered anything.
    let other = server.beside().await;
    let (_, token) = server.token("acme", &["all"], None).await;
    let other = other.with_authorization(Some(&format!("SSWS {token}")));
    assert_eq!(other.get(&paths[4]).await.expect(200).text, before[4].text);
    let again = stdout(&keyring(&server, &["reseal"]));
    assert_eq!(again, "0 value(s) sealed anew under term 2, 0 left under older terms\n");
}

#[tokio::test]
async fn a_term_goes_when_nothing_needs_it_and_no_node_seals_under_it_again() {
    let one = Server::start().await;
    let client = one.org("acme").await;
    let two = one.beside().await;
    let (_, token) = one.token("acme", &["all"], None).await;
    let second = two.with_authorization(Some(&format!("SSWS {token}")));
    let paths = one_of_each(&client, "a").await;
    let retire = |term: &str| keyring(&one, &["retire", term]);
    for (term, refusal) in [
        ("1", "term 1 seals new values: make another one with `hook-keys keyring rotate` first"),
        ("2", "there is no term 2: `hook-keys keyring status` shows those there are"),
        ("4294967295", "there is no term 4294967295"),
    ] {
        let refused = complaint(&retire(term));
        assert!(refused.contains(refusal), "{term}: {refused}");
    }
    stdout(&keyring(&one, &["rotate"]));
    let refused = complaint(&retire("1"));
    assert!(refused.contains("term 1 still seals 4 value(s)"), "{refused}");
    assert!(refused.contains("run `hook-keys keyring reseal`"), "{refused}");
    stdout(&keyring(&one, &["reseal"]));
    assert_eq!(stdout(&retire("1")), "term 1 is retired\n");
    assert_eq!(blobs(&one), [(2, 4)]);
    // This node has neither read nor written since it started, with term 1 alone.
    let more = one_of_each(&second, "b").await;
    assert_eq!(blobs(&one), [(2, 8)]);
    for path in paths.iter().chain(&more) {
        client.get(path).await.expect(200);
        second.get(path).await.expect(200);
    }
    sound(&one, 8);
    // Numbers do not come again.
    stdout(&keyring(&one, &["rotate"]));
    stdout(&keyring(&one, &["reseal"]));
    stdout(&keyring(&one, &["retire", "2"]));
    assert_eq!(blobs(&one), [(3, 8)]);
}

#[tokio::test]
async fn a_value_that_does_not_open_is_told_and_left_and_all_others_are_sealed_anew() {
    let server = Server::start().await;
    let client = server.org("acme").await;
    let [broken, _] = [client.create("a").await, client.create("b").await];
    let id = broken["id"].as_str().unwrap();
    let cut = match &*server.database {
        crate::harness::Database::Sqlite(_) => "CAST(substr(private_key, 1, 60) AS BLOB)",
        crate::harness::Database::Postgres { .. } => "substr(private_key, 1, 60)",
    };
    server.sql(&format!("UPDATE hook_keys SET private_key = {cut} WHERE id = '{id}'"));
    stdout(&keyring(&server, &["rotate"]));
    let output = keyring(&server, &["reseal"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with(&format!("{id}: hook_keys.private_key: sealed value: it does not open")),
        "{text}"
    );
    assert!(text.ends_with("1 value(s) sealed anew under term 2, 1 left under older terms\n"), "{text}");
    let refused = complaint(&keyring(&server, &["retire", "1"]));
    assert!(refused.contains("term 1 still seals 1 value(s)"), "{refused}");
}

#[tokio::test]
async fn what_is_written_while_values_are_sealed_anew_is_never_lost() {
    let server = Server::start().await;
    let client = server.org("acme").await;
    let mut paths = Vec::new();
    for number in 0..4 {
        let made = client.create_hook(sealed_hook(&format!("h{number}"), "0")).await;
        paths.push((path_of_hook(&made), format!("h{number}")));
    }
    let (ended, end) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = paths
        .iter()
        .cloned()
        .map(|(path, name)| {
            let (client, end) = (client.clone(), end.clone());
            tokio::spawn(async move {
                let mut last = 0;
                while !*end.borrow() {
                    last += 1;
                    client.put(&path, sealed_hook(&name, &last.to_string())).await.expect(200);
                    let shown = client.get(&path).await.expect(200).json();
                    assert_eq!(shown["channel"]["config"]["headers"][0]["value"], last.to_string());
                }
                last
            })
        })
        .collect();
    for term in 2..8 {
        let mut steps =
            vec![command(&server, &["keyring", "rotate"]), command(&server, &["keyring", "reseal"])];
        let retired = (term - 1).to_string();
        steps.push(command(&server, &["keyring", "retire", &retired]));
        for mut step in steps {
            let output = tokio::task::spawn_blocking(move || step.output().unwrap()).await.unwrap();
            stdout(&output);
        }
    }
    ended.send(true).unwrap();
    for writer in writers {
        assert!(writer.await.unwrap() > 0);
    }
    assert_eq!(blobs(&server), [(7, 8)]);
    sound(&server, 8);
}

#[tokio::test]
async fn a_number_that_comes_again_after_an_older_state_was_put_back_is_another_term() {
    let server = Server::start().await;
    let client = server.org("acme").await;
    stdout(&keyring(&server, &["rotate"]));
    let lost = path_of(&client.create("sealed under the first term 2").await);
    // What is left of term 2 in a backup from before it. The node goes on and still has its data key.
    client.delete(&lost).await.expect(204);
    server.sql("DELETE FROM keyring WHERE term = 2");
    stdout(&keyring(&server, &["rotate"]));
    client.create("sealed under the second term 2").await;
    assert_eq!(blobs(&server), [(1, 0), (2, 1)]);
    sound(&server, 1);
}
