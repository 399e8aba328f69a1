//! RSA keys as JWK.

use serde_json::{Value, json};

use super::super::material::EXAMPLES;
use super::{KID, Row, altered, encoded, number, with, without};
use crate::harness::keys::{public, rsa_jwk};

/// A prime of 2048 bits: group 14 of RFC 3526.
const PRIME: &str = "___________JD9qiIWjCNMTGYouA3BzRKQJOCIpnzHQCC76mOxObIlFKCHmONATd75UZs806QxswKwpt8l8UN0\
    _hNW1tUcJF5IW1dmJefsb0TELppjftawv_XLb0Brft7jhr-1qJn6WunyQRfEsf5kkoZlHs5Fs9wgB8uKFjvwWY\
    2kg2HFXTmmkWP6j9JM9fg2VdI9yjrZYcYvNWIIVSu57VKQdwlpZtZww1Tkq8mATxdGwIyhghfDKQXkYuNs4745\
    53LBgOhgObJ4Oi7Aeij7XFXfBvTFLJ3ivL9pVYFxg5lUl86pVq5RXSJhiY-gUQFXKOWoqsqmj__________w";

/// A key without a fault but that p is the product of two primes of 512 bits.
const COMPOSITE: &str = include_str!("composite.jwk.json");

/// The inverse of its p mod q, which its primes need when they are swapped.
const COMPOSITE_QI: &str = "uPOxNucRdPxqRYTOkfsdlvhDeLvVDo_0y1t2OqzXbouAJ6eK7ApcfYc6eI8wMPqTfTiOExnGOHMGdXL5G4eqIosp\
    IJhRUPPOrY9Dwx-eEkbN8iHlDP2G29IQa_kiK-cwjEj4GfvEUJSG3_csxhdiNvRdAMN1Ot3ehbIJ2uyxpwY";

const MEMBERS: [&str; 6] = ["d", "p", "q", "dp", "dq", "qi"];

pub fn rows() -> Vec<Row> {
    let mut rows = public_numbers();
    rows.extend(private_numbers());
    rows.extend(primes());
    rows.extend(missing());
    rows.extend(spellings());
    rows
}

/// What the modulus and the public exponent must be like.
fn public_numbers() -> Vec<Row> {
    let good = public(rsa_jwk(KID));
    let (n, p) = (number(&good, "n"), number(&rsa_jwk(KID), "p"));
    let bits = |bits| format!("n: the modulus has {bits} bits, and this service takes no less than 2048");
    let factor = "n: the modulus has a small factor, so it is not the product of two primes";
    let mut rows = Vec::new();
    for (name, n, reason) in [
        ("an even modulus", altered(&good, "n", |n| n[255] ^= 1), "n: the modulus is even"),
        ("the modulus 0", with(&good, "n", "AA"), &bits(0)),
        ("the modulus 1", with(&good, "n", "AQ"), &bits(1)),
        ("the modulus 0 at full length", with(&good, "n", encoded(&[0; 256])), &bits(0)),
        ("a tiny modulus", with(&good, "n", "DL8"), &bits(12)),
        ("a modulus of 512 bits", with(&good, "n", encoded(&n[..64])), &bits(512)),
        ("a modulus of 2047 bits", altered(&good, "n", |n| n[0] >>= 1), &bits(2047)),
        (
            "a short modulus behind zeros",
            with(&good, "n", encoded(&[&[0; 128], &n[..128]].concat())),
            &bits(1024),
        ),
        (
            "a modulus of 8193 bits",
            with(&good, "n", encoded(&[&[1], &[0xff; 1024][..]].concat())),
            "n: the modulus has 8193 bits, and this service takes no more than 8192",
        ),
        ("a modulus that 3 divides", with(&good, "n", encoded(&product(&n, &[3]))), factor),
        ("a modulus that 997 divides", with(&good, "n", encoded(&product(&n, &[3, 0xe5]))), factor),
        (
            "a prime as the modulus",
            with(&good, "n", PRIME),
            "n: the modulus is itself a prime, not the product of two",
        ),
        (
            "a square as the modulus",
            with(&good, "n", encoded(&product(&p, &p))),
            "n: the modulus is a square, not the product of two different primes",
        ),
    ] {
        rows.push(Row::jwk(name, &n, reason));
    }
    let small = "e: is less than 3; 65537 is usual";
    let even = "e: is even; 65537 is usual";
    let long = "e: is longer than 64 bits; 65537 is usual";
    for (name, e, reason) in [
        ("the exponent 0", "AA", small),
        ("the exponent 1", "AQ", small),
        ("the exponent 1 behind zeros", "AAAAAQ", small),
        ("the exponent 2", "Ag", even),
        ("the exponent 65536", "AQAA", even),
        ("an exponent of 65 bits", "AQAAAAAAAAAB", long),
        ("the modulus as the exponent", good["n"].as_str().unwrap(), long),
    ] {
        rows.push(Row::jwk(name, &with(&good, "e", e), reason));
    }
    rows
}

/// Private numbers that do not belong to the public ones, or to each other.
fn private_numbers() -> Vec<Row> {
    let (good, other) = (rsa_jwk(KID), serde_json::from_str::<Value>(EXAMPLES[3].1).unwrap());
    let alone = without(&good, &MEMBERS[1..]);
    let foreign = "d: does not belong to n and e";
    let range = "d: is 0 or not less than n";
    let n = good["n"].as_str().unwrap();
    let mut rows = Vec::new();
    for (what, jwk) in [("d with the primes", &good), ("d alone", &alone)] {
        for (name, d, reason) in [
            ("another key's", other["d"].clone(), foreign),
            ("two more", altered(jwk, "d", |d| d[255] ^= 2)["d"].clone(), foreign),
            ("one bit off", altered(jwk, "d", |d| d[7] ^= 1)["d"].clone(), foreign),
            ("even", altered(jwk, "d", |d| d[255] ^= 1)["d"].clone(), foreign),
            ("1", json!("AQ"), foreign),
            ("the exponent", json!("AQAB"), foreign),
            ("dp", good["dp"].clone(), foreign),
            ("0", json!("AA"), range),
            ("the modulus", json!(n), range),
            ("longer than the modulus", json!(encoded(&[0xff; 300])), range),
        ] {
            rows.push(Row::jwk(&format!("{what}: {name}"), &with(jwk, "d", d), reason));
        }
        rows.push(Row::jwk(&format!("{what}: made for another exponent"), &with(jwk, "e", "Aw"), foreign));
    }
    let product = "p, q: their product is not n";
    for (member, reason) in [
        ("p", product),
        ("q", product),
        ("dp", "dp: is not d mod (p-1)"),
        ("dq", "dq: is not d mod (q-1)"),
        ("qi", "qi: is not the inverse of q mod p"),
    ] {
        for (name, value) in [
            ("another key's", other[member].clone()),
            ("one bit off", altered(&good, member, |number| number[9] ^= 4)[member].clone()),
            ("0", json!("AA")),
            ("1", json!("AQ")),
            ("d", good["d"].clone()),
            ("too long", json!(encoded(&[0xff; 400]))),
        ] {
            rows.push(Row::jwk(&format!("{member}: {name}"), &with(&good, member, value), reason));
        }
    }
    rows.push(Row::jwk("another key's modulus", &with(&good, "n", other["n"].clone()), product));
    rows.push(Row::jwk(
        "d alone with another key's modulus",
        &with(&alone, "n", other["n"].clone()),
        foreign,
    ));
    let mut mixed = other.clone();
    (mixed["n"], mixed["kid"]) = (good["n"].clone(), KID.into());
    rows.push(Row::jwk("the public half of one key and the private one of another", &mixed, product));
    rows
}

/// Factors whose product is the modulus, but which are no primes of a key.
fn primes() -> Vec<Row> {
    let good = rsa_jwk(KID);
    let composite = with(&serde_json::from_str(COMPOSITE).unwrap(), "kid", KID);
    let changed = |n: &[u8], p: &[u8], q: &[u8]| {
        let jwk = with(&with(&good, "n", encoded(n)), "p", encoded(p));
        with(&jwk, "q", encoded(q))
    };
    let (n, p, q) = (number(&good, "n"), number(&good, "p"), number(&good, "q"));
    let weak = "has less than a third of the bits of n: the key is too weak";
    let swapped = |jwk: &Value| {
        [("p", "q"), ("q", "p"), ("dp", "dq"), ("dq", "dp")]
            .iter()
            .fold(jwk.clone(), |new, (member, other)| with(&new, member, jwk[other].clone()))
    };
    [
        ("p and q the same", changed(&product(&p, &p), &p, &p), "p, q: are the same number".to_owned()),
        ("p a product", composite.clone(), "p: is not a prime number".to_owned()),
        (
            "q a product",
            with(&swapped(&composite), "qi", COMPOSITE_QI),
            "q: is not a prime number".to_owned(),
        ),
        (
            "p a product, told by d alone",
            without(&composite, &MEMBERS[1..]),
            "d: does not belong to n and e".to_owned(),
        ),
        ("p is 1 and q is n", changed(&n, &[1], &n), format!("p: {weak}")),
        ("p is n and q is 1", changed(&n, &n, &[1]), format!("q: {weak}")),
        ("p is 65537", changed(&product(&[1, 0, 1], &n), &[1, 0, 1], &n), format!("p: {weak}")),
        ("p and q swapped", changed(&n, &q, &p), "dp: is not d mod (p-1)".to_owned()),
        ("p and q swapped with dp and dq", swapped(&good), "qi: is not the inverse of q mod p".to_owned()),
    ]
    .into_iter()
    .map(|(name, jwk, reason)| Row::jwk(name, &jwk, &reason))
    .collect()
}

/// Members that must be there, and one that must not.
fn missing() -> Vec<Row> {
    let good = rsa_jwk(KID);
    let tail = "give all of d, p, q, dp, dq, qi, or d alone";
    let mut rows = Vec::new();
    for member in ["n", "e"] {
        for (half, jwk) in [("private", &good), ("public", &public(good.clone()))] {
            let name = format!("no {member}, {half}");
            rows.push(Row::jwk(&name, &without(jwk, &[member]), &format!("{member}: is missing")));
        }
    }
    for member in MEMBERS {
        let given = if member == "d" { "p" } else { "d" };
        let given = if member == "d" {
            given
        } else if member == "p" {
            "q"
        } else {
            "p"
        };
        let reason = format!("{member}: is missing, though {given} is there: {tail}");
        rows.push(Row::jwk(&format!("no {member}"), &without(&good, &[member]), &reason));
    }
    for (member, missing) in [("p", "q"), ("q", "p"), ("qi", "p")] {
        let lone: Vec<_> = MEMBERS[1..].iter().copied().filter(|other| *other != member).collect();
        let reason = format!("{missing}: is missing, though {member} is there: {tail}");
        rows.push(Row::jwk(&format!("{member} and d alone"), &without(&good, &lone), &reason));
    }
    let reason = format!("d: is missing, though qi is there: {tail}");
    rows.push(Row::jwk("qi alone", &without(&good, &MEMBERS[..5]), &reason));
    let primes = "oth: keys of more than two primes are not supported";
    for (name, oth) in [("oth", json!([{ "r": "AQ", "d": "AQ", "t": "AQ" }])), ("oth, empty", json!([]))] {
        rows.push(Row::jwk(name, &with(&good, "oth", oth), primes));
    }
    rows
}

/// Values that are no base64url of a number.
fn spellings() -> Vec<Row> {
    let good = rsa_jwk(KID);
    let alphabet = "has + or /: base64url is meant, which has - and _ instead";
    let odd = "has a character that base64url does not have";
    let bits = "has bits behind its last octet: it was cut or altered";
    let text = |member: &str| good[member].as_str().unwrap();
    let mut rows = Vec::new();
    for (member, sign, other) in
        [("n", "_", "/"), ("d", "-", "+"), ("p", "-", "+"), ("dq", "_", "/"), ("qi", "-", "+")]
    {
        let value = text(member).replace(sign, other);
        assert_ne!(value, text(member));
        rows.push(Row::jwk(
            &format!("{other} in {member}"),
            &with(&good, member, value),
            &format!("{member}: {alphabet}"),
        ));
    }
    for (name, member, value, reason) in [
        ("a blank in n", "n", text("n").replacen('_', " ", 1), odd),
        ("a newline in n", "n", format!("{}\n", text("n")), odd),
        ("a newline in the middle of d", "d", text("d").replacen('_', "_\n", 1), odd),
        ("n in decimal digits with points", "n", "1.2.3".to_owned(), odd),
        ("n as PEM", "n", "-----BEGIN PUBLIC KEY-----".to_owned(), odd),
        ("padding in the middle", "q", text("q").replacen('_', "=", 1), odd),
        ("too much padding", "e", "AQAB=".to_owned(), odd),
        ("bits behind the end of n", "n", format!("{}x", &text("n")[..341]), bits),
        ("bits behind the end of dp", "dp", format!("{}F", &text("dp")[..170]), bits),
        (
            "one character of n lost",
            "n",
            text("n")[..341].to_owned(),
            "is no base64url: its length cannot be right",
        ),
        ("e of one character", "e", "A".to_owned(), "is no base64url: its length cannot be right"),
    ] {
        rows.push(Row::jwk(name, &with(&good, member, value), &format!("{member}: {reason}")));
    }
    for member in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
        rows.push(Row::jwk(
            &format!("{member} empty"),
            &with(&good, member, ""),
            &format!("{member}: is empty"),
        ));
        for (name, value) in [("number", json!(65537)), ("null", Value::Null), ("list", json!(["AQAB"]))] {
            let name = format!("{member} as {name}");
            rows.push(Row::jwk(&name, &with(&good, member, value), &format!("{member}: must be a string")));
        }
    }
    rows
}

fn product(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = vec![0; a.len() + b.len()];
    for (i, x) in a.iter().rev().enumerate() {
        let mut carry = 0;
        for (j, y) in b.iter().rev().enumerate() {
            let at = out.len() - 1 - i - j;
            let sum = u16::from(*x) * u16::from(*y) + u16::from(out[at]) + u16::from(carry);
            [carry, out[at]] = sum.to_be_bytes();
        }
        let at = out.len() - 1 - i - b.len();
        out[at] = carry;
    }
    out
}
