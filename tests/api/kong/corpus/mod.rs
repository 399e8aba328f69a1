//! Keys that must be refused: malformed ones, and dishonest ones that look like keys. Each is made from a good key by
//! one change, and each refusal is told word for word.

mod curves;
mod jwk;
mod pem;
mod rsa;
mod spoilt;

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::keys::{ec_jwk, key_of, rsa_jwk, spellings};
use crate::harness::{Client, Server};

/// The kid of every key here.
const KID: &str = "k";

/// A key that must be refused.
pub struct Row {
    name: String,
    body: Value,
    /// The message, whole.
    message: String,
}

impl Row {
    /// `problem` is what stands in the brackets.
    fn new(name: &str, body: Value, problem: &str) -> Self {
        Self { name: name.to_owned(), body, message: format!("schema violation ({problem})") }
    }

    /// A JWK as text.
    fn text(name: &str, jwk: &str, problem: &str) -> Self {
        Self::new(name, json!({ "kid": KID, "jwk": jwk }), problem)
    }

    /// A JWK that has no key in it.
    fn jwk(name: &str, jwk: &Value, reason: &str) -> Self {
        let problem = format!("could not load JWK, likely not a valid key: {reason}");
        Self::text(name, &jwk.to_string(), &problem)
    }

    /// A PEM that has no private key in it.
    fn private(name: &str, text: &str, reason: &str) -> Self {
        let problem = format!("pem: could not load private key: {reason}");
        Self::new(name, json!({ "kid": KID, "pem": { "private_key": text } }), &problem)
    }

    /// A PEM that has no public key in it.
    fn public(name: &str, text: &str, reason: &str) -> Self {
        let problem = format!("pem: could not load public key: {reason}");
        Self::new(name, json!({ "kid": KID, "pem": { "public_key": text } }), &problem)
    }
}

#[tokio::test]
async fn malformed_jwks_are_refused() {
    refused(&jwk::rows(), 65).await;
}

#[tokio::test]
async fn malformed_and_dishonest_rsa_keys_are_refused() {
    refused(&rsa::rows(), 140).await;
}

#[tokio::test]
async fn malformed_and_dishonest_keys_on_curves_are_refused() {
    refused(&curves::rows(), 90).await;
}

#[tokio::test]
async fn malformed_pems_are_refused() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let base = pem::Base::make(&acme).await;
    refused(&pem::private_rows(&base), 130).await;
    refused(&pem::public_rows(&base), 125).await;
    refused(&pem::pair_rows(&base), 18).await;
}

#[tokio::test]
async fn the_keys_that_all_others_are_made_from_are_taken() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    for jwk in [rsa_jwk(KID), ec_jwk(KID), curves::ed25519(), curves::x25519()] {
        let key = acme.create_key(key_of(&jwk)).await;
        acme.delete(&format!("/keys/{}", key["id"].as_str().unwrap())).await.expect(204);
    }
}

/// Expects that each row is refused alike by every route that takes keys, that nothing private is told, and that
/// nothing is stored. There must be this many rows at least.
async fn refused(rows: &[Row], least: usize) {
    let names: HashSet<_> = rows.iter().map(|row| &row.name).collect();
    assert_eq!(names.len(), rows.len(), "two rows have the same name");
    assert!(rows.len() >= least, "only {} rows", rows.len());
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let secrets: Vec<_> =
        [rsa_jwk(KID), ec_jwk(KID), curves::ed25519(), curves::x25519()].iter().flat_map(spellings).collect();
    let has_secret = |text: &str| secrets.iter().any(|secret| text.contains(secret));
    let sent = rows.iter().map(|row| row.body.to_string().replace("\\n", ""));
    assert!(sent.into_iter().any(|body| has_secret(&body)), "nothing to be told was sent");
    let mut wrong = Vec::new();
    for row in rows {
        let told = told(&acme, row).await;
        assert!(!has_secret(&told), "{}: a secret in {told}", row.name);
        let body: Value = serde_json::from_str(&told).unwrap();
        if body["message"] != row.message || body["code"] != 2 {
            wrong.push(format!("{}\n  expected {}\n  was told {told}", row.name, row.message));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert_eq!(acme.get("/keys").await.expect(200).json()["data"], json!([]));
}

/// The refusal, which is the same wherever the key is sent.
async fn told(client: &Client, row: &Row) -> String {
    let answers = [
        client.post("/schemas/keys/validate", row.body.clone()).await,
        client.post("/keys", row.body.clone()).await,
        client.put("/keys/k", row.body.clone()).await,
    ];
    for answer in &answers {
        assert_eq!(answer.status, 400, "{}: {}", row.name, answer.text);
        assert_eq!(answer.text, answers[0].text, "{}", row.name);
    }
    answers[0].text.clone()
}

/// The JWK with one member changed.
fn with(jwk: &Value, member: &str, value: impl Into<Value>) -> Value {
    let mut jwk = jwk.clone();
    jwk[member] = value.into();
    jwk
}

fn without(jwk: &Value, members: &[&str]) -> Value {
    let mut jwk = jwk.clone();
    for member in members {
        jwk.as_object_mut().unwrap().remove(*member).unwrap();
    }
    jwk
}

/// The JWK with one number changed, octet by octet.
fn altered(jwk: &Value, member: &str, change: impl Fn(&mut Vec<u8>)) -> Value {
    let mut number = number(jwk, member);
    change(&mut number);
    with(jwk, member, encoded(&number))
}

fn number(jwk: &Value, member: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(jwk[member].as_str().unwrap()).unwrap()
}

fn encoded(number: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(number)
}
