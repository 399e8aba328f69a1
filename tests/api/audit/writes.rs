//! Every write, every reveal and every call of a hook has its row.

use hook_keys::domain::org::OrgName;
use serde_json::json;

use super::{events, last, name, rows, rows_of};
use crate::harness::keys::{ec_jwk, key_of, small_key};
use crate::harness::service::Service;
use crate::harness::{Server, hook, http_channel, path_of, path_of_hook};

#[tokio::test]
async fn every_write_of_a_hook_key_has_one_row_that_says_who_what_when_and_from_where() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let answer = acme.post("/api/v1/hook-keys", name("first")).await.expect(200);
    let key = answer.json();
    let created = last(&acme).await;
    assert_eq!(created["eventType"], "system.hook.key.created");
    assert_eq!(created["outcome"], json!({ "result": "SUCCESS", "reason": null }));
    assert_eq!(created["published"], "2026-01-31T23:59:58.765Z", "to the millisecond");
    assert_eq!(created["transaction"]["id"], answer.header("x-okta-request-id").unwrap());
    assert_eq!(created["client"]["ipAddress"], "127.0.0.1");
    assert_eq!(created["request"]["ipChain"][0]["ip"], "127.0.0.1");
    assert_eq!(
        (&created["actor"]["type"], &created["actor"]["displayName"]),
        (&json!("ApiToken"), &json!("test"))
    );
    let token = created["actor"]["id"].as_str().unwrap();
    assert!(token.starts_with("00T"), "{token}");
    assert_eq!(created["transaction"]["detail"]["requestApiTokenId"], token);
    let told = json!({ "hook_key_id": key["id"], "hook_key_name": "first", "key_alias": key["keyId"] });
    assert_eq!(created["debugContext"]["debugData"], told);
    let target = &created["target"][0];
    assert_eq!((&target["id"], &target["alternateId"]), (&key["id"], &key["keyId"]));

    acme.put(&path_of(&key), name("second")).await.expect(200);
    let updated = last(&acme).await;
    assert_eq!(updated["debugContext"]["debugData"]["hook_key_name"], "second", "the name that it has now");
    acme.delete(&path_of(&key)).await.expect(204);
    assert_eq!(last(&acme).await["target"][0]["displayName"], "second", "the name that it had");
    let expected = ["created", "updated", "deleted"].map(|what| format!("system.hook.key.{what} SUCCESS"));
    assert_eq!(rows(&server), expected);
}

#[tokio::test]
async fn every_write_of_an_inline_hook_has_one_row_and_what_changes_nothing_has_none() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let body = hook("h", http_channel("https://example.com/"));
    let made = acme.create_hook(body.clone()).await;
    let path = path_of_hook(&made);
    acme.put(&path, body).await.expect(200);
    acme.post(&path, name("renamed")).await.expect(200);
    for step in ["deactivate", "deactivate", "activate", "activate", "deactivate"] {
        acme.post(&format!("{path}/lifecycle/{step}"), json!({})).await.expect(200);
    }
    acme.delete(&path).await.expect(204);
    let kinds = ["created", "updated", "updated", "deactivated", "activated", "deactivated", "deleted"];
    assert_eq!(rows(&server), kinds.map(|kind| format!("inline_hook.{kind} SUCCESS")));
    assert_eq!(last(&acme).await["target"][0]["displayName"], "renamed");
}

#[tokio::test]
async fn every_write_of_keys_and_key_sets_has_one_row_and_those_that_go_with_a_set_have_theirs() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    acme.post("/key-sets", name("s")).await.expect(201);
    acme.put("/key-sets/s", json!({})).await.expect(200);
    acme.put("/key-sets", name("t")).await.expect(200);
    acme.patch("/key-sets/t", json!({ "tags": ["x"] })).await.expect(200);
    let key = acme.create_key(small_key("a")).await;
    let path = format!("/keys/{}", key["id"].as_str().unwrap());
    let request = acme.put(&format!("{path}/set"), name("u")).await.expect(200);
    acme.patch(&format!("{path}/set"), json!({ "tags": ["x"] })).await.expect(200);
    acme.patch(&path, name("k")).await.expect(200);
    acme.put("/keys/k", small_key("a")).await.expect(200);
    acme.put("/key-sets/s/keys/k2", small_key("b")).await.expect(200);
    acme.post("/key-sets/s/keys", small_key("c")).await.expect(201);
    acme.delete("/keys/k").await.expect(204);
    acme.delete("/keys/k").await.expect(204);
    let gone = acme.delete("/key-sets/s").await.expect(204);
    acme.delete("/key-sets/s").await.expect(204);
    let expected = [
        "key_set.created",
        "key_set.updated",
        "key_set.created",
        "key_set.updated",
        "key.created",
        "key_set.created",
        "key.updated",
        "key_set.updated",
        "key.updated",
        "key.updated",
        "key.created",
        "key.created",
        "key.deleted",
        "key_set.deleted",
        "key.deleted",
        "key.deleted",
    ];
    assert_eq!(rows(&server), expected.map(|kind| format!("kong.{kind} SUCCESS")));
    let events = events(&acme).await;
    let of = |answer: &crate::harness::Answer| {
        let id = answer.header("x-kong-request-id").unwrap().to_owned();
        events.iter().filter(|event| event["transaction"]["id"] == *id).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of(&request).len(), 2, "the set that was made and the key that was moved");
    let deleted = of(&gone);
    let kids: Vec<_> = deleted.iter().map(|event| event["target"][0]["alternateId"].clone()).collect();
    assert!(kids.len() == 3 && kids.contains(&json!("b")) && kids.contains(&json!("c")), "{kids:?}");
    let mut ids: Vec<_> = events.iter().map(|event| event["uuid"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), events.len(), "every event has an id of its own");
}

#[tokio::test]
async fn a_private_half_is_shown_only_with_a_row_and_a_public_one_without() {
    let server = Server::start().await;
    let all = server.org("acme").await;
    let private = all.create_key(key_of(&ec_jwk("private"))).await;
    let path = format!("/keys/{}", private["id"].as_str().unwrap());
    all.create_key(small_key("public")).await;
    all.create_key(key_of(&ec_jwk("other"))).await;
    let before = rows(&server).len();
    let reader = server.client("acme", &["keys.read"]).await;
    for path in [path.as_str(), "/keys", "/keys?size=1", "/key-sets", "/tags"] {
        reader.get(path).await.expect(200);
    }
    assert_eq!(rows(&server).len(), before, "a reader reveals nothing");
    let revealer = server.client("acme", &["keys.reveal"]).await;
    for (path, kids) in [
        (path.clone(), vec!["private"]),
        (format!("{path}?format=pem"), vec!["private"]),
        ("/keys".to_owned(), vec!["private", "other"]),
    ] {
        let before = rows(&server).len();
        let answer = revealer.get(&path).await.expect(200);
        assert!(answer.text.contains("\\\"d\\\"") || answer.text.contains("PRIVATE KEY"), "{}", answer.text);
        let row = last(&all).await;
        assert_eq!(
            (rows(&server).len(), &row["eventType"]),
            (before + 1, &json!("kong.key.revealed")),
            "{path}"
        );
        assert_eq!(row["transaction"]["id"], answer.header("x-kong-request-id").unwrap());
        let shown = row["target"].as_array().unwrap().iter();
        let mut shown: Vec<_> = shown.map(|target| target["alternateId"].as_str().unwrap()).collect();
        shown.sort_unstable_by_key(|kid| kids.iter().position(|known| known == kid));
        assert_eq!(shown, kids, "{path}");
    }
    let before = rows(&server).len();
    all.delete(&path).await.expect(204);
    revealer.get("/keys?size=1000&tags=none").await.expect(200);
    assert_eq!(rows(&server).len(), before + 1, "a list that shows no private half reveals none");
    let other = all.get("/keys").await.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == "other")
        .cloned();
    let path = format!("/keys/{}", other.unwrap()["id"].as_str().unwrap());
    let patched = all.patch(&path, json!({ "tags": ["x"] })).await.expect(200);
    assert!(patched.text.contains("\\\"d\\\""), "{}", patched.text);
    let both: Vec<_> = rows(&server).split_off(before + 2);
    assert_eq!(
        both,
        ["kong.key.updated SUCCESS", "kong.key.revealed SUCCESS"],
        "the answer to a write shows it too"
    );
}

#[tokio::test]
async fn nothing_is_revealed_when_no_row_can_be_written() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create_key(key_of(&ec_jwk("k"))).await;
    let path = format!("/keys/{}", key["id"].as_str().unwrap());
    let reader = server.client("acme", &["keys.read"]).await;
    server.sql("ALTER TABLE audit_events RENAME TO elsewhere");
    for path in [path.as_str(), "/keys"] {
        for query in ["", "?format=pem"] {
            let refused = acme.get(&format!("{path}{query}")).await.expect(503);
            assert!(!refused.text.contains("jwk") && !refused.text.contains("PRIVATE"), "{}", refused.text);
        }
    }
    reader.get(&path).await.expect(200);
    server.sql("ALTER TABLE elsewhere RENAME TO audit_events");
    acme.get(&path).await.expect(200);
}

#[tokio::test]
async fn every_call_of_a_hook_has_one_row_that_says_how_it_ended() {
    let server = Server::start_with_hooks().await;
    let acme = server.org("acme").await;
    let receiver = Service::answering(json!({ "commands": [] }));
    let good = acme.create_hook(hook("good", http_channel(&receiver.base))).await;
    let bad = acme.create_hook(hook("bad", http_channel("http://127.0.0.1:1/"))).await;
    let made = rows(&server).len();
    acme.post(&(path_of_hook(&good) + "/execute"), json!({ "secret": "in the body" })).await.expect(200);
    let row = last(&acme).await;
    assert_eq!(
        (&row["eventType"], &row["outcome"]["result"]),
        (&json!("inline_hook.executed"), &json!("SUCCESS"))
    );
    assert_eq!(row["target"][0]["displayName"], "good");
    acme.post(&(path_of_hook(&bad) + "/execute"), json!({})).await.expect(400);
    let row = last(&acme).await;
    assert_eq!(row["outcome"]["result"], "FAILURE");
    let reason = row["outcome"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("UNREACHABLE: hook: "), "{reason}");
    acme.post(&(path_of_hook(&bad) + "/lifecycle/deactivate"), json!({})).await.expect(200);
    acme.post(&(path_of_hook(&bad) + "/execute"), json!({})).await.expect(400);
    let row = last(&acme).await;
    assert!(row["outcome"]["reason"].as_str().unwrap().contains("inactive"), "{row}");
    let calls = rows(&server).split_off(made);
    let calls: Vec<_> = calls.iter().filter(|row| row.starts_with("inline_hook.executed")).collect();
    assert_eq!(calls.len(), 3, "one row a call");
}

#[tokio::test]
async fn what_operators_do_has_rows_too_and_those_of_an_org_outlive_it() {
    let server = Server::start().await;
    let org = || OrgName::parse("acme").unwrap();
    let acme = server.org("acme").await;
    acme.create("key").await;
    let (id, _) = server.token("acme", &["all"], None).await;
    server.tokens.revoke(id.clone()).await.unwrap();
    server.tokens.revoke(id).await.unwrap();
    server.orgs.set_hook_key_limit(org(), Some(3)).await.unwrap();
    let seen = events(&acme).await;
    let kinds: Vec<_> = seen.iter().map(|event| event["eventType"].as_str().unwrap()).collect();
    let expected = [
        "hook_keys.org.created",
        "system.api_token.create",
        "system.hook.key.created",
        "system.api_token.create",
        "system.api_token.revoke",
        "hook_keys.org.updated",
    ];
    assert_eq!(kinds, expected, "the org sees what was done to it");
    assert_eq!(
        (&seen[0]["actor"]["type"], &seen[0]["transaction"]["type"]),
        (&json!("Operator"), &json!("JOB"))
    );
    assert!(!seen[0]["actor"]["displayName"].as_str().unwrap().is_empty());
    server.orgs.delete(org(), true).await.unwrap();
    assert_eq!(rows_of(&server, "command").last().unwrap(), "hook_keys.org.deleted SUCCESS");
    assert_eq!(rows(&server), ["system.hook.key.created SUCCESS"]);
}
