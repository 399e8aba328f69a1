//! Keys that must be taken, and come back as they were sent, byte for byte.

use serde_json::{Value, json};

use super::openssl::{KINDS, Openssl};
use crate::harness::keys::{ec_jwk, public, rsa_jwk};
use crate::harness::{Client, Server};

/// The asymmetric keys of the standards, laid out as there. Those of RFC 8037 have no kid there.
pub const EXAMPLES: [(&str, &str); 10] = [
    ("RFC 7517, A.1, EC", include_str!("keys/rfc7517-a1-ec.json")),
    ("RFC 7517, A.1, RSA", include_str!("keys/rfc7517-a1-rsa.json")),
    ("RFC 7517, A.2, EC", include_str!("keys/rfc7517-a2-ec.json")),
    ("RFC 7517, A.2, RSA", include_str!("keys/rfc7517-a2-rsa.json")),
    ("RFC 7520, 3.1", include_str!("keys/rfc7520-3.1-ec.json")),
    ("RFC 7520, 3.2", include_str!("keys/rfc7520-3.2-ec.json")),
    ("RFC 7520, 3.3", include_str!("keys/rfc7520-3.3-rsa.json")),
    ("RFC 7520, 3.4", include_str!("keys/rfc7520-3.4-rsa.json")),
    ("RFC 8037, A.1", include_str!("keys/rfc8037-a1-ed25519.json")),
    ("RFC 8037, A.2", include_str!("keys/rfc8037-a2-ed25519.json")),
];

#[tokio::test]
async fn the_example_keys_of_the_standards_come_back_as_they_were_sent() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    for (name, text) in EXAMPLES {
        kept_jwk(&acme, name, text).await;
    }
}

#[tokio::test]
async fn a_jwk_may_be_written_in_other_ways() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let padded = |mut jwk: Value| {
        for member in ["n", "e", "d", "p", "q", "dp", "dq", "qi", "x", "y"] {
            if let Some(text) = jwk[member].as_str() {
                jwk[member] = format!("{text}{}", &"==="[..(4 - text.len() % 4) % 4]).into();
            }
        }
        assert!(jwk.to_string().contains("=\""));
        jwk.to_string()
    };
    let changed = |mut jwk: Value, member: &str, value: &str| {
        jwk[member] = value.into();
        jwk
    };
    let n = rsa_jwk("")["n"].as_str().unwrap().to_owned();
    // The octets before it are a multiple of three, so base64 of the rest stays what it is.
    let zeros = changed(rsa_jwk("k"), "n", &format!("AAAA{n}"));
    let compact = ec_jwk("k").to_string();
    // 379 and 43 times the generator of P-256 have a coordinate that begins with a zero octet. It is left out here, as
    // are those of the private numbers.
    let short_x = json!({
        "kty": "EC",
        "crv": "P-256",
        "kid": "k",
        "x": "VUOJSvPQDtfXQKvb11yWsGh3t4fbX3Dup4uQqNfACg",
        "y": "u0yFo9jqKe-q-iRAaRLdhNWxTcMr9lbvbGvVil2UP5I",
        "d": "AXs",
    });
    let short_y = json!({
        "kty": "EC",
        "crv": "P-256",
        "kid": "k",
        "x": "mGriUG8f8QTQQjCGHY9LSY9LxMbQCbMPdUTcEpuC0o0",
        "y": "PMzApkYOCuMopNl9PHth2G_GKJwYnyUlEQxEG7B-lw",
        "d": "Kw",
    });
    let mut alone = rsa_jwk("k");
    alone
        .as_object_mut()
        .unwrap()
        .retain(|member, _| !["p", "q", "dp", "dq", "qi"].contains(&member.as_str()));
    let mut hidden = serde_json::from_str::<Value>(EXAMPLES[8].1).unwrap();
    hidden.as_object_mut().unwrap().remove("x").unwrap();
    let cases = [
        ("padding, RSA", padded(rsa_jwk("k"))),
        ("padding, EC", padded(ec_jwk("k"))),
        ("leading zeros in n", zeros.to_string()),
        ("leading zeros in n of a public key", public(zeros).to_string()),
        ("an algorithm of another kind", changed(public(rsa_jwk("k")), "alg", "A256GCM").to_string()),
        ("a use of the user's own", changed(ec_jwk("k"), "use", "to look at").to_string()),
        ("newlines and tabs", compact.replace(',', ",\n\t").replace(':', " :\t")),
        ("CRLF around it", format!("\r\n {}\r\n", compact.replace(',', ",\r\n"))),
        ("as long as may be", format!("{compact}{}", " ".repeat(32_768 - compact.len()))),
        ("escapes", compact.replace("\"kty\"", "\"\\u006bty\"").replace("\"EC\"", "\"\\u0045C\"")),
        ("a short x", short_x.to_string()),
        ("a short y", short_y.to_string()),
        ("a short x, public", public(short_x).to_string()),
        ("d without the primes", alone.to_string()),
        ("d without x", hidden.to_string()),
    ];
    for (name, text) in cases {
        kept_jwk(&acme, name, &text).await;
    }
}

/// The list is the contract's, without those that hold numbers and without `oth`.
#[tokio::test]
async fn a_jwk_may_have_every_member_that_kong_knows() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let mut jwk = ec_jwk("k");
    for member in [
        "issuer", "use", "alg", "x5u", "x5t", "x5t#S256", "n", "e", "p", "q", "dp", "dq", "qi", "k", "r", "t",
    ] {
        jwk[member] = "whatever".into();
    }
    (jwk["key_ops"], jwk["x5c"]) = (json!(["sign", "fly"]), json!(["MIIC"]));
    kept_jwk(&acme, "every member", &jwk.to_string()).await;

    // Of these, readers see what is public.
    let made = acme.create_key(json!({ "kid": "k", "jwk": jwk.to_string() })).await;
    let reader = server.client("acme", &["keys.read"]).await;
    let path = format!("/keys/{}", made["id"].as_str().unwrap());
    let shown = reader.get(&path).await.expect(200).json()["jwk"].as_str().unwrap().to_owned();
    let mut expected = public(jwk);
    expected.as_object_mut().unwrap().retain(|member, _| !["k", "r", "t"].contains(&member.as_str()));
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), expected);
}

#[tokio::test]
async fn every_format_that_openssl_writes_is_taken_and_comes_back_as_it_was_sent() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let openssl = Openssl::new();
    for kind in KINDS {
        let pkcs8 = openssl.generate(kind);
        let spki = openssl.run("pkey -in key.pem -pubout");
        assert!(pkcs8.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{kind}");
        assert!(spki.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{kind}");
        let (mut private, mut public) = (vec![("PKCS#8", pkcs8.clone())], vec![("SPKI", spki.clone())]);
        if kind.starts_with("RSA") {
            private.push(("PKCS#1", openssl.run("rsa -in key.pem -traditional")));
            public.push(("PKCS#1", openssl.run("rsa -in key.pem -RSAPublicKey_out")));
            let certificate = openssl.run("req -x509 -new -key key.pem -subj /CN=key");
            private.push(("behind its certificate", format!("{certificate}{pkcs8}")));
            private.push(("before its certificate", format!("{pkcs8}{certificate}")));
            public.push(("behind its certificate", format!("{certificate}{spki}")));
        }
        if let Some(curve) = kind.strip_prefix("EC -pkeyopt ec_paramgen_curve:") {
            let sec1 = openssl.run("ec -in key.pem");
            let parameters = openssl.run(&format!("ecparam -name {curve}"));
            assert!(sec1.starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
            assert!(parameters.starts_with("-----BEGIN EC PARAMETERS-----\n"));
            private.push(("SEC 1 behind its parameters", format!("{parameters}{sec1}")));
            private.push(("SEC 1", sec1));
        }
        private.push(("behind its public half", format!("{spki}{pkcs8}")));
        for (forms, text) in [(&mut private, pkcs8), (&mut public, spki)] {
            forms.push(("CRLF", text.replace('\n', "\r\n")));
            forms.push(("no newline at the end", text.trim_end().to_owned()));
            forms.push(("text around it", format!("subject=CN: key\nKey: value\n\n{text}\n# the end\n")));
        }
        for (private_form, private) in &private {
            for (public_form, public) in &public {
                let name = format!("{kind}: {private_form}, {public_form}");
                kept_pem(&acme, &name, json!({ "private_key": private, "public_key": public })).await;
            }
            kept_pem(&acme, private_form, json!({ "private_key": private, "public_key": null })).await;
        }
        for (form, public) in &public {
            kept_pem(&acme, form, json!({ "private_key": null, "public_key": public })).await;
        }
    }
}

#[tokio::test]
async fn the_ec_keys_that_openssl_makes_with_their_parameters_are_taken() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let openssl = Openssl::new();
    for curve in ["prime256v1", "secp384r1", "secp521r1"] {
        let both = openssl.run(&format!("ecparam -name {curve} -genkey"));
        assert!(both.starts_with("-----BEGIN EC PARAMETERS-----\n"));
        let alone = openssl.run(&format!("ecparam -name {curve} -genkey -noout"));
        assert!(alone.starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
        for text in [both, alone] {
            kept_pem(&acme, curve, json!({ "private_key": text, "public_key": null })).await;
        }
    }
}

#[tokio::test]
async fn short_rsa_keys_are_for_installations_that_want_them() {
    let openssl = Openssl::new();
    let private = openssl.generate("RSA -pkeyopt rsa_keygen_bits:1024");
    let pem = json!({ "private_key": private, "public_key": openssl.run("pkey -in key.pem -pubout") });
    let lenient = Server::start_with(&[("HOOK_KEYS_KEYS_MIN_RSA_BITS", "512")], <_>::default()).await;
    let acme = lenient.org("acme").await;
    kept_pem(&acme, "1024 bits", pem.clone()).await;
    let key = acme.create_key(json!({ "kid": "k", "pem": pem })).await;
    let path = format!("/keys/{}?format=jwk", key["id"].as_str().unwrap());
    let jwk = acme.get(&path).await.expect(200).json()["jwk"].as_str().unwrap().to_owned();
    acme.delete(&format!("/keys/{}", key["id"].as_str().unwrap())).await.expect(204);
    kept_jwk(&acme, "1024 bits", &jwk).await;

    let strict = Server::start().await;
    let acme = strict.org("acme").await;
    let short = "n: the modulus has 1024 bits, and this service takes no less than 2048";
    for (half, what) in [("private_key", "private"), ("public_key", "public")] {
        let body = json!({ "kid": "k", "pem": { half: pem[half] } });
        let message = format!("schema violation (pem: could not load {what} key: {short})");
        acme.post("/keys", body).await.expect_message(400, &message);
    }
    let message = format!("schema violation (could not load JWK, likely not a valid key: {short})");
    acme.post("/keys", json!({ "kid": "k", "jwk": jwk })).await.expect_message(400, &message);
}

/// Makes a key of a JWK under the kid it has, and expects it back as it is.
async fn kept_jwk(client: &Client, name: &str, text: &str) {
    let jwk: Value = serde_json::from_str(text).unwrap();
    let body = json!({ "kid": jwk["kid"], "jwk": text });
    kept(client, name, body).await;
}

/// The same with a PEM.
async fn kept_pem(client: &Client, name: &str, pem: Value) {
    kept(client, name, json!({ "kid": "k", "pem": pem })).await;
}

async fn kept(client: &Client, name: &str, body: Value) {
    let answer = client.post("/keys", body.clone()).await;
    assert_eq!(answer.status, 201, "{name}: {}", answer.text);
    let made = answer.json();
    let path = format!("/keys/{}", made["id"].as_str().unwrap());
    let format = if body["pem"].is_null() { "jwk" } else { "pem" };
    let found = client.get(&path).await.expect(200).json();
    let asked = client.get(&format!("{path}?format={format}")).await.expect(200).json();
    for key in [made, found] {
        assert_eq!((&key["jwk"], &key["pem"]), (&body["jwk"], &body["pem"]), "{name}");
    }
    assert_eq!(
        (&asked["jwk"], &asked["pem"]["private_key"]),
        (&body["jwk"], &body["pem"]["private_key"]),
        "{name}"
    );
    // A public half that is not stored is written from the private one.
    if !body["pem"]["public_key"].is_null() {
        assert_eq!(asked["pem"], body["pem"], "{name}");
    } else if !body["pem"].is_null() {
        assert!(asked["pem"]["public_key"].as_str().unwrap().starts_with("-----BEGIN PUBLIC KEY"), "{name}");
    }
    client.delete(&path).await.expect(204);
}
