//! Keys and key sets when many callers write at once.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::keys::{ec_jwk, key_of, small_key};
use crate::harness::{Answer, Client, Server};

const CLIENTS: usize = 40;
const ID: &str = "2033cb3d-ef3b-4f6d-8395-bc3c2d5a0e4f";

async fn clients(server: &Server) -> Vec<Client> {
    join_all((0..CLIENTS).map(|_| server.client("acme", &["all"]))).await
}

/// Sends the same request of many clients at once, with a body of each one's number; counts the statuses.
async fn race(
    clients: &[Client],
    method: &str,
    path: &str,
    body: impl Fn(usize) -> Value,
) -> (BTreeMap<u16, usize>, Vec<Answer>) {
    let send = |(number, client): (usize, &Client)| {
        let (client, body) = (client.clone(), body(number));
        async move { client.send(method.parse().unwrap(), path, Some(body)).await }
    };
    let answers = join_all(clients.iter().enumerate().map(send)).await;
    let mut statuses = BTreeMap::new();
    for answer in &answers {
        *statuses.entry(answer.status.as_u16()).or_default() += 1;
    }
    (statuses, answers)
}

async fn rows(client: &Client, path: &str) -> Vec<Value> {
    client.get(&format!("{path}?size=1000")).await.expect(200).json()["data"].as_array().unwrap().clone()
}

fn one_won() -> BTreeMap<u16, usize> {
    BTreeMap::from([(201, 1), (409, CLIENTS - 1)])
}

#[tokio::test]
async fn of_many_that_make_a_set_or_a_key_of_the_same_name_one_wins() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let clients = clients(&server).await;
    let key = |number: usize| {
        let mut body = small_key(&number.to_string());
        body["name"] = "n".into();
        body
    };
    let (statuses, _) = race(&clients, "POST", "/key-sets", |_| json!({ "name": "n" })).await;
    assert_eq!(statuses, one_won());
    let (statuses, answers) = race(&clients, "POST", "/keys", key).await;
    assert_eq!(statuses, one_won());
    for answer in answers.iter().filter(|answer| answer.status == 409) {
        assert_eq!(answer.json()["fields"], json!({ "name": "n" }));
    }
    assert_eq!((rows(&acme, "/key-sets").await.len(), rows(&acme, "/keys").await.len()), (1, 1));
}

#[tokio::test]
async fn of_many_that_make_a_key_of_the_same_kid_one_wins_in_each_set_and_one_without() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let clients = clients(&server).await;
    for set in ["one", "two"] {
        acme.create_set(set).await;
        let (statuses, _) =
            race(&clients, "POST", &format!("/key-sets/{set}/keys"), |_| small_key("k")).await;
        assert_eq!(statuses, one_won());
    }
    let (statuses, answers) = race(&clients, "POST", "/keys", |_| small_key("k")).await;
    assert_eq!(statuses, one_won());
    for answer in answers.iter().filter(|answer| answer.status == 409) {
        assert_eq!(answer.json()["fields"], json!({ "kid": "k", "set": null }));
    }
    assert_eq!(rows(&acme, "/keys").await.len(), 3);
}

#[tokio::test]
async fn of_many_that_make_an_entity_of_the_same_id_one_wins() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let clients = clients(&server).await;
    let key = |number: usize| {
        let mut body = small_key(&number.to_string());
        body["id"] = ID.into();
        body
    };
    let id = |_| json!({ "id": ID });
    let lost = BTreeMap::from([(201, 1), (400, CLIENTS - 1)]);
    let (statuses, answers) = race(&clients, "POST", "/keys", key).await;
    assert_eq!(statuses, lost);
    assert!(answers.iter().filter(|answer| answer.status == 400).all(|answer| answer.json()["code"] == 3));
    assert_eq!(race(&clients, "POST", "/key-sets", id).await.0, lost);
    assert_eq!((rows(&acme, "/key-sets").await.len(), rows(&acme, "/keys").await.len()), (1, 1));
}

#[tokio::test]
async fn many_that_put_the_same_entity_all_succeed_and_make_one() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let clients = clients(&server).await;
    let all = BTreeMap::from([(200, CLIENTS)]);
    let by_id = format!("/keys/{ID}");
    let set_by_id = format!("/key-sets/{ID}");
    acme.create_set("in").await;
    let key = |number: usize| {
        let mut body = key_of(&ec_jwk(&number.to_string()));
        (body["name"], body["tags"]) = ("n".into(), json!([number.to_string()]));
        body
    };
    let set = |number: usize| json!({ "name": "n", "tags": [number.to_string()] });
    for path in ["/keys", "/keys/n", &by_id, "/key-sets/in/keys/n"] {
        let (statuses, answers) = race(&clients, "PUT", path, key).await;
        assert_eq!(statuses, all, "{path}");
        let keys = rows(&acme, "/keys").await;
        assert_eq!(keys.len(), 1, "{path}");
        assert!(answers.iter().all(|answer| answer.json()["id"] == keys[0]["id"]), "{path}");
        // The key is one of those that were sent, whole: no part of another one.
        let number: usize = keys[0]["kid"].as_str().unwrap().parse().unwrap();
        assert_eq!(
            (&keys[0]["jwk"], &keys[0]["tags"]),
            (&key(number)["jwk"], &key(number)["tags"]),
            "{path}"
        );
        let tags: Vec<_> = rows(&acme, "/tags").await.iter().map(|row| row["tag"].clone()).collect();
        assert_eq!(json!(tags), keys[0]["tags"], "{path}");
        acme.delete("/keys/n").await.expect(204);
    }
    acme.delete("/key-sets/in").await.expect(204);
    for path in ["/key-sets", "/key-sets/n", &set_by_id] {
        let (statuses, answers) = race(&clients, "PUT", path, set).await;
        assert_eq!(statuses, all, "{path}");
        let sets = rows(&acme, "/key-sets").await;
        assert_eq!(sets.len(), 1, "{path}");
        assert!(answers.iter().all(|answer| answer.json()["id"] == sets[0]["id"]), "{path}");
        assert_eq!(rows(&acme, "/tags").await.len(), 1, "{path}");
        acme.delete("/key-sets/n").await.expect(204);
    }
}

#[tokio::test]
async fn many_that_give_the_same_key_a_set_make_one_set() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let clients = clients(&server).await;
    let mut body = small_key("k");
    body["name"] = "n".into();
    acme.create_key(body).await;
    let (statuses, _) =
        race(&clients, "PUT", "/keys/n/set", |number| json!({ "name": number.to_string() })).await;
    assert_eq!(statuses, BTreeMap::from([(200, CLIENTS)]));
    let sets = rows(&acme, "/key-sets").await;
    assert_eq!(sets.len(), 1);
    assert_eq!(acme.get("/keys/n").await.json()["set"]["id"], sets[0]["id"]);
}

#[tokio::test]
async fn concurrent_patches_of_different_fields_all_last() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let set = acme.create_set("s").await;
    let mut body = key_of(&ec_jwk("k"));
    body["name"] = "n".into();
    let made = acme.create_key(body).await;
    let path = super::path_of_key(&made);
    let patches = [
        json!({ "name": "other" }),
        json!({ "tags": ["t"] }),
        json!({ "set": { "id": set["id"] } }),
        json!({ "kid": "k" }),
    ];
    for answer in join_all(patches.iter().map(|patch| acme.patch(&path, patch.clone()))).await {
        answer.expect(200);
    }
    let key = acme.get(&path).await.json();
    assert_eq!(
        (&key["name"], &key["tags"], &key["set"]["id"], &key["jwk"]),
        (&json!("other"), &json!(["t"]), &set["id"], &made["jwk"])
    );
}

#[tokio::test]
async fn no_key_outlives_the_set_it_is_put_into() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let (mut added, mut refused) = (0, 0);
    for round in 0..20 {
        let set = acme.create_set("s").await;
        let named = |kid: String| {
            let mut body = small_key(&kid);
            (body["set"], body["tags"]) = (json!({ "id": set["id"] }), json!(["t"]));
            body
        };
        let posts = join_all((0..6).map(|number| {
            let acme = acme.clone();
            let body = named(format!("{round}-{number}"));
            async move {
                match number % 2 {
                    0 => acme.post("/keys", body).await,
                    _ => acme.post("/key-sets/s/keys", body).await,
                }
            }
        }));
        // The delete begins at a different moment in each round.
        let delete = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            acme.delete("/key-sets/s").await.expect(204);
        };
        let answers =
            if round % 2 == 0 { tokio::join!(posts, delete).0 } else { tokio::join!(delete, posts).1 };
        for answer in answers {
            match answer.status.as_u16() {
                201 => added += 1,
                404 => refused += 1,
                400 => {
                    assert_eq!(answer.json()["code"], 4, "{}", answer.text);
                    refused += 1;
                }
                _ => panic!("{}: {}", answer.status, answer.text),
            }
        }
        assert_eq!(rows(&acme, "/keys").await, Vec::<Value>::new(), "round {round}");
        assert_eq!(rows(&acme, "/tags").await, Vec::<Value>::new(), "round {round}");
    }
    assert_eq!(added + refused, 120);
}
