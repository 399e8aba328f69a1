//! Writes that are refused have a row too.

use serde_json::json;

use super::{events, last, name, rows};
use crate::harness::keys::{ec_jwk, key_of};
use crate::harness::{Client, Server, path_of};
use hook_keys::app::Parts;

#[tokio::test]
async fn every_refused_write_of_a_known_caller_has_one_row_with_what_the_caller_was_told() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("name").await;
    let reader = server.client("acme", &["okta.inlineHooks.read", "keys.read"]).await;
    let id = "2033cb3d-ef3b-4f6d-0395-bc3c2d5a0e4f";
    let before = rows(&server).len();
    let told = [
        (
            acme.post("/api/v1/hook-keys", name("name")).await.expect(400),
            "hook.key.created",
            "already exists",
        ),
        (
            acme.post("/api/v1/hook-keys", json!({})).await.expect(400),
            "hook.key.created",
            "cannot be left blank",
        ),
        (
            acme.put(&path_of(&key), json!([])).await.expect(400),
            "hook.key.updated",
            "the body is not well-formed JSON",
        ),
        (
            acme.post("/api/v1/hook-keys", (0..200).fold(json!(1), |inner, _| json!([inner])))
                .await
                .expect(400),
            "hook.key.created",
            "the JSON of the body is nested deeper than 64 levels",
        ),
        (
            acme.patch(&format!("/keys/{id}"), json!([])).await.expect(400),
            "kong.key.updated",
            "Cannot parse JSON body",
        ),
        (
            acme.delete("/api/v1/hook-keys/HKY0000000000000None").await.expect(404),
            "hook.key.deleted",
            "no HookKey",
        ),
        (reader.delete(&path_of(&key)).await.expect(403), "hook.key.deleted", "lack the permission"),
        (
            reader.post("/api/v1/inlineHooks", json!({})).await.expect(403),
            "inline_hook.created",
            "lack the permission",
        ),
        (
            acme.post("/api/v1/inlineHooks/cal0000000000000None/execute", json!({})).await.expect(404),
            "inline_hook.executed",
            "no InlineHook",
        ),
        (reader.delete(&format!("/keys/{id}")).await.expect(403), "kong.key.deleted", "lack the permission"),
        (acme.post("/keys/", json!({ "kid": "" })).await.expect(400), "kong.key.created", "kid"),
        (
            acme.patch(&format!("/keys/{id}"), name("x")).await.expect(404),
            "kong.key.updated",
            "nothing has the id",
        ),
        (
            acme.patch("/key-sets/none", name("x")).await.expect(404),
            "kong.key_set.updated",
            "nothing has the name",
        ),
        (acme.put(&format!("/keys/{id}/set"), name("x")).await.expect(404), "kong.key_set.updated", id),
    ];
    let rows = rows(&server).split_off(before);
    assert_eq!(rows.len(), told.len(), "{rows:#?}");
    let events = events(&acme).await;
    for (answer, kind, reason) in told {
        let header = ["x-okta-request-id", "x-kong-request-id"].iter().find_map(|name| answer.header(name));
        let event = events.iter().find(|event| event["transaction"]["id"] == *header.unwrap()).unwrap();
        assert!(event["eventType"].as_str().unwrap().ends_with(kind), "{event}");
        assert_eq!((&event["outcome"]["result"], &event["severity"]), (&json!("FAILURE"), &json!("WARN")));
        let told = event["outcome"]["reason"].as_str().unwrap();
        assert!(told.contains(reason) && !told.contains("(\""), "{event}");
        assert_eq!(event["client"]["ipAddress"], "127.0.0.1");
    }
    let refused =
        events.iter().find(|event| event["outcome"]["reason"] == "the credentials lack the permission");
    assert_eq!(refused.unwrap()["target"][0]["id"], key["id"], "what was aimed at");
    assert_ne!(refused.unwrap()["actor"]["id"], events[2]["actor"]["id"], "and by whom");
}

#[tokio::test]
async fn reads_trials_and_callers_without_a_token_have_no_row() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("name").await;
    let before = rows(&server);
    let nobody = server.with_authorization(None);
    let stranger = server.with_authorization(Some(&format!("SSWS 00{}", "x".repeat(40))));
    for client in [&nobody, &stranger] {
        client.delete(&path_of(&key)).await;
        client.post("/keys", json!({})).await;
    }
    for path in
        ["/api/v1/hook-keys", &path_of(&key), "/api/v1/hook-keys/x", "/keys", "/keys/x", "/key-sets", "/"]
    {
        acme.get(path).await;
    }
    let keyless = server.client("acme", &["keys.read"]).await;
    keyless.get("/api/v1/hook-keys").await.expect(403);
    acme.post("/schemas/keys/validate", json!({})).await.expect(400);
    acme.post("/nowhere", json!({})).await.expect(404);
    acme.patch("/api/v1/hook-keys", json!({})).await.expect(405);
    acme.send(reqwest::Method::OPTIONS, "/keys", None).await.expect(204);
    assert_eq!(rows(&server), before);
}

#[tokio::test]
async fn no_row_holds_a_secret_that_a_refused_or_accepted_request_brought() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let jwk = ec_jwk("k");
    let number = jwk["d"].as_str().unwrap();
    acme.create_key(key_of(&jwk)).await;
    acme.get("/keys").await.expect(200);
    acme.post("/keys", key_of(&jwk)).await.expect(409);
    acme.post("/keys", json!({ "kid": jwk.to_string(), "jwk": jwk.to_string() })).await.expect(400);
    acme.post("/keys", json!({ "kid": "other", "jwk": jwk.to_string() })).await.expect(400);
    acme.put(&format!("/keys/{}", number.repeat(3)), key_of(&jwk)).await;
    let scheme = json!({ "type": "HEADER", "key": "X-Key", "value": "s3cret" });
    let config = json!({ "uri": "http://user:s3cret@example.com/", "authScheme": scheme, "headers": [{ "key": "a", "value": "s3cret" }] });
    let channel = json!({ "type": "HTTP", "version": "1.0.0", "config": config });
    acme.post("/api/v1/inlineHooks", crate::harness::hook("h", channel)).await.expect(400);
    let held = server.database.texts(
        "SELECT coalesce(reason, '') || targets || coalesce(actor_id, '') || actor_name AS text FROM audit_events",
    );
    assert!(held.len() >= 8, "{held:#?}");
    for row in held {
        assert!(!row.contains(number) && !row.contains("s3cret"), "{row}");
    }
}

/// A client whose name in the path is nobody's id leaves no name behind.
#[tokio::test]
async fn a_refusal_tells_what_the_path_named_only_if_it_was_an_id() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let target = async |client: &Client, path: &str| {
        client.delete(path).await;
        last(client).await["target"].clone()
    };
    assert_eq!(target(&acme, "/api/v1/hook-keys/whatever%20this%20is").await, json!([]));
    let id = "2033CB3D-ef3b-4f6d-0395-bc3c2d5a0e4f";
    acme.create_set("s").await;
    let named = target(&acme, &format!("/key-sets/s/keys/{id}")).await;
    assert_eq!((&named[0]["id"], named.as_array().unwrap().len()), (&json!(id.to_lowercase()), 1));
}

#[tokio::test]
async fn a_write_beyond_the_rate_limit_has_no_row() {
    let server = Server::start_with(&[("HOOK_KEYS_RATE_LIMITS_REQUESTS", "2")], Parts::default()).await;
    let acme = server.org("acme").await;
    acme.create("a").await;
    acme.post("/api/v1/hook-keys", name("a")).await.expect(400);
    acme.post("/api/v1/hook-keys", name("b")).await.expect(429);
    acme.delete("/keys/none").await.expect(429);
    assert_eq!(rows(&server), ["system.hook.key.created SUCCESS", "system.hook.key.created FAILURE"]);
}
