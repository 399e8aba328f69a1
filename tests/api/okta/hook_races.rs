//! Inline hooks when many callers change them at once.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Client, Server, hook, http_channel, oauth_channel, path_of, path_of_hook};

const HOOKS: &str = "/api/v1/inlineHooks";
const URI: &str = "https://example.com/hook";
const TOKEN_URL: &str = "https://example.com/token";

#[tokio::test]
async fn names_are_unique_among_the_hooks_of_an_org_also_under_a_race() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    acme.create("one").await;
    let answers = join_all((0..20).map(|_| acme.post(HOOKS, hook("one", http_channel(URI))))).await;
    let taken = "name: An object with this field already exists in the current organization";
    let mut won = 0;
    for answer in answers {
        if answer.status == 200 {
            won += 1;
        } else {
            answer.expect_error(400, "E0000001", taken);
        }
    }
    assert_eq!(won, 1);
    other.create_hook(hook("one", http_channel(URI))).await;
    let second = acme.create_hook(hook("two", http_channel(URI))).await;
    acme.post(&path_of_hook(&second), json!({ "name": "one" })).await.expect_error(400, "E0000001", taken);
}

#[tokio::test]
async fn concurrent_updates_of_different_members_all_last() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let path = path_of_hook(&acme.create_hook(hook("h", http_channel(URI))).await);
    let patches = [
        json!({ "name": "renamed" }),
        json!({ "version": "1.0.2" }),
        json!({ "channel": { "version": "1.0.1" } }),
        json!({ "channel": { "config": { "headers": [{ "key": "X", "value": "1" }] } } }),
        json!({ "channel": { "config": { "authScheme": { "type": "HEADER", "key": "A", "value": "v" } } } }),
    ];
    for answer in join_all(patches.iter().map(|patch| acme.post(&path, patch.clone()))).await {
        answer.expect(200);
    }
    let hook = acme.get(&path).await.json();
    assert_eq!(
        (&hook["name"], &hook["version"], &hook["channel"]["version"]),
        (&json!("renamed"), &json!("1.0.2"), &json!("1.0.1"))
    );
    assert_eq!(hook["channel"]["config"]["headers"][0]["key"], "X");
    assert_eq!(hook["channel"]["config"]["authScheme"]["key"], "A");
}

#[tokio::test]
async fn of_many_concurrent_creates_exactly_100_hooks_come_to_be() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let create = |number| acme.clone().post_numbered(number);
    let answers = join_all((0..120).map(create)).await;
    let cause = "inlineHook: Cannot create inline hook. Maximum number of inline hooks (100) has been reached. \
                 Delete a hook that is not needed, or ask the operator to raise the limit.";
    let mut made = 0;
    for answer in answers {
        if answer.status == 200 {
            made += 1;
        } else {
            answer.expect_error(400, "E0000001", cause);
        }
    }
    assert_eq!(made, 100);
}

impl Client {
    async fn post_numbered(self, number: usize) -> crate::harness::Answer {
        self.post(HOOKS, hook(&format!("h{number}"), http_channel(URI))).await
    }
}

#[tokio::test]
async fn of_a_deleted_key_and_a_new_hook_that_names_it_never_both_succeed() {
    let server = Server::start_with(
        &[("HOOK_KEYS_LIMITS_INLINE_HOOKS_PER_ORG", "1000")],
        hook_keys::app::Parts::default(),
    )
    .await;
    let acme = server.org("acme").await;
    let (mut deleted, mut hooked) = (0, 0);
    let mut left = None;
    for round in 0..100 {
        let key = match left.take() {
            Some(key) => key,
            None => acme.create(&format!("k{round}")).await,
        };
        let body = hook(&format!("h{round}"), oauth_channel(TOKEN_URL, URI, &key));
        let path = path_of(&key);
        let (delete, create) = if round % 2 == 0 {
            tokio::join!(acme.delete(&path), acme.post(HOOKS, body))
        } else {
            let (create, delete) = tokio::join!(acme.post(HOOKS, body), acme.delete(&path));
            (delete, create)
        };
        match (delete.status.as_u16(), create.status.as_u16()) {
            (204, 400) => {
                deleted += 1;
                acme.get(&path).await.expect(404);
            }
            (400, 200) => {
                hooked += 1;
                assert_eq!(acme.get(&path).await.expect(200).json()["isUsed"], true);
                let made = path_of_hook(&create.json());
                acme.send(Method::POST, &format!("{made}/lifecycle/deactivate"), None).await.expect(200);
                acme.delete(&made).await.expect(204);
                left = Some(key);
            }
            other => panic!("round {round}: delete and create answered {other:?}"),
        }
    }
    assert!(deleted > 0 && hooked > 0, "{deleted} deleted, {hooked} hooked");
    assert_eq!(acme.get(HOOKS).await.text, "[]");
}
