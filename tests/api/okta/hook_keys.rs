//! The six operations as callers see them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, oauth_channel, path_of, path_of_hook};

/// The exact text of a key with its public half: member order counts.
fn full_text(key: &Value, name: &str, created: &str, updated: &str) -> String {
    let (id, key_id) = (key["id"].as_str().unwrap(), key["keyId"].as_str().unwrap());
    format!(
        r#"{{"id":"{id}","keyId":"{key_id}","name":"{name}","created":"{created}","lastUpdated":"{updated}","isUsed":false,"_embedded":{}}}"#,
        jwk_text(key)
    )
}

fn jwk_text(key: &Value) -> String {
    let (key_id, n) = (key["keyId"].as_str().unwrap(), key["_embedded"]["n"].as_str().unwrap());
    format!(r#"{{"kty":"RSA","alg":"RSA","kid":"{key_id}","use":null,"e":"AQAB","n":"{n}"}}"#)
}

const BORN: &str = "2026-01-31T23:59:58.000Z";

#[tokio::test]
async fn creating_a_key_answers_200_with_the_key_and_its_public_half() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let answer = acme.post("/api/v1/hook-keys", json!({ "name": "My new key" })).await.expect(200);
    let key = answer.json();
    assert_eq!(answer.text, full_text(&key, "My new key", BORN, BORN));
}

#[tokio::test]
async fn every_key_has_its_own_ids_and_its_own_modulus() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let (a, b) = (acme.create("a").await, acme.create("b").await);
    for member in ["/id", "/keyId", "/_embedded/n"] {
        assert_ne!(a.pointer(member), b.pointer(member), "{member}");
    }
}

#[tokio::test]
async fn getting_a_key_leaves_the_public_half_out_unless_asked() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let created = acme.create("k").await;
    let full = full_text(&created, "k", BORN, BORN);
    let plain = full.split(",\"_embedded\"").next().unwrap().to_owned() + "}";

    assert_eq!(acme.get(&path_of(&created)).await.expect(200).text, plain);
    for query in ["?expand=publickey", "?x=1&expand=publickey&expand=other", "?expand=public%6Bey"] {
        assert_eq!(acme.get(&(path_of(&created) + query)).await.expect(200).text, full, "{query}");
    }
    for query in ["?", "?expand", "?expand=", "?expand=private", "?expand=PublicKey", "?%ff=%", "?embedded=1"]
    {
        assert_eq!(acme.get(&(path_of(&created) + query)).await.expect(200).text, plain, "{query}");
    }
}

#[tokio::test]
async fn the_list_holds_all_keys_in_creation_order_without_their_public_halves() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    assert_eq!(acme.get("/api/v1/hook-keys").await.expect(200).text, "[]");
    for name in ["zebra", "apple", "mango"] {
        acme.create(name).await;
    }
    assert_eq!(acme.names().await, ["zebra", "apple", "mango"]);
    let list = acme.get("/api/v1/hook-keys").await.expect(200);
    assert!(list.text.starts_with("[{\"id\":\"HKY"), "{}", list.text);
    assert!(!list.text.contains("_embedded"), "{}", list.text);
}

#[tokio::test]
async fn both_paths_of_the_public_key_answer_the_bare_jwk() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    let key_id = key["keyId"].as_str().unwrap();
    for path in [format!("/api/v1/hook-keys/{key_id}"), format!("/api/v1/hook-keys/public/{key_id}")] {
        assert_eq!(acme.get(&path).await.expect(200).text, jwk_text(&key), "{path}");
    }
}

#[tokio::test]
async fn renaming_changes_the_name_and_last_updated_and_nothing_else() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let created = acme.create("before").await;
    server.clock.advance(Duration::from_secs(3));
    let answer = acme.put(&path_of(&created), json!({ "name": "after" })).await.expect(200);
    assert_eq!(answer.text, full_text(&created, "after", BORN, "2026-02-01T00:00:01.000Z"));
    let seen = acme.get(&(path_of(&created) + "?expand=publickey")).await.expect(200);
    assert_eq!(seen.text, answer.text);
}

#[tokio::test]
async fn a_key_can_be_given_the_name_it_has() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("same").await;
    acme.put(&path_of(&key), json!({ "name": "same" })).await.expect(200);
}

#[tokio::test]
async fn a_deleted_key_is_gone_and_its_name_is_free_again() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    acme.delete(&path_of(&key)).await.expect(204);

    let (id, key_id) = (key["id"].as_str().unwrap(), key["keyId"].as_str().unwrap());
    for path in
        [path_of(&key), format!("/api/v1/hook-keys/{key_id}"), format!("/api/v1/hook-keys/public/{key_id}")]
    {
        acme.get(&path).await.expect_error(404, "E0000007", "");
    }
    acme.put(&path_of(&key), json!({ "name": "x" })).await.expect_error(404, "E0000007", "");
    let again = acme.delete(&path_of(&key)).await.expect_error(404, "E0000007", "");
    assert_eq!(again.json()["errorSummary"], format!("Not found: Resource not found: {id} (HookKey)"));
    acme.create("k").await;
}

#[tokio::test]
async fn an_id_of_any_form_that_is_no_key_answers_404_on_every_route() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    let (id, key_id) = (key["id"].as_str().unwrap(), key["keyId"].as_str().unwrap());
    let ids = [
        "HKY00000000000000000".to_owned(),
        "00000000-0000-4000-8000-000000000000".to_owned(),
        "public".to_owned(),
        "%00".to_owned(),
        "%F0%9F%94%91".to_owned(),
        "%27%20OR%201=1--".to_owned(),
        "x".repeat(4000),
        id.to_lowercase(),
        key_id.to_uppercase(),
        key_id.replace('-', ""),
    ];
    for other in ids {
        let path = format!("/api/v1/hook-keys/{other}");
        acme.get(&path).await.expect_error(404, "E0000007", "");
        acme.put(&path, json!({ "name": "x" })).await.expect_error(404, "E0000007", "");
        acme.delete(&path).await.expect_error(404, "E0000007", "");
        let path = format!("/api/v1/hook-keys/public/{other}");
        acme.get(&path).await.expect_error(404, "E0000007", "");
    }
    // A keyId names the public half alone: it cannot rename or delete.
    acme.put(&format!("/api/v1/hook-keys/{key_id}"), json!({ "name": "x" })).await.expect(404);
    acme.delete(&format!("/api/v1/hook-keys/{key_id}")).await.expect(404);
    acme.get(&format!("/api/v1/hook-keys/public/{id}")).await.expect(404);
    acme.get(&path_of(&key)).await.expect(200);
}

#[tokio::test]
async fn head_answers_as_get_without_the_body() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    for path in ["/api/v1/hook-keys".to_owned(), path_of(&key), "/openapi.yaml".to_owned()] {
        let get = acme.get(&path).await.expect(200);
        let head = acme.send(Method::HEAD, &path, None).await.expect(200);
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
    }
    acme.send(Method::HEAD, "/api/v1/hook-keys/none", None).await.expect(404);
}

#[tokio::test]
async fn a_key_is_used_exactly_while_a_hook_names_it() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let (used, unused) = (acme.create("used").await, acme.create("unused").await);
    let hook = acme.use_key(&used, "My hook").await;
    let list = acme.get("/api/v1/hook-keys").await.expect(200).json();
    assert_eq!((&list[0]["isUsed"], &list[1]["isUsed"]), (&json!(true), &json!(false)));
    assert_eq!(acme.get(&path_of(&used)).await.json()["isUsed"], true);
    let renamed = acme.put(&path_of(&used), json!({ "name": "renamed" })).await.expect(200);
    assert_eq!(renamed.json()["isUsed"], true);

    let other = oauth_channel("https://example.com/token", "https://example.com/hook", &unused);
    acme.put(&path_of_hook(&hook), crate::harness::hook("My hook", other)).await.expect(200);
    assert_eq!(acme.get(&path_of(&unused)).await.json()["isUsed"], true);
    assert_eq!(acme.get(&path_of(&used)).await.json()["isUsed"], false);
    acme.delete(&path_of(&used)).await.expect(204);
    acme.post(&(path_of_hook(&hook) + "/lifecycle/deactivate"), json!({})).await.expect(200);
    assert_eq!(acme.get(&path_of(&unused)).await.json()["isUsed"], true, "an inactive hook uses its key");
    acme.delete(&path_of_hook(&hook)).await.expect(204);
    assert_eq!(acme.get(&path_of(&unused)).await.json()["isUsed"], false);
    acme.delete(&path_of(&unused)).await.expect(204);
}
