//! Answers to GET: their entity tags, 304, gzip, and which of them are from memory.

use std::io::Read as _;

use flate2::read::GzDecoder;
use hook_keys::app::Parts;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::keys::small_key;
use crate::harness::{Answer, Client, Server, hook, http_channel, path_of, path_of_hook, spec};

/// Remembers, whatever other tests are told to do.
const REMEMBERING: [(&str, &str); 1] = [("HOOK_KEYS_CACHE_MAX_ROWS", "1000")];

/// A GET with headers.
async fn get(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = client.request(Method::GET, path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Answer::of(request, &Method::GET, path).await
}

/// A GET that asks for gzip: how it was encoded, its tag, and its text.
async fn get_gzip(client: &Client, path: &str, accept: &str) -> (Option<String>, String, String) {
    let request = client.request(Method::GET, path).header("Accept-Encoding", accept);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    assert_eq!(answer.headers()["vary"], "Accept-Encoding");
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (encoding, etag) = (header("content-encoding"), header("etag").unwrap());
    let bytes = answer.bytes().await.unwrap();
    let mut text = String::new();
    match encoding.as_deref() {
        Some("gzip") => GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap(),
        _ => (&*bytes).read_to_string(&mut text).unwrap(),
    };
    (encoding, etag, text)
}

/// An org with one of everything, and the paths of all operations that are GET.
async fn one_of_everything(client: &Client) -> Vec<String> {
    let key = client.create("k").await;
    let made = client.create_hook(hook("h", http_channel("https://example.com/hook"))).await;
    client.post("/key-sets", json!({ "name": "set", "tags": ["t"] })).await.expect(201);
    client.post("/key-sets/set/keys", small_key("own")).await.expect(201);
    let brought = client.get("/keys").await.json()["data"][0]["id"].as_str().unwrap().to_owned();
    let gets = spec::operations().iter().filter(|operation| operation.method == Method::GET);
    let paths = gets.map(|operation| {
        let id = if operation.path.contains("inlineHooks") { &made["id"] } else { &key["id"] };
        operation
            .path
            .replace("{id}", id.as_str().unwrap())
            .replace("{keyId}", key["keyId"].as_str().unwrap())
            .replace("{set}", "set")
            .replace("{key}", &brought)
            .replace("{tag}", "t")
            .replace("{entity}", "keys")
    });
    paths.collect()
}

#[tokio::test]
async fn every_get_has_a_tag_and_who_sends_it_back_gets_304_and_no_body() {
    let server = Server::start().await;
    let all = server.org("acme").await;
    let reader = server.client("acme", &["okta.inlineHooks.read", "okta.logs.read", "keys.read"]).await;
    for path in one_of_everything(&all).await {
        for client in [&all, &reader] {
            let first = client.get(&path).await.expect(200);
            let etag = first.header("etag").unwrap_or_else(|| panic!("{path} has no tag")).to_owned();
            let again = get(client, &path, &[("If-None-Match", &etag)]).await.expect(304);
            assert_eq!((again.header("etag"), &*again.text), (Some(&*etag), ""), "{path}");
            assert_eq!(again.header("vary"), Some("Accept-Encoding"));
            let head = client.request(Method::HEAD, &path).header("If-None-Match", &etag);
            let head = Answer::of(head, &Method::HEAD, &path).await.expect(304);
            assert_eq!(head.header("etag"), Some(&*etag), "{path}");
        }
    }
}

#[tokio::test]
async fn a_tag_is_the_same_on_every_node_and_changes_with_the_answer_alone() {
    let one = Server::start().await;
    let two = one.beside().await;
    let here = one.org("acme").await;
    let there = two.client("acme", &["all"]).await;
    let key = here.create("first").await;
    let path = path_of(&key);
    let tag = async |client: &Client| client.get(&path).await.header("etag").unwrap().to_owned();
    let first = tag(&here).await;
    assert_eq!(tag(&there).await, first);
    here.create("other").await;
    assert_eq!(tag(&here).await, first, "another key was made");
    here.use_key(&key, "h").await;
    let used = tag(&here).await;
    assert_ne!(used, first, "it is used now");
    let stale = get(&here, &path, &[("If-None-Match", &first)]).await.expect(200);
    assert_eq!(stale.json()["isUsed"], true);
    there.until_is(&path, |key| key["isUsed"] == true).await;
    assert_eq!(tag(&there).await, used);
}

#[tokio::test]
async fn one_tag_of_a_list_is_enough_and_what_is_no_tag_is_none() {
    let server = Server::start().await;
    let client = server.org("acme").await;
    let path = path_of(&client.create("k").await);
    let etag = client.get(&path).await.header("etag").unwrap().to_owned();
    let (weak, list) = (format!("W/{etag}"), format!("\"other\", {etag}"));
    for given in [&*etag, &*weak, &*list, "*"] {
        get(&client, &path, &[("If-None-Match", given)]).await.expect(304);
    }
    for given in ["\"other\"", "", "W/", etag.trim_matches('"')] {
        get(&client, &path, &[("If-None-Match", given)]).await.expect(200);
    }
    let missing = get(&client, "/api/v1/hook-keys/none", &[("If-None-Match", "*")]).await.expect(404);
    assert_eq!(missing.header("etag"), None);
    let renamed = client.request(Method::PUT, &path).header("If-None-Match", &etag);
    let renamed = Answer::of(renamed.json(&json!({ "name": "n" })), &Method::PUT, &path).await.expect(200);
    assert_eq!(renamed.header("etag"), None, "a write is no GET");
}

#[tokio::test]
async fn a_long_answer_is_compressed_for_who_asks_for_it() {
    let server = Server::start_with(&REMEMBERING, Parts::default()).await;
    let client = server.org("acme").await;
    for number in 0..8 {
        client.create(&format!("k{number}")).await;
    }
    for path in ["/api/v1/hook-keys", "/openapi.yaml", "/schemas/keys"] {
        let plain = client.get(path).await.expect(200);
        let etag = plain.header("etag").unwrap().to_owned();
        // Twice: made the first time, remembered the second.
        for accept in ["gzip", "deflate, gzip;q=0.5", "br, GZIP, identity;q=0.1"] {
            let (encoding, tag, text) = get_gzip(&client, path, accept).await;
            assert_eq!((encoding.as_deref(), &text), (Some("gzip"), &plain.text), "{path}: {accept}");
            assert_eq!(tag, format!("W/{etag}"));
        }
        for accept in ["", "*", "identity", "gzip;q=0", "br", "gzip;q=0.1, identity", "nonsense;;"] {
            let (encoding, tag, text) = get_gzip(&client, path, accept).await;
            assert_eq!((encoding, tag, &text), (None, etag.clone(), &plain.text), "{path}: {accept}");
        }
        let known = [("If-None-Match", &*format!("W/{etag}")), ("Accept-Encoding", "gzip")];
        let unchanged = get(&client, path, &known).await.expect(304);
        assert_eq!(unchanged.header("etag"), Some(known[0].1), "the tag that the answer would have");
        let head = client.request(Method::HEAD, path).header("Accept-Encoding", "gzip").send().await.unwrap();
        assert_eq!(
            (head.status(), head.headers()["content-encoding"].as_bytes()),
            (StatusCode::OK, &b"gzip"[..])
        );
    }
}

#[tokio::test]
async fn short_answers_and_those_that_show_what_is_sealed_are_not_compressed() {
    let server = Server::start().await;
    let client = server.org("acme").await;
    let mut channel = http_channel("https://example.com/hook");
    channel["config"]["headers"] = json!([{ "key": "x-note", "value": "n".repeat(2000) }]);
    let with_headers = client.create_hook(hook("h", channel)).await;
    let short = path_of(&client.create("k").await);
    for kid in ["a", "b", "c", "d", "e", "f"] {
        client.post("/keys", small_key(kid)).await.expect(201);
    }
    let plain = [short, path_of_hook(&with_headers), "/api/v1/inlineHooks".into(), "/keys".into()];
    for path in plain {
        let length = client.get(&path).await.expect(200).text.len();
        assert!(length > 1024 || path.contains("HKY"), "{path}: {length}");
        assert_eq!(get_gzip(&client, &path, "gzip").await.0, None, "{path}");
    }
    let reader = server.client("acme", &["keys.read"]).await;
    assert_eq!(get_gzip(&reader, "/keys", "gzip").await.0.as_deref(), Some("gzip"), "nothing private in it");
}

/// Changes the names of everything with another hand, which nobody notices.
fn rename_everything(server: &Server) {
    for table in ["hook_keys", "inline_hooks", "key_sets"] {
        server.sql(&format!("UPDATE {table} SET name = 'unseen'"));
    }
}

#[tokio::test]
async fn answers_are_from_memory_until_something_they_hang_on_is_written() {
    let server = Server::start_with(&REMEMBERING, Parts::default()).await;
    let client = server.org("acme").await;
    let key = client.create("seen").await;
    let public = format!("/api/v1/hook-keys/public/{}", key["keyId"].as_str().unwrap());
    let made = client.create_hook(hook("seen", http_channel("https://example.com/hook"))).await;
    client.post("/key-sets", json!({ "name": "seen" })).await.expect(201);
    let (key, made) = (path_of(&key), path_of_hook(&made));
    let typed = "/api/v1/inlineHooks?type=com.okta.import.transform";
    let lists = ["/api/v1/hook-keys", "/api/v1/inlineHooks", typed, "/key-sets"];
    let named: Vec<_> = lists.into_iter().chain([&*key, &*made]).collect();
    for path in &named {
        client.get(path).await.expect(200);
    }
    let remembered = client.get(&public).await.expect(200).text;
    rename_everything(&server);
    server.sql("UPDATE hook_keys SET modulus = substr(modulus, 1, 1) || '0000000000' || substr(modulus, 12)");
    for path in &named {
        assert!(client.get(path).await.expect(200).text.contains("\"seen\""), "{path}");
    }
    assert_eq!(client.get(&public).await.text, remembered);

    client.post("/key-sets", json!({ "name": "b" })).await.expect(201);
    assert!(client.get("/key-sets").await.text.contains("unseen"), "sets hang on sets");
    assert!(client.get(&key).await.text.contains("\"seen\""), "keys do not");
    client.create("b").await;
    assert!(client.get("/api/v1/hook-keys").await.text.contains("unseen"), "the list hangs on every key");
    assert!(client.get(&key).await.text.contains("\"seen\""), "a key does not hang on the others");
    assert_eq!(client.get(&public).await.text, remembered);
    client.put(&key, json!({ "name": "renamed" })).await.expect(200);
    assert!(client.get(&key).await.text.contains("renamed"));
    assert!(client.get(&public).await.text.contains("0000000000"));
    assert!(client.get(&made).await.text.contains("\"seen\""), "hooks do not hang on keys");
    server.sql("UPDATE hook_keys SET name = 'unseen' WHERE name = 'renamed'");
    client.create_hook(hook("b", http_channel("https://example.com/hook"))).await;
    for path in &named {
        assert!(client.get(path).await.text.contains("unseen"), "{path}");
    }
}

#[tokio::test]
async fn a_hook_that_shows_what_is_sealed_is_read_every_time() {
    let server = Server::start_with(&REMEMBERING, Parts::default()).await;
    let client = server.org("acme").await;
    let mut channel = http_channel("https://example.com/hook");
    channel["config"]["headers"] = json!([{ "key": "x-note", "value": "shown" }]);
    let path = path_of_hook(&client.create_hook(hook("seen", channel)).await);
    for path in [&path, "/api/v1/inlineHooks"] {
        assert!(client.get(path).await.expect(200).text.contains("\"seen\""));
    }
    rename_everything(&server);
    for path in [&path, "/api/v1/inlineHooks"] {
        assert!(client.get(path).await.expect(200).text.contains("unseen"), "{path}");
    }
}

#[tokio::test]
async fn what_one_org_asked_for_is_not_shown_to_another() {
    let server = Server::start_with(&REMEMBERING, Parts::default()).await;
    let (ours, theirs) = (server.org("acme").await, server.org("other").await);
    let path = path_of(&ours.create("k").await);
    for _ in 0..2 {
        ours.get(&path).await.expect(200);
        theirs.get(&path).await.expect(404);
        assert_eq!(theirs.get("/api/v1/hook-keys").await.json(), json!([]));
        assert_eq!(ours.names().await, ["k"]);
    }
    let less = server.client("acme", &["keys.read"]).await;
    less.get(&path).await.expect(403);
}

#[tokio::test]
async fn links_lead_to_the_host_that_was_asked() {
    let server = Server::start_with(&REMEMBERING, Parts::default()).await;
    let client = server.org("acme").await;
    let path = path_of_hook(&client.create_hook(hook("h", http_channel("https://example.com/hook"))).await);
    for _ in 0..2 {
        for host in ["one.example.com", "two.example.com"] {
            let answer = get(&client, &path, &[("Host", host)]).await.expect(200);
            let link: Value = answer.json()["_links"]["self"]["href"].clone();
            assert_eq!(link, format!("http://{host}{path}"));
        }
    }
}
