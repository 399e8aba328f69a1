//! Keys in the format that they are not stored in.

use serde_json::{Value, json};

use super::material::EXAMPLES;
use super::openssl::{KINDS, Openssl};
use crate::harness::{Client, Server};

/// The standards' keys on the curves that they have none of are openssl's.
#[tokio::test]
async fn a_jwk_becomes_a_pem_that_openssl_finds_sound_and_back() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let openssl = Openssl::new();
    for (name, text) in EXAMPLES {
        let jwk: Value = serde_json::from_str(text).unwrap();
        let kid = jwk["kid"].clone();
        let pem = converted(&acme, json!({ "kid": kid, "jwk": text }), "pem").await;
        let public = pem["public_key"].as_str().unwrap();
        match pem["private_key"].as_str() {
            Some(private) => openssl.check(private, public),
            None => openssl.check_public(public),
        }
        assert_eq!(pem["private_key"].is_string(), jwk["d"].is_string(), "{name}");

        // Back again it has the same numbers. What says what the key is for has no place in a PEM.
        let again = converted(&acme, json!({ "kid": kid, "pem": pem }), "jwk").await;
        let again: Value = serde_json::from_str(again.as_str().unwrap()).unwrap();
        let mut expected = jwk;
        expected.as_object_mut().unwrap().retain(|member, _| !["use", "alg"].contains(&member.as_str()));
        assert_eq!(again, expected, "{name}");
    }
}

#[tokio::test]
async fn a_pem_becomes_a_jwk_and_the_same_pem_again() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let openssl = Openssl::new();
    for kind in KINDS {
        let private = openssl.generate(kind);
        let public = openssl.run("pkey -in key.pem -pubout");
        let whole = json!({ "private_key": private, "public_key": public });
        let half = json!({ "private_key": null, "public_key": public });
        let bodies = [
            (whole.clone(), &whole),
            (half.clone(), &half),
            // The public half is found in the private one.
            (json!({ "private_key": private }), &whole),
        ];
        for (given, expected) in bodies {
            let text = converted(&acme, json!({ "kid": "one", "pem": given }), "jwk").await;
            let mut jwk: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
            assert_eq!((&jwk["kid"], jwk["d"].is_string()), (&json!("one"), expected == &whole), "{kind}");
            jwk["kid"] = "other".into();
            let body = json!({ "kid": "other", "jwk": jwk.to_string() });
            let pem = converted(&acme, body.clone(), "pem").await;
            assert_eq!(&pem, expected, "{kind}");
            // And once more, now that the service wrote both.
            let text = converted(&acme, json!({ "kid": "other", "pem": pem }), "jwk").await;
            assert_eq!(serde_json::from_str::<Value>(text.as_str().unwrap()).unwrap(), jwk, "{kind}");
        }
        openssl.check(&private, &public);
    }
}

#[tokio::test]
async fn the_older_forms_become_the_newer_ones() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let openssl = Openssl::new();
    for (kind, older) in [
        (KINDS[0], "rsa -in key.pem -traditional"),
        (KINDS[2], "ec -in key.pem"),
        (KINDS[3], "ec -in key.pem"),
    ] {
        let pkcs8 = openssl.generate(kind);
        let pem = json!({ "private_key": openssl.run(older) });
        let jwk = converted(&acme, json!({ "kid": "k", "pem": pem }), "jwk").await;
        let pem = converted(&acme, json!({ "kid": "k", "jwk": jwk }), "pem").await;
        assert_eq!(pem["private_key"], pkcs8, "{kind}");
        assert_eq!(pem["public_key"], openssl.run("pkey -in key.pem -pubout"), "{kind}");
    }
}

#[tokio::test]
async fn leading_zeros_that_a_jwk_lacks_or_has_too_many_of_are_put_right() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let openssl = Openssl::new();
    let (x, y) =
        ("VUOJSvPQDtfXQKvb11yWsGh3t4fbX3Dup4uQqNfACg", "u0yFo9jqKe-q-iRAaRLdhNWxTcMr9lbvbGvVil2UP5I");
    let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y, "d": "AXs" });
    let pem = converted(&acme, json!({ "kid": "k", "jwk": jwk.to_string() }), "pem").await;
    openssl.check(pem["private_key"].as_str().unwrap(), pem["public_key"].as_str().unwrap());
    let again = converted(&acme, json!({ "kid": "k", "pem": pem }), "jwk").await;
    let again: Value = serde_json::from_str(again.as_str().unwrap()).unwrap();
    let long = |member: &str| again[member].as_str().unwrap().len();
    assert_eq!([long("x"), long("y"), long("d")], [43; 3], "32 octets each");

    let mut jwk: Value = serde_json::from_str(EXAMPLES[3].1).unwrap();
    let n = jwk["n"].as_str().unwrap().to_owned();
    jwk["n"] = format!("AAAA{n}").into();
    let pem = converted(&acme, json!({ "kid": jwk["kid"], "jwk": jwk.to_string() }), "pem").await;
    openssl.check(pem["private_key"].as_str().unwrap(), pem["public_key"].as_str().unwrap());
    let again = converted(&acme, json!({ "kid": "k", "pem": pem }), "jwk").await;
    assert_eq!(serde_json::from_str::<Value>(again.as_str().unwrap()).unwrap()["n"], n);
}

/// Makes a key, reads it in the other format, and deletes it.
async fn converted(client: &Client, body: Value, format: &str) -> Value {
    let stored = if format == "pem" { "jwk" } else { "pem" };
    let made = client.create_key(body.clone()).await;
    let path = format!("/keys/{}", made["id"].as_str().unwrap());
    let found = client.get(&format!("{path}?format={format}")).await.expect(200).json();
    assert_eq!((&found[stored], &found["kid"]), (&Value::Null, &body["kid"]));
    client.delete(&path).await.expect(204);
    found[format].clone()
}
