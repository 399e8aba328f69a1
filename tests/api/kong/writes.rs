//! POST and PATCH, what is refused, and in which order (contract §1, §3, §4).

use std::time::Duration;

use serde_json::{Value, json};

use super::path_of_key;
use crate::harness::keys::{RSA_JWK, ec_jwk, key_of, public, rsa_jwk, small_key};
use crate::harness::{Client, Server};

const ID: &str = "2033cb3d-ef3b-4f6d-8395-bc3c2d5a0e4f";
const NO_ID: &str = "00000000-0000-4000-8000-000000000000";
const BORN: i64 = 1_769_903_998;

/// The two halves of the small key as PEM, as the service writes them.
async fn pem(acme: &Client) -> Value {
    let key = acme.create_key(key_of(&ec_jwk("for its pem"))).await;
    let pem = acme.get(&format!("{}?format=pem", path_of_key(&key))).await.expect(200).json()["pem"].clone();
    acme.delete(&path_of_key(&key)).await.expect(204);
    pem
}

#[tokio::test]
async fn a_key_comes_back_as_it_was_sent() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    // Blanks, line breaks, the order of members: nothing is rewritten.
    let jwk = format!("{{\n\t{}", RSA_JWK.strip_prefix('{').unwrap().replace(",\"", " ,\n\t\"")) + "\n";
    let made = acme.create_key(json!({ "kid": "42", "jwk": jwk, "tags": ["b", "a", "b"] })).await;
    let expected = json!({
        "created_at": BORN,
        "id": made["id"],
        "jwk": jwk,
        "kid": "42",
        "name": null,
        "pem": null,
        "set": null,
        "tags": ["b", "a"],
        "updated_at": BORN,
    });
    assert_eq!(made, expected);
    assert_eq!(acme.get(&path_of_key(&made)).await.expect(200).json(), expected);
    let pem = pem(&acme).await;
    let text = format!("a line before\r\n{}after", pem["public_key"].as_str().unwrap().replace('\n', "\r\n"));
    let made = acme.create_key(json!({ "kid": "p", "pem": { "public_key": text } })).await;
    assert_eq!(made["pem"], json!({ "private_key": null, "public_key": text }));
}

#[tokio::test]
async fn patch_changes_what_it_names_and_clears_what_it_names_as_null() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let set = acme.create_set("s").await;
    let mut body = key_of(&ec_jwk("k"));
    (body["name"], body["tags"], body["set"]) = ("n".into(), json!(["a", "b"]), json!({ "name": "s" }));
    let mut expected = acme.create_key(body).await;
    let path = path_of_key(&expected);
    server.clock.advance(Duration::from_secs(9));
    expected["updated_at"] = json!(BORN + 9);
    let steps = [
        (json!({}), "", Value::Null),
        (json!({ "tags": ["c"] }), "tags", json!(["c"])),
        (json!({ "tags": [] }), "tags", json!([])),
        (json!({ "tags": null }), "tags", Value::Null),
        (json!({ "name": "other" }), "name", json!("other")),
        (json!({ "name": null }), "name", Value::Null),
        (json!({ "set": null }), "set", Value::Null),
        (json!({ "set": { "name": "s" } }), "set", json!({ "id": set["id"] })),
        (json!({ "pem": null }), "", Value::Null),
    ];
    for (body, field, value) in steps {
        if !field.is_empty() {
            expected[field] = value;
        }
        assert_eq!(acme.patch(&path, body.clone()).await.expect(200).json(), expected, "{body}");
    }
    let both = json!({ "kid": "rsa", "jwk": rsa_jwk("rsa").to_string() });
    let replaced = acme.patch(&path, both.clone()).await.expect(200).json();
    assert_eq!((&replaced["kid"], &replaced["jwk"]), (&both["kid"], &both["jwk"]));
}

#[tokio::test]
async fn patch_merges_the_halves_of_a_pem() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let pem = pem(&acme).await;
    let (private, public) = (&pem["private_key"], &pem["public_key"]);
    let path = path_of_key(&acme.create_key(json!({ "kid": "k", "pem": { "private_key": private } })).await);
    let merged = acme.patch(&path, json!({ "pem": { "public_key": public } })).await.expect(200).json();
    assert_eq!(merged["pem"], pem);
    let renamed = acme.patch(&path, json!({ "kid": "new" })).await.expect(200).json();
    assert_eq!((&renamed["kid"], &renamed["pem"]), (&json!("new"), &pem));
    let halved = acme.patch(&path, json!({ "pem": { "private_key": null } })).await.expect(200).json();
    assert_eq!(halved["pem"], json!({ "private_key": null, "public_key": public }));
    acme.patch(&path, json!({ "pem": { "public_key": null } })).await.expect_message(
        400,
        "schema violation (pem: at least one of these fields must be non-empty: 'private_key', 'public_key')",
    );
    acme.patch(&path, json!({ "pem": { "private_key": private } })).await.expect(200);

    // A half that does not belong to the one that is there.
    let other = acme.create_key(json!({ "kid": "42", "jwk": RSA_JWK })).await;
    let other = acme.get(&format!("{}?format=pem", path_of_key(&other))).await.json()["pem"].clone();
    for half in ["private_key", "public_key"] {
        let answer = acme.patch(&path, json!({ "pem": { half: other[half] } })).await;
        answer.expect_message(400, "schema violation (pem: public key does not match private key)");
    }
    assert_eq!(acme.patch(&path, json!({ "pem": other })).await.expect(200).json()["pem"], other);
}

#[tokio::test]
async fn the_format_of_a_key_changes_only_when_the_other_one_is_cleared() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let pem = pem(&acme).await;
    let jwk = ec_jwk("k").to_string();
    let path = path_of_key(&acme.create_key(key_of(&ec_jwk("k"))).await);
    let only_one = "schema violation (only one or none of these fields must be set: 'jwk', 'pem')";
    let neither =
        "schema violation (when updating, at least one of these fields must be non-empty: 'jwk', 'pem')";
    acme.patch(&path, json!({ "pem": pem })).await.expect_message(400, only_one);
    acme.patch(&path, json!({ "jwk": null })).await.expect_message(400, neither);
    let key = acme.patch(&path, json!({ "jwk": null, "pem": pem })).await.expect(200).json();
    assert_eq!((&key["jwk"], &key["pem"]), (&Value::Null, &pem));
    acme.patch(&path, json!({ "jwk": jwk })).await.expect_message(400, only_one);
    acme.patch(&path, json!({ "pem": null })).await.expect_message(400, neither);
    let key = acme.patch(&path, json!({ "jwk": jwk, "pem": null })).await.expect(200).json();
    assert_eq!((&key["jwk"], &key["pem"]), (&json!(jwk), &Value::Null));
    acme.patch(&path, json!({ "kid": "other" }))
        .await
        .expect_message(400, "schema violation (kid in jwk.kid must be equal to keys.kid)");
    acme.patch(&path, json!({ "kid": null }))
        .await
        .expect_message(400, "schema violation (kid: required field missing)");
}

#[tokio::test]
async fn a_vault_reference_may_stand_for_a_key_and_have_a_pem_beside_it() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let pem = pem(&acme).await;
    let reference = "{vault://env/key}";
    let both = acme.create_key(json!({ "kid": "k", "jwk": reference, "pem": pem })).await;
    assert_eq!((&both["jwk"], &both["pem"]), (&json!(reference), &pem));
    let path = path_of_key(&both);
    assert_eq!(acme.get(&path).await.expect(200).json(), both);
    let reader = server.client("acme", &["keys.read"]).await;
    let shown = reader.get(&path).await.expect(200).json();
    assert_eq!(
        (&shown["jwk"], &shown["pem"]),
        (&json!(reference), &json!({ "private_key": null, "public_key": pem["public_key"] }))
    );
    let renamed = acme.patch(&path, json!({ "kid": "other", "pem": null })).await.expect(200).json();
    assert_eq!(
        (&renamed["jwk"], &renamed["pem"], &renamed["kid"]),
        (&json!(reference), &Value::Null, &json!("other"))
    );
    let half = json!({ "private_key": reference, "public_key": pem["public_key"] });
    let key = acme.create_key(json!({ "kid": "half", "pem": half })).await;
    assert_eq!(key["pem"], half);
    assert_eq!(reader.get(&path_of_key(&key)).await.json()["pem"], half);
}

#[tokio::test]
async fn whoever_sends_back_what_was_shown_loses_nothing() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let manager = server.client("acme", &["keys.manage"]).await;
    let pem = pem(&acme).await;
    acme.create_set("s").await;
    let half = json!({ "private_key": pem["private_key"] });
    let bodies = [
        key_of(&ec_jwk("jwk")),
        key_of(&rsa_jwk("rsa")),
        key_of(&public(ec_jwk("public"))),
        json!({ "kid": "pem", "pem": pem }),
        json!({ "kid": "half", "pem": half }),
        json!({ "kid": "public half", "pem": { "public_key": pem["public_key"] } }),
        json!({ "kid": "reference", "jwk": "{vault://env/key}" }),
        json!({ "kid": "half reference", "pem": { "private_key": "{vault://env/key}" } }),
        json!({ "kid": "both", "jwk": "{vault://env/key}", "pem": pem }),
    ];
    for mut body in bodies {
        (body["name"], body["set"], body["tags"]) =
            (body["kid"].clone(), json!({ "name": "s" }), json!(["t"]));
        let path = path_of_key(&acme.create_key(body).await);
        let before = acme.get(&path).await.expect(200).json();
        for client in [&acme, &manager] {
            let shown = client.get(&path).await.expect(200).json();
            for (method, path) in [
                ("PUT", path.clone()),
                ("PATCH", path.clone()),
                ("PUT", "/keys".to_owned()),
                ("PUT", format!("/key-sets/s{path}")),
                ("PATCH", format!("/key-sets/s{path}")),
            ] {
                let answer =
                    client.send(method.parse().unwrap(), &path, Some(shown.clone())).await.expect(200);
                assert_eq!(answer.json(), shown, "{method} {path}");
                assert_eq!(acme.get(&path_of_key(&before)).await.json(), before, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_sends_less_or_other_than_was_shown_means_it() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let manager = server.client("acme", &["keys.manage"]).await;
    let pem = pem(&acme).await;
    let shown_jwk = public(ec_jwk("k")).to_string();
    // With the permission, the public text is the whole key.
    for method in ["PUT", "PATCH"] {
        let path = path_of_key(&acme.create_key(key_of(&ec_jwk("k"))).await);
        let body = json!({ "kid": "k", "jwk": shown_jwk });
        let answer = acme.send(method.parse().unwrap(), &path, Some(body)).await.expect(200);
        assert_eq!(answer.json()["jwk"], shown_jwk, "{method}");
        assert_eq!(acme.get(&path).await.json()["jwk"], shown_jwk, "{method}");
        acme.delete(&path).await.expect(204);

        let path = path_of_key(&acme.create_key(json!({ "kid": "k", "pem": pem })).await);
        let halves = json!({ "private_key": null, "public_key": pem["public_key"] });
        let body = json!({ "kid": "k", "pem": halves });
        let answer = acme.send(method.parse().unwrap(), &path, Some(body)).await.expect(200);
        assert_eq!(answer.json()["pem"], halves, "{method}");
        acme.delete(&path).await.expect(204);

        // Without it, nobody drops a private half without knowing; another one may take its place.
        let path = path_of_key(&acme.create_key(key_of(&ec_jwk("k"))).await);
        let before = acme.get(&path).await.json();
        let other = public(ec_jwk("k")).to_string().replace(',', ", ");
        let hidden = "schema violation (this key has a private half that this token may not see, and would lose it: send \
                      jwk or pem as it was shown, send another private half, or delete the key first)";
        let public_pem = json!({ "public_key": pem["public_key"] });
        for body in [
            json!({ "kid": "k", "jwk": other }),
            json!({ "kid": "k", "jwk": null, "pem": public_pem }),
            json!({ "kid": "k", "jwk": "{vault://env/k}" }),
        ] {
            let answer = manager.send(method.parse().unwrap(), &path, Some(body)).await;
            answer.expect_message(400, hidden);
            assert_eq!(acme.get(&path).await.json(), before, "{method}");
        }
        let mut spaced = key_of(&ec_jwk("k"));
        spaced["jwk"] = spaced["jwk"].as_str().unwrap().replace(',', ", ").into();
        manager.send(method.parse().unwrap(), &path, Some(spaced.clone())).await.expect(200);
        assert_eq!(acme.get(&path).await.json()["jwk"], spaced["jwk"], "{method}");
        acme.delete(&path).await.expect(204);

        let path = path_of_key(&acme.create_key(json!({ "kid": "k", "pem": pem })).await);
        for body in [
            json!({ "kid": "k", "pem": { "public_key": pem["public_key"].as_str().unwrap().to_owned() + "\n" } }),
            json!({ "kid": "k", "pem": null, "jwk": shown_jwk }),
            json!({ "kid": "k", "pem": { "public_key": null, "private_key": "{vault://env/k}" } }),
        ] {
            let answer = manager.put(&path, body).await;
            answer.expect_message(400, hidden);
        }
        assert_eq!(acme.get(&path).await.json()["pem"], pem, "{method}");
        acme.delete(&path).await.expect(204);
    }
    // A new key of the same text has no private half to keep.
    acme.create_key(key_of(&ec_jwk("k"))).await;
    acme.create_set("s").await;
    let copy =
        manager.post("/key-sets/s/keys", json!({ "kid": "k", "jwk": shown_jwk })).await.expect(201).json();
    assert_eq!(acme.get(&path_of_key(&copy)).await.json()["jwk"], shown_jwk);
}

#[tokio::test]
async fn everything_that_is_wrong_with_an_entity_is_told_at_once_the_entity_first() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let neither = "at least one of these fields must be non-empty: 'jwk', 'pem'";
    let body = json!({ "tags": ["ok", "a,b", 5], "set": { "id": "x" }, "name": "", "colour": 1, "id": 5 });
    let answer = acme.post("/keys", body).await.expect(400).json();
    let message = format!(
        "7 schema violations ({neither}; colour: unknown field; id: expected a string; kid: required field missing; \
         name: length must be at least 1; set.id: expected a valid UUID; tags.3: expected a string)"
    );
    assert_eq!(answer["message"], message);
    let fields = json!({
        "@entity": [neither],
        "colour": "unknown field",
        "id": "expected a string",
        "kid": "required field missing",
        "name": "length must be at least 1",
        "set": { "id": "expected a valid UUID" },
        "tags": [null, null, "expected a string"],
    });
    assert_eq!(answer["fields"], fields);

    // Of two things wrong with the JWK, the first of the order is told: JSON, the kid, the key, its members.
    let pem = pem(&acme).await;
    let only_one = "only one or none of these fields must be set: 'jwk', 'pem'";
    for (jwk, problem) in [
        ("{", "could not json decode jwk string"),
        ("7", "could not json decode jwk string"),
        ("null", "could not json decode jwk string"),
        (r#"{"kty":"nope","kid":"other"}"#, "kid in jwk.kid must be equal to keys.kid"),
        (r#"{"kty":"nope","kid":5}"#, "kid in jwk.kid must be equal to keys.kid"),
        (r#"{"kty":"nope"}"#, "kid in jwk.kid must be equal to keys.kid"),
        (r#"{"kty":"nope","kid":"k","foo":1}"#, "could not load JWK, likely not a valid key"),
        (r#"{"kty":"oct","kid":"k","k":"AAAA"}"#, "could not load JWK, likely not a valid key"),
    ] {
        let answer =
            acme.post("/keys", json!({ "kid": "k", "jwk": jwk, "pem": pem })).await.expect(400).json();
        let told = answer["fields"]["@entity"].as_array().unwrap();
        assert!(told[0] == only_one && told[1].as_str().unwrap().starts_with(problem), "{jwk}: {answer}");
        assert_eq!(told.len(), 2, "{jwk}: {answer}");
        assert!(
            answer["message"].as_str().unwrap().starts_with(&format!("2 schema violations ({only_one}; "))
        );
    }
    let mut unknown = ec_jwk("k");
    unknown["foo"] = json!("x");
    acme.post("/keys", key_of(&unknown))
        .await
        .expect_message(400, "schema violation (Validation error: foo: unknown field)");
}

#[tokio::test]
async fn refusals_come_in_the_order_of_kong() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let mut taken = small_key("taken");
    (taken["id"], taken["name"]) = (ID.into(), "taken".into());
    acme.create_key(taken.clone()).await;
    // Each step removes the reason of the last refusal.
    let mut body = json!({ "id": ID, "name": "taken", "kid": "taken", "set": { "name": "none" } });
    let code = async |body: &Value| acme.post("/keys", body.clone()).await.json()["code"].clone();
    assert_eq!(code(&body).await, 13);
    body["set"] = json!({ "id": NO_ID });
    assert_eq!(code(&body).await, 2);
    body["jwk"] = taken["jwk"].clone();
    assert_eq!(code(&body).await, 3);
    body.as_object_mut().unwrap().remove("id");
    let answer = acme.post("/keys", body.clone()).await.expect(400).json();
    assert_eq!((&answer["code"], &answer["fields"]), (&json!(4), &json!({ "set": { "id": NO_ID } })));
    body["set"] = Value::Null;
    let answer = acme.post("/keys", body.clone()).await.expect(409).json();
    assert_eq!((&answer["code"], &answer["fields"]), (&json!(5), &json!({ "name": "taken" })));
    body["name"] = Value::Null;
    let answer = acme.post("/keys", body.clone()).await.expect(409).json();
    assert_eq!((&answer["code"], &answer["fields"]), (&json!(5), &json!({ "kid": "taken", "set": null })));
    acme.create_set("s").await;
    body["set"] = json!({ "name": "s" });
    acme.post("/keys", body).await.expect(201);
    assert_eq!(acme.get("/keys").await.json()["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_kid_is_unique_in_its_set_and_among_the_keys_without_one() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let (one, _two) = (acme.create_set("one").await, acme.create_set("two").await);
    acme.create_key(small_key("k")).await;
    for set in ["one", "two"] {
        acme.post(&format!("/key-sets/{set}/keys"), small_key("k")).await.expect(201);
    }
    let id = one["id"].as_str().unwrap();
    acme.post("/key-sets/one/keys", small_key("k"))
        .await
        .expect_message(409, &format!("UNIQUE violation detected on '{{kid=\"k\",set={{id=\"{id}\"}}}}'"));
    acme.post("/keys", small_key("k"))
        .await
        .expect_message(409, "UNIQUE violation detected on '{kid=\"k\",set=null}'");
    // Moving counts too.
    let list = acme.get("/key-sets/two/keys").await.json();
    let path = path_of_key(&list["data"][0]);
    acme.patch(&path, json!({ "set": { "id": id } })).await.expect(409);
    acme.patch(&path, json!({ "set": null })).await.expect(409);
    acme.put(&format!("/key-sets/one{path}"), small_key("k")).await.expect(409);
    assert_eq!(acme.get(&path).await.json(), list["data"][0]);
}
