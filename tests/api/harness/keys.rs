//! Keys that users bring, known to everybody: examples of standards and of Kong's documentation.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::Client;

/// The RSA key of Kong's documentation, with the kid "42".
pub const RSA_JWK: &str = include_str!("seed.jwk.json");

/// The names of private members.
pub const PRIVATE: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];

/// The EC key of RFC 7517, Appendix A.2, under another kid.
pub fn ec_jwk(kid: &str) -> Value {
    json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        "d": "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
        "kid": kid,
    })
}

/// The RSA key under another kid.
pub fn rsa_jwk(kid: &str) -> Value {
    let mut jwk: Value = serde_json::from_str(RSA_JWK).unwrap();
    jwk["kid"] = kid.into();
    jwk
}

/// The public half of a JWK.
pub fn public(mut jwk: Value) -> Value {
    jwk.as_object_mut().unwrap().retain(|member, _| !PRIVATE.contains(&member.as_str()));
    jwk
}

/// The body that makes a key of a JWK, under the kid that the JWK has.
pub fn key_of(jwk: &Value) -> Value {
    json!({ "kid": jwk["kid"], "jwk": jwk.to_string() })
}

/// The body that makes a small public key.
pub fn small_key(kid: &str) -> Value {
    key_of(&public(ec_jwk(kid)))
}

/// The private numbers of a JWK in every text in which they could stand: as they are, in hexadecimal, and in base64
/// of both alphabets at each of the three offsets that a longer encoded text could give them.
pub fn spellings(jwk: &Value) -> Vec<String> {
    let numbers = PRIVATE.iter().filter_map(|member| jwk[*member].as_str());
    numbers.flat_map(|text| spellings_of(&URL_SAFE_NO_PAD.decode(text).unwrap())).collect()
}

fn spellings_of(number: &[u8]) -> Vec<String> {
    let hex = number.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let mut all = vec![hex.to_uppercase(), hex];
    for skip in 0..3 {
        // 24 bytes are enough to know the number by.
        let part = &number[skip..skip + 24];
        all.push(STANDARD.encode(part));
        all.push(URL_SAFE_NO_PAD.encode(part));
    }
    all
}

impl Client {
    /// Makes a key set of this name and returns it.
    pub async fn create_set(&self, name: &str) -> Value {
        self.post("/key-sets", json!({ "name": name })).await.expect(201).json()
    }

    /// Makes a key and returns it.
    pub async fn create_key(&self, body: Value) -> Value {
        self.post("/keys", body).await.expect(201).json()
    }
}
