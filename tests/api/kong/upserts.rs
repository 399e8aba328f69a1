//! PUT: on an entity, on a collection, and through the other kind of entity (contract §1).

use std::time::Duration;

use serde_json::{Value, json};

use super::{path_of_key, path_of_set};
use crate::harness::keys::{RSA_JWK, ec_jwk, key_of, public, small_key};
use crate::harness::{Client, Server};

const ID: &str = "2033cb3d-ef3b-4f6d-8395-bc3c2d5a0e4f";
const OTHER_ID: &str = "92a245af-8cb6-4175-b3a9-9383cbb9848f";

/// When the clock of a server stands still.
const BORN: i64 = 1_769_903_998;

/// A key with everything that a PUT can take away.
async fn full_key(acme: &Client) -> Value {
    acme.create_set("s").await;
    let mut body = key_of(&ec_jwk("k"));
    (body["name"], body["tags"], body["set"]) = ("n".into(), json!(["t"]), json!({ "name": "s" }));
    acme.create_key(body).await
}

fn times(entity: &Value) -> (i64, i64) {
    (entity["created_at"].as_i64().unwrap(), entity["updated_at"].as_i64().unwrap())
}

#[tokio::test]
async fn put_makes_what_is_not_there_and_replaces_all_of_what_is() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = full_key(&acme).await;
    server.clock.advance(Duration::from_secs(60));
    let paths = [path_of_key(&key), "/keys/n".to_owned()];
    for path in &paths {
        let replaced = acme.put(path, small_key("other")).await.expect(200).json();
        let name = if path == "/keys/n" { json!("n") } else { Value::Null };
        let expected = json!({
            "created_at": BORN,
            "id": key["id"],
            "jwk": public(ec_jwk("other")).to_string(),
            "kid": "other",
            "name": name,
            "pem": null,
            "set": null,
            "tags": null,
            "updated_at": BORN + 60,
        });
        assert_eq!(replaced, expected, "{path}");
        acme.patch(&path_of_key(&key), json!({ "name": "n" })).await.expect(200);
    }
    // The private half went too.
    assert_eq!(acme.get("/keys/n").await.json()["jwk"], public(ec_jwk("other")).to_string());

    let made = acme.put(&format!("/keys/{ID}"), small_key("a")).await.expect(200).json();
    assert_eq!(
        (&made["id"], &made["name"], times(&made)),
        (&json!(ID), &Value::Null, (BORN + 60, BORN + 60))
    );
    let named = acme.put("/keys/new", small_key("b")).await.expect(200).json();
    assert_eq!((&named["name"], &acme.get(&path_of_key(&named)).await.json()), (&json!("new"), &named));
}

#[tokio::test]
async fn put_of_a_set_keeps_its_id_its_birth_and_its_keys() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = full_key(&acme).await;
    let set = acme.put("/key-sets/s", json!({ "tags": ["x"] })).await.expect(200).json();
    assert_eq!(set["id"], key["set"]["id"]);
    server.clock.advance(Duration::from_secs(5));
    let by_name = acme.put("/key-sets/s", json!({})).await.expect(200).json();
    let expected =
        json!({ "created_at": BORN, "id": set["id"], "name": "s", "tags": null, "updated_at": BORN + 5 });
    assert_eq!(by_name, expected);
    let by_id = acme.put(&path_of_set(&set), json!({ "tags": [] })).await.expect(200).json();
    assert_eq!((&by_id["name"], &by_id["tags"], &by_id["id"]), (&Value::Null, &json!([]), &set["id"]));
    assert_eq!(acme.get(&format!("{}/keys", path_of_set(&set))).await.json()["data"], json!([key]));
}

#[tokio::test]
async fn put_on_a_collection_makes_or_replaces_what_has_the_name() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let chosen =
        acme.put("/key-sets", json!({ "id": ID, "name": "s", "tags": ["t"] })).await.expect(200).json();
    assert_eq!((&chosen["id"], &chosen["tags"]), (&json!(ID), &json!(["t"])));
    server.clock.advance(Duration::from_secs(5));
    let again = acme.put("/key-sets", json!({ "id": OTHER_ID, "name": "s" })).await.expect(200).json();
    assert_eq!((&again["id"], &again["tags"], times(&again)), (&json!(ID), &Value::Null, (BORN, BORN + 5)));
    acme.put("/key-sets", json!({ "id": ID, "name": "other" }))
        .await
        .expect_message(400, &format!("primary key violation on key '{{id=\"{ID}\"}}'"));

    let mut body = key_of(&ec_jwk("k"));
    (body["name"], body["set"], body["tags"]) = ("n".into(), json!({ "name": "s" }), json!(["t"]));
    let key = acme.put("/keys", body).await.expect(200).json();
    assert_eq!((&key["set"]["id"], &key["jwk"]), (&json!(ID), &json!(ec_jwk("k").to_string())));
    let mut body = json!({ "kid": "42", "jwk": RSA_JWK });
    body["name"] = "n".into();
    let replaced = acme.put("/keys", body).await.expect(200).json();
    assert_eq!((&replaced["id"], &replaced["jwk"]), (&key["id"], &json!(RSA_JWK)));
    assert_eq!((&replaced["set"], &replaced["tags"]), (&Value::Null, &Value::Null));
    assert_eq!(acme.get("/keys").await.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn put_on_a_collection_needs_a_name_and_tells_what_else_is_wrong() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    for body in [json!({}), json!({ "name": null })] {
        let answer = acme.put("/key-sets", body).await;
        answer.expect_message(400, "schema violation (name: required field missing)");
    }
    let both = "2 schema violations (colour: unknown field; name: expected a string)";
    acme.put("/key-sets", json!({ "name": 5, "colour": 1 })).await.expect_message(400, both);
    let all = "3 schema violations (at least one of these fields must be non-empty: 'jwk', 'pem'; \
               kid: required field missing; name: required field missing)";
    acme.put("/keys", json!({})).await.expect_message(400, all);
    acme.put("/keys", small_key("k"))
        .await
        .expect_message(400, "schema violation (name: required field missing)");
    assert_eq!(acme.get("/keys").await.json()["data"], json!([]));
}

#[tokio::test]
async fn put_keeps_the_time_of_birth_unless_the_body_tells_another() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let with = |created: Value| {
        let mut body = small_key("k");
        (body["created_at"], body["updated_at"]) = (created, 5.into());
        body
    };
    let set = |created: Value| json!({ "created_at": created, "updated_at": 5 });
    for (path, body) in [("/keys/n", &with as &dyn Fn(Value) -> Value), ("/key-sets/s", &set)] {
        let made = acme.put(path, body(json!(1_600_000_000))).await.expect(200).json();
        assert_eq!(times(&made), (1_600_000_000, BORN), "{path}");
        let kept = acme.put(path, body(Value::Null)).await.expect(200).json();
        assert_eq!(times(&kept), (1_600_000_000, BORN), "{path}");
        let other = acme.put(path, body(json!(1_500_000_000))).await.expect(200).json();
        assert_eq!(times(&other), (1_500_000_000, BORN), "{path}");
        let patched = acme.patch(path, json!({ "created_at": 7, "updated_at": 7 })).await.expect(200).json();
        assert_eq!(times(&patched), (1_500_000_000, BORN), "{path}");
    }
}

#[tokio::test]
async fn an_id_in_the_body_gives_way_to_the_path() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let mut body = small_key("k");
    body["id"] = OTHER_ID.into();
    let made = acme.put(&format!("/keys/{ID}"), body.clone()).await.expect(200).json();
    assert_eq!(made["id"], ID);
    acme.delete(&format!("/keys/{ID}")).await.expect(204);
    let named = acme.put("/keys/n", body.clone()).await.expect(200).json();
    assert_ne!(named["id"], OTHER_ID);
    let patched = acme.patch("/keys/n", json!({ "id": OTHER_ID })).await.expect(200).json();
    assert_eq!(patched["id"], named["id"]);
    let set = acme.put("/key-sets/s", json!({ "id": OTHER_ID })).await.expect(200).json();
    assert_ne!(set["id"], OTHER_ID);
    let patched = acme.patch("/key-sets/s", json!({ "id": OTHER_ID })).await.expect(200).json();
    assert_eq!(patched["id"], set["id"]);
    let of_key = acme.put("/keys/n/set", json!({ "id": OTHER_ID })).await.expect(200).json();
    assert_ne!(of_key["id"], OTHER_ID);
}

#[tokio::test]
async fn writes_through_a_set_put_the_key_there_and_patch_may_move_it_away() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let (one, two) = (acme.create_set("one").await, acme.create_set("two").await);
    let mut body = small_key("k");
    (body["name"], body["set"]) = ("n".into(), json!({ "name": "two" }));
    let made = acme.post("/key-sets/one/keys", body.clone()).await.expect(201).json();
    assert_eq!(made["set"]["id"], one["id"]);
    // A set in the body that is not there does not even matter, but a broken one is told.
    body["set"] = json!({ "name": "none" });
    acme.put("/key-sets/one/keys/n", body.clone()).await.expect(200);
    body["set"] = json!(5);
    let answer = acme.put("/key-sets/one/keys/n", body.clone()).await.expect(400).json();
    assert_eq!(answer["fields"], json!({ "set": "expected a record" }));

    // PUT names a key of another set: it moves here.
    let moved = acme.put("/key-sets/two/keys/n", small_key("k")).await.expect(200).json();
    assert_eq!((&moved["id"], &moved["set"]["id"]), (&made["id"], &two["id"]));
    acme.get("/key-sets/one/keys/n").await.expect(404);
    let fresh = acme.put(&format!("/key-sets/two/keys/{ID}"), small_key("fresh")).await.expect(200).json();
    assert_eq!((&fresh["id"], &fresh["set"]["id"]), (&json!(ID), &two["id"]));

    // PATCH reaches only the keys of the set, and may send one away.
    acme.patch("/key-sets/one/keys/n", json!({ "tags": [] }))
        .await
        .expect_message(404, "could not find the entity with '{name=\"n\"}'");
    let tagged = acme.patch("/key-sets/two/keys/n", json!({ "tags": ["t"] })).await.expect(200).json();
    assert_eq!(tagged["set"]["id"], two["id"]);
    let sent =
        acme.patch("/key-sets/two/keys/n", json!({ "set": { "name": "one" } })).await.expect(200).json();
    assert_eq!(sent["set"]["id"], one["id"]);
    let names = |list: Value| {
        list["data"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(acme.get("/key-sets/one/keys").await.json()), ["k"]);
    assert_eq!(names(acme.get("/key-sets/two/keys").await.json()), ["fresh"]);
}

#[tokio::test]
async fn the_set_of_a_key_is_read_made_replaced_and_changed_through_the_key() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let mut body = key_of(&ec_jwk("k"));
    body["name"] = "n".into();
    let key = acme.create_key(body).await;
    acme.create_set("taken").await;
    server.clock.advance(Duration::from_secs(5));
    for path in ["/keys/n/set".to_owned(), format!("{}/set", path_of_key(&key))] {
        acme.get(&path).await.expect_message(404, "Not found");
        acme.patch(&path, json!({})).await.expect_message(404, "Not found");
        // Refused, so that no key set is left behind.
        acme.put(&path, json!({ "name": "taken" })).await.expect(409);
        let made = acme.put(&path, json!({ "name": "s", "tags": ["t"] })).await.expect(200).json();
        let mut expected = key.clone();
        (expected["set"], expected["updated_at"]) = (json!({ "id": made["id"] }), json!(BORN + 5));
        assert_eq!(acme.get("/keys/n").await.json(), expected);
        assert_eq!(acme.get(&path).await.expect(200).json(), made);
        let replaced = acme.put(&path, json!({ "tags": ["x"] })).await.expect(200).json();
        assert_eq!(
            (&replaced["id"], &replaced["name"], &replaced["tags"]),
            (&made["id"], &Value::Null, &json!(["x"]))
        );
        let changed = acme.patch(&path, json!({ "name": "s" })).await.expect(200).json();
        assert_eq!((&changed["name"], &changed["tags"]), (&json!("s"), &json!(["x"])));
        assert_eq!(acme.get("/key-sets").await.json()["data"].as_array().unwrap().len(), 2);
        acme.patch("/keys/n", json!({ "set": null })).await.expect(200);
        acme.delete("/key-sets/s").await.expect(204);
    }
}

#[tokio::test]
async fn deleting_a_set_deletes_its_keys_and_their_tags_and_deleting_a_key_leaves_the_set() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let (gone, stays) = (acme.create_set("gone").await, acme.create_set("stays").await);
    for (kid, set) in [("1", &gone), ("2", &gone), ("3", &stays), ("4", &stays), ("5", &Value::Null)] {
        let mut body = small_key(kid);
        (body["tags"], body["name"]) = (json!([kid]), kid.into());
        if !set.is_null() {
            body["set"] = json!({ "id": set["id"] });
        }
        acme.create_key(body).await;
    }
    acme.delete("/key-sets/gone").await.expect(204);
    acme.delete("/keys/4").await.expect(204);
    for (kid, status) in [("1", 404), ("2", 404), ("3", 200), ("4", 404), ("5", 200)] {
        acme.get(&format!("/keys/{kid}")).await.expect(status);
    }
    assert_eq!(acme.get("/key-sets").await.json()["data"], json!([stays]));
    let tags = acme.get("/tags").await.json();
    let tags: Vec<_> = tags["data"].as_array().unwrap().iter().map(|row| row["tag"].clone()).collect();
    assert_eq!(tags, ["3", "5"]);
}
