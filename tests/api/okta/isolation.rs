//! Orgs never see each other.

use hook_keys::http::Api;
use hook_keys::http::routes::{self, Endpoint};

use crate::harness::{Server, oauth_channel, path_of, path_of_hook};

#[tokio::test]
async fn another_orgs_key_or_hook_is_404_on_every_route_that_takes_an_id() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    let key = acme.create("k").await;
    let hook = acme.use_key(&key, "h").await;
    let own_key = other.create("own").await;
    let [id, key_id] = ["id", "keyId"].map(|member| key[member].as_str().unwrap());
    let mut tried = 0;
    let with_id = |endpoint: &&Endpoint| endpoint.path.contains('{') && Api::of(endpoint.path) == Api::Okta;
    for endpoint in routes::table().iter().filter(with_id) {
        let (values, resource) = if endpoint.path.contains("inlineHooks") {
            (vec![hook["id"].as_str().unwrap()], "InlineHook")
        } else {
            (vec![id, key_id], "HookKey")
        };
        for value in values {
            let path = endpoint.path.replace("{id}", value).replace("{keyId}", value);
            // Good enough for every route, so that only the id can be what is refused.
            let body = crate::harness::hook("stolen", oauth_channel("https://x/t", "https://x/h", &own_key));
            let body = endpoint.method.as_str().starts_with('P').then_some(body);
            let method = endpoint.method.as_str().parse().unwrap();
            let answer = other.send(method, &path, body).await.expect_error(404, "E0000007", "");
            let missing = format!("Not found: Resource not found: {value} ({resource})");
            assert_eq!(answer.json()["errorSummary"], missing, "as if it did not exist");
            tried += 1;
        }
    }
    assert_eq!(tried, 15);
    assert_eq!(other.names().await, ["own"]);
    assert_eq!(acme.get(&path_of(&key)).await.expect(200).json()["name"], "k");
    assert_eq!(acme.get(&path_of_hook(&hook)).await.expect(200).json(), hook);
    assert_eq!(other.get("/api/v1/inlineHooks").await.expect(200).text, "[]");
}

#[tokio::test]
async fn an_org_that_is_deleted_takes_its_tokens_and_keys_along_and_no_others() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    let key = acme.create("k").await;
    acme.use_key(&key, "My hook").await;
    other.create("k").await;
    let name = || hook_keys::domain::org::OrgName::parse("acme").unwrap();
    let refusal = server.orgs.delete(name(), false).await.unwrap_err().to_string();
    assert!(refusal.contains("still has 1 hook key(s)"), "{refusal}");
    acme.get(&path_of(&key)).await.expect(200);
    server.orgs.delete(name(), true).await.unwrap();
    acme.get(&path_of(&key)).await.expect_error(401, "E0000011", "");
    assert_eq!(other.names().await, ["k"]);
}
