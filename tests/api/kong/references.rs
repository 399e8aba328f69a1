//! Vault references instead of keys: kept as they are, and nobody looks behind them.

use serde_json::{Value, json};

use super::openssl::Openssl;
use crate::harness::{Client, Server};

const VAULT: &str = "{vault://hcv/keys/one/jwk?version=3}";

#[tokio::test]
async fn references_are_kept_unverified_and_shown_to_every_reader() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let reader = server.client("acme", &["keys.read"]).await;
    let bodies = [
        json!({ "kid": "a", "jwk": VAULT }),
        json!({ "kid": "b", "pem": { "private_key": VAULT } }),
        json!({ "kid": "c", "pem": { "public_key": VAULT } }),
        json!({ "kid": "d", "pem": { "private_key": VAULT, "public_key": "{vault://env/public}" } }),
    ];
    for body in bodies {
        acme.post("/schemas/keys/validate", body.clone()).await.expect(200);
        let made = acme.create_key(body.clone()).await;
        let path = format!("/keys/{}", made["id"].as_str().unwrap());
        let format = if body["jwk"].is_null() { "pem" } else { "jwk" };
        for path in [path.clone(), format!("{path}?format={format}")] {
            let found = reader.get(&path).await.expect(200).json();
            assert_eq!(found["jwk"], body["jwk"]);
            for half in ["private_key", "public_key"] {
                assert_eq!(found["pem"][half], body["pem"][half]);
            }
        }
    }
}

#[tokio::test]
async fn a_reference_has_no_other_format() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let reader = server.client("acme", &["keys.read"]).await;
    let cases = [
        (json!({ "kid": "a", "jwk": VAULT }), "pem"),
        (json!({ "kid": "b", "pem": { "private_key": VAULT } }), "jwk"),
        (json!({ "kid": "c", "pem": { "public_key": VAULT } }), "jwk"),
        (json!({ "kid": "d", "pem": { "private_key": VAULT, "public_key": VAULT } }), "jwk"),
    ];
    for (body, format) in cases {
        let path = path_of(&acme, body).await;
        for client in [&acme, &reader] {
            let answer = client.get(&format!("{path}?format={format}")).await;
            let message = "invalid option (format: a vault reference cannot be converted)";
            let body = answer.expect_message(400, message).json();
            assert_eq!((&body["code"], &body["name"]), (&json!(11), &json!("invalid options")));
            assert_eq!(body["options"], json!({ "format": "a vault reference cannot be converted" }));
        }
    }
}

#[tokio::test]
async fn a_pem_may_stand_beside_a_jwk_that_is_a_reference() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let openssl = Openssl::new();
    let private = openssl.generate("ED25519");
    let public = openssl.run("pkey -in key.pem -pubout");
    let pem = json!({ "private_key": private, "public_key": public });
    let path = path_of(&acme, json!({ "kid": "k", "jwk": VAULT, "pem": pem })).await;
    let found = acme.get(&path).await.expect(200).json();
    assert_eq!((&found["jwk"], &found["pem"]), (&json!(VAULT), &pem));
    let found = acme.get(&format!("{path}?format=pem")).await.expect(200).json();
    assert_eq!((&found["jwk"], &found["pem"]), (&Value::Null, &pem));
    let found = acme.get(&format!("{path}?format=jwk")).await.expect(200).json();
    assert_eq!((&found["jwk"], &found["pem"]), (&json!(VAULT), &Value::Null));

    // The half that can be seen is converted, whoever asks.
    let body = json!({ "kid": "half", "pem": { "private_key": VAULT, "public_key": public } });
    let path = path_of(&acme, body).await;
    let found = acme.get(&format!("{path}?format=jwk")).await.expect(200).json();
    let jwk: Value = serde_json::from_str(found["jwk"].as_str().unwrap()).unwrap();
    let names: Vec<_> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["crv", "kid", "kty", "x"]);
}

#[tokio::test]
async fn what_only_looks_like_a_reference_is_judged_as_a_key() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let load =
        "could not load private key: there is no PEM in the text: a line -----BEGIN ...----- is missing";
    for text in
        ["{vault://hcv/key", "{vault:/hcv/key}", " {vault://hcv/key}", "{vault://hcv/key}\n", "{Vault://x}"]
    {
        let body = json!({ "kid": "k", "pem": { "private_key": text } });
        let message = format!("schema violation (pem: {load})");
        acme.post("/keys", body).await.expect_message(400, &message);
        let message = "schema violation (could not json decode jwk string: the text is not JSON)";
        acme.post("/keys", json!({ "kid": "k", "jwk": text })).await.expect_message(400, message);
    }
    assert_eq!(acme.get("/keys").await.expect(200).json()["data"], json!([]));
}

async fn path_of(client: &Client, body: Value) -> String {
    let key = client.create_key(body).await;
    format!("/keys/{}", key["id"].as_str().unwrap())
}
