//! What a server leaves behind of the private halves it was brought: sealed values, and nothing else.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::keys::{ec_jwk, key_of, rsa_jwk, spellings};
use crate::harness::process::{Dev, on, stdout};
use crate::harness::{Client, Server};

/// Brings private halves in every way, also in wrong ones; returns how many were stored.
async fn bring(client: &Client) -> u64 {
    let rsa = client.create_key(key_of(&rsa_jwk("rsa"))).await;
    let path = format!("/keys/{}", rsa["id"].as_str().unwrap());
    let pem = client.get(&format!("{path}?format=pem")).await.expect(200).json()["pem"].clone();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("kid", "form"), ("jwk", &ec_jwk("form").to_string())])
        .finish();
    for (content_type, body, status) in [
        ("application/x-www-form-urlencoded", form.clone(), 201),
        ("application/x-www-form-urlencoded", form.replace("jwk=", "jwq="), 400),
        ("application/x-www-form-urlencoded", form.replace("kid=form", "kid=other"), 400),
        ("multipart/form-data; boundary=b", multipart(&pem), 201),
        (
            "application/json",
            json!({ "kid": "j", "jwk": ec_jwk("j").to_string(), "pem": pem }).to_string(),
            400,
        ),
        (
            "application/json",
            json!({ ec_jwk("j").to_string(): 1, "name": rsa_jwk("").to_string() }).to_string(),
            400,
        ),
        (
            "application/json",
            json!({ "kid": "j", "pem": { "public_key": pem["private_key"] } }).to_string(),
            400,
        ),
        ("application/json", ec_jwk("j").to_string() + "}", 400),
    ] {
        let request = client.request(reqwest::Method::POST, "/keys").header("content-type", content_type);
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{content_type}");
    }
    client.patch(&path, json!({ "name": "renamed" })).await.expect(200);
    client.put(&path, json!({ "kid": "pem", "pem": pem })).await.expect(200);
    client.put("/keys/gone", key_of(&ec_jwk("gone"))).await.expect(200);
    client.delete("/keys/gone").await.expect(204);
    3
}

fn multipart(pem: &Value) -> String {
    let part = |name: &str, text: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    part("kid", "multipart") + &part("pem.private_key", pem["private_key"].as_str().unwrap()) + "--b--\r\n"
}

/// Whatever a file holds, as text with no line breaks that could hide a number.
fn text_of(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    String::from_utf8_lossy(&bytes).replace("\\n", "").replace('\n', "")
}

#[tokio::test]
async fn no_private_number_is_in_the_database_or_in_the_log_at_trace_level() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let dev = Dev::start(&data, &["--log", "trace"]);
    let stored = bring(&dev.client()).await;
    let log = dev.log.clone();
    // Killed, so that the WAL is still there to be looked through.
    dev.kill();
    let mut files: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.iter().any(|path| path.to_string_lossy().ends_with("-wal")));
    files.push(log);
    let public = [rsa_jwk("")["n"].clone(), ec_jwk("")["x"].clone()];
    let mut found = 0;
    for path in files {
        let text = text_of(&path);
        for needle in [spellings(&rsa_jwk("")), spellings(&ec_jwk(""))].concat() {
            assert!(!text.contains(&needle), "a private number is in {}", path.display());
        }
        found += public.iter().filter(|number| text.contains(number.as_str().unwrap())).count();
    }
    assert!(found > 0, "the search finds nothing, not even what may be seen");
    let verdict: Value = serde_json::from_str(&stdout(&on(&data, &["keyring", "verify", "--json"]))).unwrap();
    assert_eq!(verdict, json!({ "sound": stored, "broken": [] }));
}

#[tokio::test]
async fn a_sealed_key_opens_in_its_own_row_alone_and_only_for_who_may_see_it() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let reader = server.client("acme", &["keys.read"]).await;
    let [one, two] = ["one", "two"].map(|kid| key_of(&ec_jwk(kid)));
    let one = acme.create_key(one).await["id"].as_str().unwrap().to_owned();
    acme.create_key(two).await;
    server.sql(&format!(
        "UPDATE keys SET private_key = (SELECT private_key FROM keys WHERE kid = 'two') WHERE id = '{one}'"
    ));
    let answer = acme.get(&format!("/keys/{one}")).await.expect(500);
    assert_eq!(answer.json(), json!({ "message": "An unexpected error occurred" }));
    reader.get(&format!("/keys/{one}")).await.expect(200);
    reader.get("/keys").await.expect(200);
}

#[tokio::test]
async fn verify_finds_a_public_half_that_is_not_the_private_ones() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let dev = Dev::start(&data, &[]);
    let client = dev.client();
    let rsa = client.create_key(key_of(&rsa_jwk("rsa"))).await;
    let ec = client.create_key(key_of(&ec_jwk("ec"))).await;
    let mut ids = vec![rsa["id"].clone()];
    for (key, kid) in [(&rsa, "pem"), (&ec, "other")] {
        let path = format!("/keys/{}?format=pem", key["id"].as_str().unwrap());
        let pem = client.get(&path).await.expect(200).json()["pem"].clone();
        ids.push(client.create_key(json!({ "kid": kid, "pem": pem })).await["id"].clone());
    }
    dev.terminate();
    let database = data.join("hook-keys.db");
    crate::harness::sql(
        &database,
        "UPDATE keys SET jwk = replace(jwk, '\"n\":\"p', '\"n\":\"q') WHERE kid = 'rsa'",
    );
    crate::harness::sql(
        &database,
        "UPDATE keys SET pem_public = (SELECT pem_public FROM keys WHERE kid = 'other') WHERE kid = 'pem'",
    );
    let output = on(&data, &["keyring", "verify"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for id in &ids[..2] {
        let line = format!(
            "{}: keys.private_key: sealed value: it opens, but its public half",
            id.as_str().unwrap()
        );
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.ends_with("2 sound, 2 broken\n"), "{text}");
}
