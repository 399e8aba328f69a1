//! Keys on curves as JWK: EC and OKP.

use serde_json::{Value, json};

use super::super::material::EXAMPLES;
use super::{KID, Row, altered, encoded, number, with, without};
use crate::harness::keys::{ec_jwk, public};

/// The prime of the field of P-256, and the order of the curve (SP 800-186 §3.2.1.3).
const FIELD: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

/// The generator of P-256, which the private number 1 makes.
const GENERATOR: [&str; 2] = [
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
];

/// The key of RFC 8037, A.1.
pub fn ed25519() -> Value {
    with(&serde_json::from_str(EXAMPLES[8].1).unwrap(), "kid", KID)
}

/// Bob's key of RFC 7748 §6.1.
pub fn x25519() -> Value {
    let d = encoded(&hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
    let x = encoded(&hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
    json!({ "kty": "OKP", "crv": "X25519", "kid": KID, "x": x, "d": d })
}

pub fn rows() -> Vec<Row> {
    let mut rows = points();
    rows.extend(private_numbers());
    rows.extend(names());
    rows.extend(octets());
    rows.extend(small_orders());
    rows
}

/// Coordinates of P-256.
fn points() -> Vec<Row> {
    let good = public(ec_jwk(KID));
    let off = "x, y: the point is not on the curve P-256";
    let long = |member| format!("{member}: is longer than the 32 octets of P-256");
    let (x, y) = (number(&good, "x"), number(&good, "y"));
    let swapped = with(&with(&good, "x", encoded(&y)), "y", encoded(&x));
    let beyond = altered(&good, "x", |number| *number = hex(FIELD));
    let mut rows = Vec::new();
    for (name, jwk, reason) in [
        ("y one bit off", altered(&good, "y", |y| y[31] ^= 1), off),
        ("x one bit off", altered(&good, "x", |x| x[0] ^= 0x80), off),
        ("x and y swapped", swapped, off),
        ("x of one octet", with(&good, "x", "AQ"), off),
        ("x without its last octet", altered(&good, "x", |x| x.truncate(31)), off),
        ("x without its first octet", altered(&good, "x", |x| drop(x.drain(..1))), off),
        ("infinity", with(&with(&good, "x", "AA"), "y", "AA"), off),
        ("infinity at full length", with(&with(&good, "x", encoded(&[0; 32])), "y", encoded(&[0; 32])), off),
        ("x not below the prime of the field", beyond, off),
        (
            "both coordinates all ones",
            with(&with(&good, "x", encoded(&[0xff; 32])), "y", encoded(&[0xff; 32])),
            off,
        ),
        ("x with an octet more", altered(&good, "x", |x| x.push(0)), &long("x")),
        ("x behind a zero", altered(&good, "x", |x| x.insert(0, 0)), &long("x")),
        ("y behind a zero", altered(&good, "y", |y| y.insert(0, 0)), &long("y")),
        ("the whole point as x", with(&good, "x", encoded(&[&[4], &x[..], &y[..]].concat())), &long("x")),
        ("no x", without(&good, &["x"]), "x: is missing"),
        ("no y", without(&good, &["y"]), "y: is missing"),
        ("no coordinates", without(&good, &["x", "y"]), "x: is missing"),
        ("no x beside d", without(&ec_jwk(KID), &["x"]), "x: is missing"),
        ("x empty", with(&good, "x", ""), "x: is empty"),
        ("y empty", with(&good, "y", ""), "y: is empty"),
        ("y null", with(&good, "y", Value::Null), "y: must be a string"),
        ("x a number", with(&good, "x", 7), "x: must be a string"),
        ("x in hexadecimal", with(&good, "x", GENERATOR[0]), &long("x")),
        (
            "x with /",
            with(&good, "x", "/KBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"),
            "x: has + or /: base64url is meant, which has - and _ instead",
        ),
        (
            "x with bits behind its end",
            with(&good, "x", "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D5"),
            "x: has bits behind its last octet: it was cut or altered",
        ),
    ] {
        rows.push(Row::jwk(name, &jwk, reason));
    }
    rows
}

/// The private number of an EC key.
fn private_numbers() -> Vec<Row> {
    let good = ec_jwk(KID);
    let foreign = "d: does not belong to x and y";
    let range = "d: is 0 or not below the order of P-256";
    let long = "d: is longer than the 32 octets of P-256";
    let one = with(&with(&good, "x", encoded(&hex(GENERATOR[0]))), "y", encoded(&hex(GENERATOR[1])));
    let order = hex(ORDER);
    let above: Vec<_> = order[..31].iter().copied().chain([order[31] + 1]).collect();
    // The same x, and y below the axis instead of above it.
    let mirrored = altered(&good, "y", |y| *y = difference(&hex(FIELD), y));
    [
        ("d one more", altered(&good, "d", |d| d[31] ^= 2), foreign),
        ("d of another point", with(&one, "d", good["d"].clone()), foreign),
        ("d of the mirrored point", mirrored, foreign),
        ("d is 1", with(&good, "d", "AQ"), foreign),
        ("d is x", with(&good, "d", good["x"].clone()), foreign),
        ("d is 0", with(&good, "d", "AA"), range),
        ("d is 0 at full length", with(&good, "d", encoded(&[0; 32])), range),
        ("d is the order", with(&good, "d", encoded(&order)), range),
        ("d is the order and 1 on its own point", with(&one, "d", encoded(&above)), range),
        ("d is all ones", with(&good, "d", encoded(&[0xff; 32])), range),
        ("d with an octet more", altered(&good, "d", |d| d.push(0)), long),
        ("d behind a zero", altered(&good, "d", |d| d.insert(0, 0)), long),
        ("d empty, EC", with(&good, "d", ""), "d: is empty"),
        ("d null, EC", with(&good, "d", Value::Null), "d: must be a string"),
    ]
    .into_iter()
    .map(|(name, jwk, reason)| Row::jwk(name, &jwk, reason))
    .collect()
}

/// Names of curves.
fn names() -> Vec<Row> {
    let (ec, ed, x) = (ec_jwk(KID), ed25519(), x25519());
    let p521 = with(&serde_json::from_str(EXAMPLES[5].1).unwrap(), "kid", KID);
    let nist = "crv: must be P-256, P-384 or P-521";
    let okp = "crv: must be Ed25519 or X25519";
    [
        ("no crv, EC", without(&ec, &["crv"]), "crv: is missing"),
        ("no crv, OKP", without(&ed, &["crv"]), "crv: is missing"),
        ("crv null", with(&ec, "crv", Value::Null), "crv: must be a string"),
        ("crv empty", with(&ec, "crv", ""), nist),
        ("crv in lower case", with(&ec, "crv", "p-256"), nist),
        ("crv as openssl calls it", with(&ec, "crv", "prime256v1"), nist),
        ("crv of no curve", with(&ec, "crv", "P-512"), nist),
        ("secp256k1", with(&ec, "crv", "secp256k1"), "crv: secp256k1 is not supported; use P-256"),
        ("crv of a longer curve", with(&ec, "crv", "P-384"), "x, y: the point is not on the curve P-384"),
        ("crv of a shorter curve", with(&p521, "crv", "P-256"), "x: is longer than the 32 octets of P-256"),
        ("an EC key on Ed25519", with(&ec, "crv", "Ed25519"), nist),
        ("an OKP key on P-256", with(&ed, "crv", "P-256"), okp),
        ("crv in lower case, OKP", with(&x, "crv", "x25519"), okp),
        ("Ed448", with(&ed, "crv", "Ed448"), "crv: Ed448 is not supported; use Ed25519"),
        ("X448", with(&x, "crv", "X448"), "crv: X448 is not supported; use X25519"),
        ("an Ed25519 key that says X25519", with(&ed, "crv", "X25519"), "d: does not belong to x"),
        ("an X25519 key that says Ed25519", with(&x, "crv", "Ed25519"), "d: does not belong to x"),
    ]
    .into_iter()
    .map(|(name, jwk, reason)| Row::jwk(name, &jwk, reason))
    .collect()
}

/// The halves of OKP keys.
fn octets() -> Vec<Row> {
    let mut rows = Vec::new();
    for (curve, good) in [("Ed25519", ed25519()), ("X25519", x25519())] {
        let short = public(good.clone());
        let takes =
            |member: &str, octets| format!("{member}: has {octets} octets, and {curve} takes exactly 32");
        let both = [number(&good, "d"), number(&good, "x")].concat();
        for (name, jwk, reason) in [
            ("x of 31 octets", altered(&short, "x", |x| x.truncate(31)), takes("x", 31)),
            ("x of 33 octets", altered(&short, "x", |x| x.push(0)), takes("x", 33)),
            ("x of 31 octets beside d", altered(&good, "x", |x| x.truncate(31)), takes("x", 31)),
            ("d of 31 octets", altered(&good, "d", |d| drop(d.drain(..1))), takes("d", 31)),
            ("d of 33 octets", altered(&good, "d", |d| d.insert(0, 0)), takes("d", 33)),
            ("both halves as d", with(&good, "d", encoded(&both)), takes("d", 64)),
            ("d of another key", altered(&good, "d", |d| d[9] ^= 1), "d: does not belong to x".to_owned()),
            ("x of another key", altered(&good, "x", |x| x[9] ^= 1), "d: does not belong to x".to_owned()),
            (
                "x and d swapped",
                with(&with(&good, "x", good["d"].clone()), "d", good["x"].clone()),
                "d: does not belong to x".to_owned(),
            ),
            (
                "x all zero beside d",
                with(&good, "x", encoded(&[0; 32])),
                "d: does not belong to x".to_owned(),
            ),
            ("neither half", without(&short, &["x"]), "x: is missing".to_owned()),
            ("x empty", with(&short, "x", ""), "x: is empty".to_owned()),
            ("d empty", with(&good, "d", ""), "d: is empty".to_owned()),
            ("d a number", with(&good, "d", 7), "d: must be a string".to_owned()),
        ] {
            rows.push(Row::jwk(&format!("{curve}: {name}"), &jwk, &reason));
        }
    }
    rows
}

/// Public halves that are no points, or points behind which no private key stands.
fn small_orders() -> Vec<Row> {
    let (ed, x) = (public(ed25519()), public(x25519()));
    let small = "x: this point is of small order, so no private key stands behind it";
    let none = "x: this is no point of Ed25519";
    let one = "0100000000000000000000000000000000000000000000000000000000000000";
    let zero = "0000000000000000000000000000000000000000000000000000000000000000";
    let prime = "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    let before = "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    let after = "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
    [
        ("Ed25519: the neutral element", &ed, one, small),
        ("Ed25519: all zero", &ed, zero, small),
        ("Ed25519: order 2", &ed, before, small),
        (
            "Ed25519: order 4 with the other sign",
            &ed,
            "0000000000000000000000000000000000000000000000000000000000000080",
            small,
        ),
        ("Ed25519: order 8", &ed, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", small),
        ("Ed25519: the prime of the field", &ed, prime, none),
        ("Ed25519: beyond the prime of the field", &ed, after, none),
        (
            "Ed25519: the neutral element with a sign",
            &ed,
            "0100000000000000000000000000000000000000000000000000000000000080",
            none,
        ),
        (
            "Ed25519: no point has this y",
            &ed,
            "0200000000000000000000000000000000000000000000000000000000000000",
            none,
        ),
        ("Ed25519: all ones", &ed, "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", none),
        ("X25519: all zero", &x, zero, small),
        ("X25519: 1", &x, one, small),
        ("X25519: order 8", &x, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", small),
        (
            "X25519: order 8, the other one",
            &x,
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            small,
        ),
        ("X25519: before the prime of the field", &x, before, small),
        ("X25519: the prime of the field", &x, prime, small),
        ("X25519: beyond the prime of the field", &x, after, small),
    ]
    .into_iter()
    .map(|(name, jwk, x, reason)| Row::jwk(name, &with(jwk, "x", encoded(&hex(x))), reason))
    .collect()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// a - b, of the same length, b being the smaller.
fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = false;
    let octets = a.iter().zip(b).rev().map(|(a, b)| {
        let (once, one) = a.overflowing_sub(*b);
        let (twice, two) = once.overflowing_sub(u8::from(borrow));
        borrow = one || two;
        twice
    });
    let mut octets: Vec<_> = octets.collect();
    octets.reverse();
    octets
}
