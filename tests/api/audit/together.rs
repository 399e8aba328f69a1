//! A write and its row are never apart.

use serde_json::{Value, json};

use super::name;
use crate::harness::keys::{ec_jwk, key_of, small_key};
use crate::harness::{Client, Server, hook, http_channel, path_of, path_of_hook};

/// All that can be seen of an org, but for its events.
async fn state(client: &Client) -> Vec<Value> {
    let mut state = Vec::new();
    for path in ["/api/v1/hook-keys", "/api/v1/inlineHooks", "/keys", "/key-sets", "/tags"] {
        state.push(client.get(path).await.expect(200).json());
    }
    state
}

#[tokio::test]
async fn a_write_whose_row_cannot_be_written_changes_nothing_whichever_write_it_is() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let (used, free) = (acme.create("used").await, acme.create("free").await);
    let active = acme.use_key(&used, "active").await;
    let inactive = acme.create_hook(hook("inactive", http_channel("https://example.com/"))).await;
    acme.post(&(path_of_hook(&inactive) + "/lifecycle/deactivate"), json!({})).await.expect(200);
    acme.create_set("s").await;
    acme.put("/keys/k", key_of(&ec_jwk("k"))).await.expect(200);
    acme.put("/key-sets/s/keys/in", small_key("in")).await.expect(200);
    let admin = server.client("acme", &["okta.inlineHooks.manage", "keys.manage"]).await;
    let before = state(&admin).await;
    server.sql("ALTER TABLE audit_events RENAME TO elsewhere");
    let (key, hook_path, off) = (path_of(&free), path_of_hook(&active), path_of_hook(&inactive));
    let other_hook = hook("new", http_channel("https://example.com/"));
    let writes = [
        ("POST", "/api/v1/hook-keys".to_owned(), name("new")),
        ("PUT", key.clone(), name("new")),
        ("DELETE", key, json!({})),
        ("POST", "/api/v1/inlineHooks".to_owned(), other_hook.clone()),
        ("PUT", off.clone(), other_hook),
        ("POST", hook_path.clone(), name("new")),
        ("POST", format!("{hook_path}/lifecycle/deactivate"), json!({})),
        ("POST", format!("{off}/lifecycle/activate"), json!({})),
        ("DELETE", off, json!({})),
        ("POST", "/key-sets".to_owned(), name("new")),
        ("PUT", "/key-sets".to_owned(), name("new")),
        ("PUT", "/key-sets/s".to_owned(), json!({ "tags": ["x"] })),
        ("PATCH", "/key-sets/s".to_owned(), name("new")),
        ("DELETE", "/key-sets/s".to_owned(), json!({})),
        ("POST", "/keys".to_owned(), small_key("new")),
        ("PUT", "/keys/new".to_owned(), small_key("new")),
        ("PUT", "/keys/k".to_owned(), small_key("new")),
        ("PATCH", "/keys/k".to_owned(), json!({ "tags": ["x"] })),
        ("DELETE", "/keys/k".to_owned(), json!({})),
        ("POST", "/key-sets/s/keys".to_owned(), small_key("new")),
        ("DELETE", "/key-sets/s/keys/in".to_owned(), json!({})),
        ("PUT", "/keys/k/set".to_owned(), name("new")),
        ("PATCH", "/keys/in/set".to_owned(), name("new")),
    ];
    for (method, path, body) in &writes {
        // With the right to see private halves too, so that nothing else is against it.
        let refused = acme.send(method.parse().unwrap(), path, Some(body.clone())).await;
        assert_eq!(refused.status, 500, "{method} {path}: {}", refused.text);
    }
    assert_eq!(state(&admin).await, before);
    server.sql("ALTER TABLE elsewhere RENAME TO audit_events");
    let rows = super::rows(&server).len();
    admin.post("/api/v1/hook-keys", name("new")).await.expect(200);
    assert_eq!(super::rows(&server).len(), rows + 1);
}
