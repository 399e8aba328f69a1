//! Orgs never see each other's keys and key sets, even where both chose the same ids and names.

use hook_keys::http::Api;
use hook_keys::http::routes::{self, Endpoint};
use serde_json::{Value, json};

use crate::harness::keys::{ec_jwk, key_of, small_key};
use crate::harness::{Client, Server};

/// All that an org has.
async fn all(client: &Client) -> [Value; 3] {
    let mut lists = Vec::new();
    for path in ["/keys", "/key-sets", "/tags"] {
        lists.push(client.get(path).await.expect(200).json()["data"].clone());
    }
    lists.try_into().unwrap()
}

fn takes_names(endpoint: &Endpoint) -> bool {
    Api::of(endpoint.path) == Api::Kong
        && (endpoint.path.contains("{key}") || endpoint.path.contains("{set}"))
}

#[tokio::test]
async fn no_route_reads_or_changes_what_another_org_has() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    let set = acme.post("/key-sets", json!({ "name": "s", "tags": ["t"] })).await.expect(201).json();
    let mut body = key_of(&ec_jwk("k"));
    (body["name"], body["tags"], body["set"]) = ("n".into(), json!(["t"]), json!({ "id": set["id"] }));
    let key = acme.create_key(body).await;
    let before = all(&acme).await;
    let ids = [("{key}", key["id"].as_str().unwrap()), ("{set}", set["id"].as_str().unwrap())];
    let mut tried = 0;
    for endpoint in routes::table().iter().filter(|endpoint| takes_names(endpoint)) {
        for values in [ids, [("{key}", "n"), ("{set}", "s")]] {
            let path =
                values.iter().fold(endpoint.path.to_owned(), |path, (name, value)| path.replace(name, value));
            // Good enough for every route, so that only what the path names can be refused.
            let of_set = endpoint.path.ends_with("/set") || endpoint.path.ends_with("/{set}");
            let body = if of_set { json!({ "tags": ["mine"] }) } else { small_key("mine") };
            let method = endpoint.method.as_str();
            let body = method.starts_with('P').then_some(body);
            let answer = other.send(method.parse().unwrap(), &path, body).await;
            // Deleting nothing is fine, and PUT makes a thing of the caller's own.
            let expected: &[u16] = match (method, endpoint.path) {
                ("DELETE", "/keys/{key}" | "/key-sets/{set}") => &[204],
                ("PUT", "/keys/{key}" | "/key-sets/{set}") => &[200],
                _ => &[404],
            };
            assert!(expected.contains(&answer.status.as_u16()), "{method} {path}: {}", answer.text);
            for [key, set] in [ids.map(|(_, id)| id), ["n", "s"]] {
                other.delete(&format!("/keys/{key}")).await.expect(204);
                other.delete(&format!("/key-sets/{set}")).await.expect(204);
            }
            assert_eq!(all(&acme).await, before, "{method} {path}");
            tried += 1;
        }
    }
    assert_eq!(tried, 34, "the table has other routes");
    assert_eq!(all(&other).await, [json!([]), json!([]), json!([])]);
}

#[tokio::test]
async fn both_orgs_may_choose_the_same_ids_names_and_kids() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    let [set_id, key_id] = ["2033cb3d-ef3b-4f6d-8395-bc3c2d5a0e4f", "92a245af-8cb6-4175-b3a9-9383cbb9848f"];
    for org in [&acme, &other] {
        org.post("/key-sets", json!({ "id": set_id, "name": "s" })).await.expect(201);
        let mut key = key_of(&ec_jwk("k"));
        (key["id"], key["name"], key["set"]) = (key_id.into(), "n".into(), json!({ "name": "s" }));
        let key = org.create_key(key).await;
        assert_eq!(key["set"]["id"], set_id);
    }
    acme.delete("/key-sets/s").await.expect(204);
    assert_eq!(other.get("/keys/n").await.expect(200).json()["id"], key_id);
}

#[tokio::test]
async fn a_key_cannot_name_another_orgs_set() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    let set = acme.create_set("s").await;
    let mut key = small_key("k");
    key["set"] = json!({ "id": set["id"] });
    assert_eq!(other.post("/keys", key.clone()).await.expect(400).json()["code"], 4);
    key["set"] = json!({ "name": "s" });
    assert_eq!(other.post("/keys", key).await.expect(400).json()["code"], 13);
    let own = other.create_key(small_key("k")).await;
    let path = format!("/keys/{}", own["id"].as_str().unwrap());
    let answer = other.patch(&path, json!({ "set": { "id": set["id"] } })).await.expect(400);
    assert_eq!(answer.json()["code"], 4);
}
