//! JWKs whose form is wrong, whatever the type of the key.

use serde_json::{Value, json};

use super::{KID, Row, with, without};
use crate::harness::keys::{ec_jwk, rsa_jwk};

pub fn rows() -> Vec<Row> {
    let mut rows = texts();
    rows.extend(kids_and_members());
    rows.extend(types());
    rows
}

/// Texts that are no JSON object, or none that RFC 7517 allows.
fn texts() -> Vec<Row> {
    let good = ec_jwk(KID).to_string();
    let not_json = "could not json decode jwk string: the text is not JSON";
    let not_object = "could not json decode jwk string: the text is JSON, but not an object";
    let file = "could not json decode jwk string: the text begins with @, so it seems to be the name of a file, \
                and curl's --data reads none: use --data-urlencode 'jwk@FILE' or -F 'jwk=<FILE'";
    let mark = "could not json decode jwk string: the text begins with a byte order mark: save it as UTF-8 \
                without one";
    let unknown = "Validation error: foo: unknown field";
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let is_pem =
        "could not json decode jwk string: the text is PEM: send it as pem.private_key or pem.public_key";
    let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let mut rows: Vec<_> = [
        ("a text that is no JSON", "kty=EC".to_owned(), not_json),
        ("a blank text", " \n".to_owned(), not_json),
        ("JSON that was cut", good[..good.len() - 1].to_owned(), not_json),
        ("something behind the JSON", format!("{good}}}"), not_json),
        ("two JWKs", format!("{good}{good}"), not_json),
        ("a byte order mark", format!("\u{feff}{good}"), mark),
        ("single quotes", good.replace('"', "'"), not_json),
        ("a comma behind the last member", good.replace('}', ",}"), not_json),
        ("a comment", good.replace('{', "{// a key\n"), not_json),
        ("a NUL", good.replace("EC", "E\0C"), "jwk: must not contain the character U+0000"),
        ("a newline in a value", good.replace("EC", "E\nC"), not_json),
        ("JSON in JSON", json!(good).to_string(), not_object),
        ("a list", format!("[{good}]"), not_object),
        ("a number", "7".to_owned(), not_object),
        ("null", "null".to_owned(), not_object),
        ("true", "true".to_owned(), not_object),
        ("the name of a file", "@key.json".to_owned(), file),
        ("the name of a file behind a blank", " @key.json".to_owned(), file),
        ("lists in lists without end", good.replace('}', &format!(",\"foo\":{deep}}}")), unknown),
        ("a PEM", pem.to_owned(), is_pem),
    ]
    .into_iter()
    .map(|(name, text, problem)| Row::text(name, &text, problem))
    .collect();
    for (name, again, member) in [
        ("x twice", r#""x":"AQ""#, "the member x is there twice"),
        (
            "x twice with the same value",
            r#""x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4""#,
            "the member x is there twice",
        ),
        ("d twice, once as an escape", r#""\u0064":"AQ""#, "the member d is there twice"),
        ("kid twice", r#""kid":"k""#, "the member kid is there twice"),
        ("an unknown member twice", r#""foo":1,"foo":2"#, "a member is there twice"),
    ] {
        let text = good.replace('{', &format!("{{{again},"));
        rows.push(Row::text(name, &text, &format!("could not json decode jwk string: {member}")));
    }
    let long = format!("{good}{}", " ".repeat(32_769 - good.len()));
    rows.push(Row::text("a text that is too long", &long, "jwk: length must be at most 32768"));
    let empty = "jwk: length must be at least 1";
    rows.push(Row::text("an empty text", "", empty));
    for (name, value) in
        [("an object", ec_jwk(KID)), ("a number as the field", json!(7)), ("a list as the field", json!([]))]
    {
        rows.push(Row::new(name, json!({ "kid": KID, "jwk": value }), "jwk: expected a string"));
    }
    rows
}

fn kids_and_members() -> Vec<Row> {
    let good = ec_jwk(KID);
    let kid = "kid in jwk.kid must be equal to keys.kid";
    let mut rows: Vec<_> = [
        ("another kid", with(&good, "kid", "other")),
        ("another case of the kid", with(&good, "kid", "K")),
        ("a blank behind the kid", with(&good, "kid", "k ")),
        ("no kid", without(&good, &["kid"])),
        ("a number as the kid", with(&good, "kid", 7)),
        ("null as the kid", with(&good, "kid", Value::Null)),
        ("another kid, and no key either", json!({ "kid": "other" })),
        ("no member at all", json!({})),
    ]
    .into_iter()
    .map(|(name, jwk)| Row::text(name, &jwk.to_string(), kid))
    .collect();
    let number = json!({ "kid": "7", "jwk": with(&good, "kid", 7).to_string() });
    rows.push(Row::new("a number as the kid, and its digits beside it", number, kid));
    let set = json!({ "keys": [good] }).to_string();
    rows.push(Row::text(
        "a JWK set",
        &set,
        "could not json decode jwk string: the text is a JWK set: send each of its keys by itself",
    ));
    for member in ["ext", "iat", "nbf", "exp", "foo", "D", "n "] {
        let jwk = with(&good, member, true).to_string();
        let shown = if member == "n " { "(a name of 2 characters)" } else { member };
        rows.push(Row::text(
            &format!("the member {member:?}"),
            &jwk,
            &format!("Validation error: {shown}: unknown field"),
        ));
    }
    let secret = good["d"].as_str().unwrap();
    let long = with(&good, secret, 1).to_string();
    rows.push(Row::text(
        "a private value as a name",
        &long,
        "Validation error: (a name of 43 characters): unknown field",
    ));
    rows
}

fn types() -> Vec<Row> {
    let (good, rsa) = (ec_jwk(KID), rsa_jwk(KID));
    let oct = "kty: oct is a symmetric key; this service stores asymmetric keys only: RSA, EC and OKP";
    let wrong = "kty: must be RSA, EC or OKP, written exactly so";
    let strings = "must be a list of strings";
    let mut rows: Vec<_> = [
        (
            "a symmetric key",
            json!({ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMko", "kid": KID }),
            oct,
        ),
        ("kty oct on an EC key", with(&good, "kty", "oct"), oct),
        ("kty in lower case", with(&rsa, "kty", "rsa"), wrong),
        ("kty of no key", with(&good, "kty", "DSA"), wrong),
        ("kty with a blank", with(&rsa, "kty", "RSA "), wrong),
        ("kty empty", with(&good, "kty", ""), wrong),
        ("no kty", without(&good, &["kty"]), "kty: is missing"),
        ("kty a number", with(&good, "kty", 2), "kty: must be a string"),
        ("kty null", with(&good, "kty", Value::Null), "kty: must be a string"),
        ("an RSA key that says EC", with(&rsa, "kty", "EC"), "crv: is missing"),
        ("an EC key that says RSA", with(&good, "kty", "RSA"), "n: is missing"),
        ("an EC key that says OKP", with(&good, "kty", "OKP"), "crv: must be Ed25519 or X25519"),
        ("use a list", with(&good, "use", json!(["sig"])), "use: must be a string"),
        ("alg null", with(&good, "alg", Value::Null), "alg: must be a string"),
        ("key_ops a string", with(&good, "key_ops", "sign"), &format!("key_ops: {strings}")),
        ("key_ops of numbers", with(&good, "key_ops", json!([1])), &format!("key_ops: {strings}")),
        ("x5c a string", with(&good, "x5c", "MIIC"), &format!("x5c: {strings}")),
        ("x5t a number", with(&good, "x5t", 1), "x5t: must be a string"),
        ("k a number", with(&good, "k", 1), "k: must be a string"),
    ]
    .into_iter()
    .map(|(name, jwk, reason)| Row::jwk(name, &jwk, reason))
    .collect();
    let half = ec_jwk(KID).to_string().replace("\"EC\"", "\"EC\\ud800\"");
    rows.push(Row::text(
        "half a character",
        &half,
        "could not load JWK, likely not a valid key: kty: must be a string",
    ));
    rows
}
