//! Names, limits and use: what is refused, also when many try at once.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, Server, path_of};

const TAKEN: &str = "name: An object with this field already exists in the current organization";

#[tokio::test]
async fn names_that_break_a_rule_are_refused_by_create_and_rename_alike() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    let blank = "name: The field cannot be left blank";
    let cases = [
        (json!({}), blank),
        (json!({ "name": null }), blank),
        (json!({ "name": "" }), blank),
        (json!({ "name": " \t\n" }), blank),
        (json!({ "Name": "wrong case" }), blank),
        (json!({ "name": 5 }), "name: The field must be a string"),
        (json!({ "name": ["k"] }), "name: The field must be a string"),
        (json!({ "name": { "en": "k" } }), "name: The field must be a string"),
        (json!({ "name": "x".repeat(256) }), "name: The field must be between 1 and 255 characters"),
        (json!({ "name": "é".repeat(256) }), "name: The field must be between 1 and 255 characters"),
        (json!({ "name": "a\u{0}b" }), "name: The field must not contain control characters (found U+0000)"),
        (json!({ "name": "🔑" }), "name: The field must not contain characters above U+FFFF (found U+1F511)"),
    ];
    for (body, cause) in cases {
        acme.post("/api/v1/hook-keys", body.clone()).await.expect_error(400, "E0000001", cause);
        let answer = acme.put(&path_of(&key), body).await.expect_error(400, "E0000001", cause);
        assert_eq!(answer.json()["errorSummary"], "Api validation failed: name");
    }
    assert_eq!(acme.names().await, ["k"]);
}

#[tokio::test]
async fn names_at_the_edges_of_the_rules_are_kept_as_sent() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let names =
        ["x", "'; DROP TABLE hook_keys; --", " padded ", "Ключ \"1\" \\ 钥匙 \u{ffff}", &"é".repeat(255)];
    for name in names {
        let key = acme.create(name).await;
        assert_eq!(acme.get(&path_of(&key)).await.json()["name"], name);
    }
    assert_eq!(acme.names().await, names);
}

#[tokio::test]
async fn a_name_is_unique_in_its_org_and_case_counts() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    let key = acme.create("name").await;
    let second = acme.create("Name").await;
    other.create("name").await;
    acme.post("/api/v1/hook-keys", json!({ "name": "name" })).await.expect_error(400, "E0000001", TAKEN);
    acme.put(&path_of(&second), json!({ "name": "name" })).await.expect_error(400, "E0000001", TAKEN);
    assert_eq!(acme.names().await, ["name", "Name"]);
    acme.put(&path_of(&key), json!({ "name": "free" })).await.expect(200);
    acme.put(&path_of(&second), json!({ "name": "name" })).await.expect(200);
}

#[tokio::test]
async fn of_many_concurrent_creates_with_one_name_exactly_one_wins() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let answers = join_all((0..20).map(|_| acme.post("/api/v1/hook-keys", json!({ "name": "one" })))).await;
    let refused = losers(answers);
    assert_eq!(refused, HashMap::from([(TAKEN.to_owned(), 19)]));
    assert_eq!(acme.names().await, ["one"]);
}

#[tokio::test]
async fn of_many_concurrent_renames_to_one_name_exactly_one_wins() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let mut paths = Vec::new();
    for number in 0..8 {
        paths.push(path_of(&acme.create(&format!("k{number}")).await));
    }
    let answers = join_all(paths.iter().map(|path| acme.put(path, json!({ "name": "one" })))).await;
    assert_eq!(losers(answers), HashMap::from([(TAKEN.to_owned(), 7)]));
    let names = acme.names().await;
    assert_eq!(names.iter().filter(|name| *name == "one").count(), 1, "{names:?}");
}

#[tokio::test]
async fn of_200_concurrent_creates_in_an_empty_org_exactly_50_succeed() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let create = |number| acme.clone().create_numbered(number);
    let refused = losers(join_all((0..200).map(create)).await);
    let cause = "hookKey: Cannot create hook key. Maximum number of hook keys (50) has been reached. \
                 Delete an unused key, or ask the operator to raise the limit.";
    assert_eq!(refused, HashMap::from([(cause.to_owned(), 150)]));
    let names = acme.names().await;
    assert_eq!(names.len(), 50);

    // A freed place can be taken again, by one.
    let list = acme.get("/api/v1/hook-keys").await.json();
    acme.delete(&path_of(&list[17])).await.expect(204);
    assert_eq!(losers(join_all((200..205).map(create)).await)[cause], 4);
    assert_eq!(acme.names().await.len(), 50);
}

#[tokio::test]
async fn an_operator_can_give_one_org_another_limit() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    let name = || hook_keys::domain::org::OrgName::parse("acme").unwrap();
    server.orgs.set_hook_key_limit(name(), Some(2)).await.unwrap();
    acme.create("a").await;
    acme.create("b").await;
    let refused = acme.post("/api/v1/hook-keys", json!({ "name": "c" })).await.expect(400);
    assert!(refused.text.contains("Maximum number of hook keys (2) has been reached"), "{}", refused.text);
    for number in 0..3 {
        other.create(&number.to_string()).await;
    }
    server.orgs.set_hook_key_limit(name(), Some(1)).await.unwrap();
    assert_eq!(acme.names().await, ["a", "b"], "a lowered limit takes nothing away");
    acme.post("/api/v1/hook-keys", json!({ "name": "c" })).await.expect(400);
    server.orgs.set_hook_key_limit(name(), None).await.unwrap();
    acme.create("c").await;
}

#[tokio::test]
async fn a_used_key_is_not_deleted_and_the_refusal_names_the_hooks() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    let hook = acme.use_key(&key, "My hook").await;
    let hook = hook["id"].as_str().unwrap();
    let cause = format!(
        "hookKey: Cannot delete a hook key that is in use. Used by inline hook \"My hook\" ({hook}). \
         Point the hook at another key or delete it first."
    );
    acme.delete(&path_of(&key)).await.expect_error(400, "E0000001", &cause);
    acme.get(&path_of(&key)).await.expect(200);
}

#[tokio::test]
async fn the_database_itself_refuses_to_lose_a_used_key() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    acme.use_key(&key, "My hook").await;
    let refused =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| server.sql("DELETE FROM hook_keys")));
    assert!(refused.is_err(), "the database let a used key go");
    acme.get(&path_of(&key)).await.expect(200);
}

impl Client {
    async fn create_numbered(self, number: usize) -> Answer {
        self.post("/api/v1/hook-keys", json!({ "name": format!("key {number}") })).await
    }
}

/// The causes of all refusals with their counts; every other answer must be a success.
fn losers(answers: Vec<Answer>) -> HashMap<String, usize> {
    let mut causes = HashMap::new();
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        let body: Value = answer.expect(400).json();
        assert_eq!(body["errorCode"], "E0000001");
        *causes.entry(body["errorCauses"][0]["errorSummary"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    causes
}
