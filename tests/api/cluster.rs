//! Several nodes on one database behave as one.

use std::time::Duration;

use hook_keys::app::Parts;
use hook_keys::domain::org::OrgName;
use reqwest::Method;
use serde_json::json;

use crate::harness::keys::small_key;
use crate::harness::{
    Answer, Client, FORGETTING, PATIENCE, REMEMBERING, Server, hook, http_channel, oauth_channel, path_of,
    path_of_hook,
};

/// Three nodes, and a client of each that may do everything in one org.
async fn three() -> ([Server; 3], [Client; 3]) {
    let first = Server::start().await;
    first.org("acme").await;
    let (_, token) = first.token("acme", &["all"], None).await;
    let nodes = [first.beside().await, first.beside().await, first];
    let clients = nodes.each_ref().map(|node| node.with_authorization(Some(&format!("SSWS {token}"))));
    (nodes, clients)
}

/// Sends requests at once, in turn to each of the clients.
async fn at_once(
    clients: &[Client],
    many: usize,
    request: impl Fn(usize) -> (Method, String, Option<serde_json::Value>),
) -> Vec<Answer> {
    let sent = (0..many).map(|number| {
        let client = clients[number % clients.len()].clone();
        let (method, path, body) = request(number);
        tokio::spawn(async move { client.send(method, &path, body).await })
    });
    let mut answers = Vec::new();
    for answer in sent.collect::<Vec<_>>() {
        answers.push(answer.await.unwrap());
    }
    answers
}

/// Has the client's requests answered until its node, one of those that remember, looks the token up no more: it then
/// takes one that another hand has revoked.
async fn remember(node: &Server, client: &Client) {
    // Once this is written the node has followed all that was written before, the token too.
    client.create_set("followed").await;
    let begun = std::time::Instant::now();
    loop {
        client.get("/api/v1/hook-keys").await.expect(200);
        node.sql("UPDATE api_tokens SET revoked_ms = 1");
        let taken = client.get("/api/v1/hook-keys").await.status == 200;
        node.sql("UPDATE api_tokens SET revoked_ms = NULL");
        if taken {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "the token was never remembered");
    }
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test]
async fn of_300_concurrent_creates_over_three_nodes_exactly_50_succeed() {
    let (_nodes, clients) = three().await;
    let answers = at_once(&clients, 300, |number| {
        (Method::POST, "/api/v1/hook-keys".to_owned(), Some(json!({ "name": format!("k{number}") })))
    })
    .await;
    assert_eq!((count(&answers, 200), count(&answers, 400)), (50, 250));
    for client in &clients {
        assert_eq!(client.names().await.len(), 50);
    }
}

#[tokio::test]
async fn a_name_is_given_once_however_many_nodes_are_asked() {
    let (_nodes, clients) = three().await;
    let name = || Some(json!({ "name": "same" }));
    let keys = at_once(&clients, 30, |_| (Method::POST, "/api/v1/hook-keys".to_owned(), name())).await;
    assert_eq!((count(&keys, 200), count(&keys, 400)), (1, 29));
    let channel = || http_channel("https://example.com/hook");
    let hooks = at_once(&clients, 30, |_| {
        (Method::POST, "/api/v1/inlineHooks".to_owned(), Some(hook("same", channel())))
    })
    .await;
    assert_eq!((count(&hooks, 200), count(&hooks, 400)), (1, 29));
    let sets = at_once(&clients, 30, |_| (Method::POST, "/key-sets".to_owned(), name())).await;
    assert_eq!((count(&sets, 201), count(&sets, 409)), (1, 29));
    let kids = at_once(&clients, 30, |_| (Method::POST, "/keys".to_owned(), Some(small_key("same")))).await;
    assert_eq!((count(&kids, 201), count(&kids, 409)), (1, 29));
    let puts = at_once(&clients, 30, |number| {
        (Method::PUT, "/key-sets/other".to_owned(), Some(json!({ "tags": [format!("t{number}")] })))
    })
    .await;
    assert_eq!(count(&puts, 200), 30);
    assert_eq!(clients[0].get("/key-sets").await.expect(200).json()["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_that_a_hook_of_another_node_names_is_not_deleted() {
    let (_nodes, [one, two, three]) = three().await;
    let key = one.create("k").await;
    let used = two.use_key(&key, "My hook").await;
    let refused = three.delete(&path_of(&key)).await;
    refused.expect(400);
    assert_eq!(one.get(&path_of(&key)).await.expect(200).json()["isUsed"], true);
    one.post(&format!("{}/lifecycle/deactivate", path_of_hook(&used)), json!({})).await.expect(200);
    three.delete(&path_of_hook(&used)).await.expect(204);
    two.delete(&path_of(&key)).await.expect(204);
}

#[tokio::test]
async fn a_key_is_either_used_or_deleted_when_two_nodes_are_asked_at_once() {
    let (_nodes, clients) = three().await;
    let (mut used, mut deleted) = (0, 0);
    for round in 0..12 {
        let key = clients[0].create(&format!("k{round}")).await;
        let channel = oauth_channel("https://example.com/token", "https://example.com/hook", &key);
        let answers = at_once(&clients, 3, |number| match number {
            0 => (
                Method::POST,
                "/api/v1/inlineHooks".to_owned(),
                Some(hook(&format!("h{round}"), channel.clone())),
            ),
            _ => (Method::DELETE, path_of(&key), None),
        })
        .await;
        let [hook, deletes @ ..] = &answers[..] else { unreachable!() };
        let gone = count(deletes, 204);
        match hook.status.as_u16() {
            200 => {
                assert_eq!(gone, 0, "a key that a hook names was deleted");
                used += 1;
            }
            400 => {
                assert_eq!(gone, 1, "the hook was refused and the key is still there");
                deleted += 1;
            }
            other => panic!("creating the hook answered {other}: {}", hook.text),
        }
    }
    assert_eq!(used + deleted, 12);
}

#[tokio::test]
async fn a_token_that_was_revoked_is_refused_at_once_by_its_node_and_soon_by_the_others() {
    let one = Server::start().await;
    let two = one.beside().await;
    one.org("acme").await;
    for _ in 0..5 {
        let (id, token) = one.token("acme", &["all"], None).await;
        let header = format!("SSWS {token}");
        let [here, there] = [&one, &two].map(|node| node.with_authorization(Some(&header)));
        for client in [&here, &there, &here, &there] {
            client.get("/api/v1/hook-keys").await.expect(200);
        }
        one.tokens.revoke(id).await.unwrap();
        here.get("/api/v1/hook-keys").await.expect(401);
        there.until("/api/v1/hook-keys", 401).await;
    }
}

#[tokio::test]
async fn a_token_is_looked_up_once_and_again_when_a_change_tells_of_it() {
    let server = Server::start_with(&[REMEMBERING], Parts::default()).await;
    let acme = server.org("acme").await;
    acme.until("/readyz", 200).await;
    acme.get("/api/v1/hook-keys").await.expect(200);
    server.sql("UPDATE api_tokens SET revoked_ms = 1");
    for _ in 0..3 {
        acme.get("/api/v1/hook-keys").await.expect(200);
    }
    server.sql("INSERT INTO changes (entity, id) SELECT 'something new', id FROM api_tokens");
    server.sql("INSERT INTO changes (entity, id) SELECT 'api_tokens', id FROM api_tokens");
    acme.until("/api/v1/hook-keys", 401).await;
}

#[tokio::test]
async fn a_node_notices_that_the_database_was_put_back_to_an_older_state() {
    let server = Server::start_with(&[REMEMBERING], Parts::default()).await;
    let acme = server.org("acme").await;
    for name in ["a", "b", "c"] {
        acme.create_set(name).await;
    }
    remember(&server, &acme).await;
    // As a restore does: changes are counted from an earlier number on.
    server.sql("DELETE FROM changes WHERE rev > 4");
    server.sql("UPDATE api_tokens SET revoked_ms = 1");
    acme.until("/api/v1/hook-keys", 401).await;
}

#[tokio::test]
async fn every_write_leaves_a_change_and_no_read_does() {
    let server = Server::start().await;
    let changes = || server.database.texts("SELECT entity AS text FROM changes ORDER BY rev");
    let acme = server.org("acme").await;
    assert_eq!(changes(), ["keyring", "orgs", "api_tokens"]);
    let key = acme.create("k").await;
    let used = acme.use_key(&key, "h").await;
    let (key, hook) = (path_of(&key), path_of_hook(&used));
    let name = |name: &str| Some(json!({ "name": name }));
    let tags = || Some(json!({ "tags": ["t"] }));
    let keyed = |more: &str| Some(small_key(more));
    let writes = [
        (Method::PUT, key.clone(), name("renamed"), "hook_keys"),
        (Method::POST, hook.clone(), name("other"), "inline_hooks"),
        (Method::POST, format!("{hook}/lifecycle/deactivate"), None, "inline_hooks"),
        (Method::POST, format!("{hook}/lifecycle/activate"), None, "inline_hooks"),
        (Method::POST, format!("{hook}/lifecycle/deactivate"), None, "inline_hooks"),
        (Method::DELETE, hook.clone(), None, "inline_hooks"),
        (Method::DELETE, key.clone(), None, "hook_keys"),
        (Method::POST, "/key-sets".to_owned(), name("s"), "key_sets"),
        (Method::PUT, "/key-sets/s".to_owned(), tags(), "key_sets"),
        (Method::PATCH, "/key-sets/s".to_owned(), tags(), "key_sets"),
        (Method::PUT, "/keys/k".to_owned(), keyed("1"), "keys"),
        (Method::PUT, "/keys/k".to_owned(), keyed("2"), "keys"),
        (Method::PATCH, "/keys/k".to_owned(), tags(), "keys"),
        (Method::PUT, "/keys/k/set".to_owned(), name("of-k"), "keys"),
        (Method::PATCH, "/keys/k/set".to_owned(), tags(), "key_sets"),
        (Method::DELETE, "/keys/k".to_owned(), None, "keys"),
        (Method::DELETE, "/key-sets/s".to_owned(), None, "key_sets"),
    ];
    for (method, path, body, entity) in writes {
        let before = changes().len();
        let body = body.or((method == Method::POST).then(|| json!({})));
        let answer = acme.send(method.clone(), &path, body).await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.text);
        let after = changes();
        assert!(after.len() > before, "{method} {path} left no change");
        assert_eq!(after.last().unwrap(), entity, "{method} {path}");
    }
    let before = changes().len();
    for path in ["/api/v1/hook-keys", "/api/v1/inlineHooks", "/keys", "/key-sets", "/tags"] {
        acme.get(path).await.expect(200);
    }
    acme.delete("/keys/none").await.expect(204);
    acme.post("/key-sets", json!({ "name": "" })).await.expect(400);
    assert_eq!(changes().len(), before);
}

#[tokio::test]
async fn with_no_rows_to_remember_every_request_looks_a_token_up() {
    let server = Server::start_with(&[FORGETTING], Parts::default()).await;
    let acme = server.org("acme").await;
    acme.until("/readyz", 200).await;
    acme.get("/api/v1/hook-keys").await.expect(200);
    server.sql("UPDATE api_tokens SET revoked_ms = 1");
    acme.get("/api/v1/hook-keys").await.expect(401);
}

#[tokio::test]
async fn an_org_that_was_deleted_on_one_node_is_soon_gone_from_the_others() {
    let one = Server::start().await;
    let two = one.beside().await;
    one.org("acme").await;
    let elsewhere = two.client("acme", &["all"]).await;
    elsewhere.create("k").await;
    one.orgs.delete(OrgName::parse("acme").unwrap(), true).await.unwrap();
    elsewhere.until("/api/v1/hook-keys", 401).await;
    elsewhere.post("/api/v1/hook-keys", json!({ "name": "k" })).await.expect(401);
}

#[tokio::test]
async fn a_use_on_one_node_keeps_a_token_alive_on_the_others() {
    let one = Server::start().await;
    let two = one.beside_with(&[REMEMBERING]).await;
    one.org("acme").await;
    let (_, token) = one.token("acme", &["all"], None).await;
    let header = format!("SSWS {token}");
    let [here, there] = [&one, &two].map(|node| node.with_authorization(Some(&header)));
    remember(&two, &there).await;
    two.tokens.flush_uses().await.unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    for _ in 0..2 {
        one.clock.advance(20 * day);
        here.get("/api/v1/hook-keys").await.expect(200);
        one.tokens.flush_uses().await.unwrap();
    }
    there.get("/api/v1/hook-keys").await.expect(200);
    one.clock.advance(31 * day);
    there.get("/api/v1/hook-keys").await.expect(401);
}

#[tokio::test]
async fn a_write_is_there_at_once_where_it_was_made_and_soon_on_every_node() {
    let (_nodes, clients) = three().await;
    for round in 0..10 {
        let key = clients[round % 3].create(&format!("k{round}")).await;
        let path = path_of(&key);
        for client in &clients {
            client.get(&path).await.expect(200);
        }
        let name = format!("renamed {round}");
        let writer = &clients[(round + 1) % 3];
        writer.put(&path, json!({ "name": name })).await.expect(200);
        assert_eq!(writer.get(&path).await.json()["name"], name);
        for client in &clients {
            client.until_is(&path, |key| key["name"] == name).await;
        }
    }
}

#[tokio::test]
async fn a_node_tells_that_it_lives_and_that_it_is_ready_without_a_token() {
    let server = Server::start().await;
    let nobody = server.with_authorization(None);
    assert_eq!(nobody.get("/healthz").await.expect(200).json(), json!({ "status": "alive" }));
    // From the first request on.
    assert_eq!(nobody.get("/readyz").await.expect(200).json()["status"], "ready");
}
