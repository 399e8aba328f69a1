//! Orgs never see each other.

use hook_keys::http::routes;
use serde_json::json;

use crate::harness::{Server, path_of};

#[tokio::test]
async fn another_orgs_key_is_404_on_every_route_that_takes_an_id() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    let key = acme.create("k").await;
    let (id, key_id) = (key["id"].as_str().unwrap(), key["keyId"].as_str().unwrap());
    let mut tried = 0;
    for endpoint in routes::table().iter().filter(|endpoint| endpoint.path.contains('{')) {
        for value in [id, key_id] {
            let path = endpoint.path.replace("{id}", value).replace("{keyId}", value);
            let body = endpoint.method.as_str().starts_with('P').then(|| json!({ "name": "stolen" }));
            let method = endpoint.method.as_str().parse().unwrap();
            let answer = other.send(method, &path, body).await.expect_error(404, "E0000007", "");
            let missing = format!("Not found: Resource not found: {value} (HookKey)");
            assert_eq!(answer.json()["errorSummary"], missing, "as if it did not exist");
            tried += 1;
        }
    }
    assert_eq!(tried, 8);
    assert!(other.names().await.is_empty());
    assert_eq!(acme.get(&path_of(&key)).await.expect(200).json()["name"], "k");
}

#[tokio::test]
async fn an_org_that_is_deleted_takes_its_tokens_and_keys_along_and_no_others() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    let key = acme.create("k").await;
    server.use_key(&key, "My hook");
    other.create("k").await;
    let name = || hook_keys::domain::org::OrgName::parse("acme").unwrap();
    let refusal = server.orgs.delete(name(), false).await.unwrap_err().to_string();
    assert!(refusal.contains("still has 1 hook key(s)"), "{refusal}");
    acme.get(&path_of(&key)).await.expect(200);
    server.orgs.delete(name(), true).await.unwrap();
    acme.get(&path_of(&key)).await.expect_error(401, "E0000011", "");
    assert_eq!(other.names().await, ["k"]);
}
