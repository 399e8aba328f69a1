//! Keys as PEM. All but those of algorithms that are not taken are made of the base keys, by the real openssl.

use serde_json::{Value, json};

use super::super::openssl::Openssl;
use super::curves::ed25519;
use super::spoilt::{BESIDE, CERTIFICATE, ENCRYPTED, EXPLICIT, NONE, NUL, SPOILT, armor, der, spoilt};
use super::{KID, Row};
use crate::harness::Client;
use crate::harness::keys::{ec_jwk, key_of, rsa_jwk};

/// The base keys as PEM.
pub struct Base {
    openssl: Openssl,
    rsa: Halves,
    ec: Halves,
    ed: Halves,
}

struct Halves {
    private: String,
    public: String,
}

impl Base {
    /// Lets the service write them, and keeps them in files.
    pub async fn make(client: &Client) -> Self {
        let openssl = Openssl::new();
        let rsa = Halves::of(client, &rsa_jwk(KID)).await;
        let ec = Halves::of(client, &ec_jwk(KID)).await;
        let ed = Halves::of(client, &ed25519()).await;
        openssl.file("rsa.pem", &rsa.private);
        openssl.file("ec.pem", &ec.private);
        openssl.file("ed.pem", &ed.private);
        Self { openssl, rsa, ec, ed }
    }
}

impl Halves {
    async fn of(client: &Client, jwk: &Value) -> Self {
        let key = client.create_key(key_of(jwk)).await;
        let path = format!("/keys/{}", key["id"].as_str().unwrap());
        let pem = client.get(&format!("{path}?format=pem")).await.expect(200).json()["pem"].clone();
        client.delete(&path).await.expect(204);
        let half = |name: &str| pem[name].as_str().unwrap().to_owned();
        Self { private: half("private_key"), public: half("public_key") }
    }
}

pub fn private_rows(base: &Base) -> Vec<Row> {
    let Base { openssl, rsa, ec, ed } = base;
    let mut rows = Vec::new();
    for (kind, text) in [("RSA", &rsa.private), ("EC", &ec.private), ("Ed25519", &ed.private)] {
        for (name, text, reason) in spoilt(text) {
            rows.push(Row::private(&format!("{kind}: {name}"), &text, reason));
        }
    }
    let file = "the text begins with @, so it seems to be the name of a file, and curl's --data reads none: use \
                --data-urlencode 'pem.private_key@FILE' or -F 'pem.private_key=<FILE'";
    let certificate = openssl.run("req -x509 -new -key rsa.pem -subj /CN=key");
    let pkcs1 = openssl.run("rsa -in rsa.pem -traditional");
    let sec1 = openssl.run("ec -in ec.pem");
    let public = "this is a public key, and a private one is wanted";
    for (name, text, reason) in [
        ("the name of a file", "@private.pem".to_owned(), file),
        ("a public key", rsa.public.clone(), public),
        ("a public key in PKCS#1", openssl.run("rsa -in rsa.pem -RSAPublicKey_out"), public),
        ("a certificate", certificate.clone(), CERTIFICATE),
        ("a certificate and a public key", format!("{certificate}{}", rsa.public), CERTIFICATE),
        (
            "a request for a certificate",
            openssl.run("req -new -key rsa.pem -subj /CN=key"),
            "this is a request for a certificate, and a private key is wanted",
        ),
        ("PKCS#8, encrypted", openssl.run("pkcs8 -topk8 -in rsa.pem -passout pass:secret"), ENCRYPTED),
        (
            "PKCS#1, encrypted",
            openssl.run("rsa -in rsa.pem -traditional -aes128 -passout pass:secret"),
            ENCRYPTED,
        ),
        ("SEC 1, encrypted", openssl.run("ec -in ec.pem -aes128 -passout pass:secret"), ENCRYPTED),
        (
            "OpenSSH",
            armor("OPENSSH PRIVATE KEY", b"openssh-key-v1\0"),
            "this is OpenSSH's own form, and PKCS#8 is wanted (for RSA and EC: ssh-keygen -p -m PKCS8 -f COPY)",
        ),
        (
            "RSA of three primes",
            openssl.generate("RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_primes:3"),
            "RSA keys of more than two primes are not supported",
        ),
        ("PuTTY", "PuTTY-User-Key-File-3: ssh-ed25519\n".to_owned(), NONE),
        (
            "PGP",
            armor("PGP PRIVATE KEY BLOCK", b"x"),
            "there is no private key in the text, only something else",
        ),
        ("parameters alone", openssl.run("ecparam -name prime256v1"), "there is no private key in the text"),
        ("PKCS#8 that says PKCS#1", rsa.private.replace("PRIVATE", "RSA PRIVATE"), SPOILT),
        ("PKCS#8 that says SEC 1", ec.private.replace("PRIVATE", "EC PRIVATE"), SPOILT),
        ("PKCS#1 that says PKCS#8", pkcs1.replace("RSA PRIVATE", "PRIVATE"), SPOILT),
        ("SEC 1 that says PKCS#8", sec1.replace("EC PRIVATE", "PRIVATE"), SPOILT),
        ("a public key that says private", ec.public.replace("PUBLIC", "PRIVATE"), SPOILT),
        (
            "SEC 1 with other parameters before it",
            format!("{}{sec1}", openssl.run("ecparam -name secp384r1")),
            "the EC key and its parameters name different curves",
        ),
    ] {
        rows.push(Row::private(name, &text, reason));
    }
    rows.extend(dishonest(base));
    rows.extend(
        other_algorithms(openssl)
            .into_iter()
            .map(|(name, text, _, reason)| Row::private(name, &text, &reason)),
    );
    rows
}

/// Private keys whose numbers do not belong together.
fn dishonest(base: &Base) -> Vec<Row> {
    let Base { rsa, ec, ed, .. } = base;
    let (d, qi) = (rsa_jwk(KID)["d"].clone(), rsa_jwk(KID)["qi"].clone());
    let (point, number) = (ec_jwk(KID)["y"].clone(), ec_jwk(KID)["d"].clone());
    let flip = |text: &str, number: &Value| {
        let (number, mut der) = (super::number(&json!({ "x": number }), "x"), der(text));
        let at = der.windows(number.len()).position(|part| part == number).unwrap();
        der[at + number.len() - 1] ^= 2;
        armor("PRIVATE KEY", &der)
    };
    let mut short = der(&ed.private);
    // All lengths are one less.
    (short[1], short[13], short[15]) = (short[1] - 1, short[13] - 1, short[15] - 1);
    short.pop();
    [
        ("RSA with another d", flip(&rsa.private, &d), "d: does not belong to n and e"),
        ("RSA with another qi", flip(&rsa.private, &qi), "qi: is not the inverse of q mod p"),
        ("RSA with another p", flip(&rsa.private, &rsa_jwk(KID)["p"]), "p, q: their product is not n"),
        (
            "EC with another point",
            flip(&ec.private, &point),
            "d: does not belong to the public key beside it",
        ),
        ("EC with another d", flip(&ec.private, &number), "d: does not belong to the public key beside it"),
        (
            "Ed25519 of 31 octets",
            armor("PRIVATE KEY", &short),
            "d: has 31 octets, and Ed25519 takes exactly 32",
        ),
    ]
    .into_iter()
    .map(|(name, text, reason)| Row::private(name, &text, reason))
    .collect()
}

/// Keys of algorithms that are not taken: name, private half, public half, refusal.
fn other_algorithms(openssl: &Openssl) -> Vec<(&'static str, String, String, String)> {
    let ending = "is not supported; use RSA, EC, Ed25519 or X25519";
    let curve = "crv: the curve is not supported; use P-256, P-384 or P-521";
    let k1 = "crv: secp256k1 is not supported; use P-256";
    openssl.run("dsaparam -genkey -noout -out dsa.pem 1024");
    let mut all = Vec::new();
    for (command, reason) in [
        ("pkcs8 -topk8 -nocrypt -in dsa.pem", format!("DSA {ending}")),
        ("genpkey -algorithm Ed448", format!("Ed448 {ending}")),
        ("genpkey -algorithm X448", format!("X448 {ending}")),
        ("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:1024", format!("RSA for PSS only {ending}")),
        ("genpkey -algorithm DH -pkeyopt group:ffdhe2048", format!("Diffie-Hellman {ending}")),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1", k1.to_owned()),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp224r1", curve.to_owned()),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:brainpoolP256r1", curve.to_owned()),
        (
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit",
            EXPLICIT.to_owned(),
        ),
        (
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024",
            "n: the modulus has 1024 bits, and this service takes no less than 2048".to_owned(),
        ),
    ] {
        openssl.run(&format!("{command} -out key.pem"));
        let public = openssl.run("pkey -in key.pem -pubout");
        all.push((command, openssl.run("pkey -in key.pem"), public, reason));
    }
    for (name, command, reason) in [
        ("DSA, the older form", "dsa -in dsa.pem", "DSA is not supported; use RSA, EC or Ed25519"),
        ("secp256k1, SEC 1", "ecparam -name secp256k1 -genkey -noout", k1),
        ("secp256k1, SEC 1 with parameters", "ecparam -name secp256k1 -genkey", k1),
        (
            "a curve spelled out, SEC 1",
            "ecparam -name prime256v1 -genkey -noout -param_enc explicit",
            EXPLICIT,
        ),
        (
            "a curve spelled out, SEC 1 with parameters",
            "ecparam -name prime256v1 -genkey -param_enc explicit",
            EXPLICIT,
        ),
    ] {
        all.push((name, openssl.run(command), String::new(), reason.to_owned()));
    }
    all
}

pub fn public_rows(base: &Base) -> Vec<Row> {
    let Base { openssl, rsa, ec, ed } = base;
    let mut rows = Vec::new();
    for (kind, text) in [("RSA", &rsa.public), ("EC", &ec.public), ("Ed25519", &ed.public)] {
        for (name, text, reason) in spoilt(text) {
            rows.push(Row::public(&format!("{kind}: {name}"), &text, reason));
        }
    }
    let file = "the text begins with @, so it seems to be the name of a file, and curl's --data reads none: use \
                --data-urlencode 'pem.public_key@FILE' or -F 'pem.public_key=<FILE'";
    let certificate = openssl.run("req -x509 -new -key rsa.pem -subj /CN=key");
    let sec1 = openssl.run("ec -in ec.pem");
    let pkcs1 = openssl.run("rsa -in rsa.pem -RSAPublicKey_out");
    let encrypted = openssl.run("pkcs8 -topk8 -in rsa.pem -passout pass:secret");
    let change = |text: &str, at: usize, octet: u8| {
        let mut der = der(text);
        let at = der.len() - at;
        der[at] = octet;
        armor("PUBLIC KEY", &der)
    };
    for (name, text, reason) in [
        ("the name of a file", "@public.pem".to_owned(), file),
        (
            "a certificate",
            certificate.clone(),
            "this is a certificate, and a public key is wanted: openssl x509 -in FILE -pubkey -noout makes it",
        ),
        (
            "a request for a certificate",
            openssl.run("req -new -key rsa.pem -subj /CN=key"),
            "this is a request for a certificate, and a public key is wanted: openssl req -in FILE -pubkey \
             -noout makes it",
        ),
        ("a private key", rsa.private.clone(), BESIDE),
        ("a private key in SEC 1", sec1.clone(), BESIDE),
        ("a private key behind the public one", format!("{}{}", ec.public, ec.private), BESIDE),
        ("a private key before the public one", format!("{}{}", ec.private, ec.public), BESIDE),
        (
            "a private key behind a line that is spoilt",
            format!("{}{}", ec.public, ec.private.replace("KEY-----", "KEY----")),
            BESIDE,
        ),
        (
            "a private RSA key spelled out before the public one",
            openssl.run("rsa -in rsa.pem -text -pubout"),
            BESIDE,
        ),
        (
            "a private EC key spelled out before the public one",
            openssl.run("ec -in ec.pem -text -pubout"),
            BESIDE,
        ),
        ("a private key in the same line", format!("{}  {}", ec.public, ec.private), BESIDE),
        ("an encrypted private key behind the public one", format!("{}{encrypted}", rsa.public), BESIDE),
        ("a certificate and its private key", format!("{certificate}{}", rsa.private), BESIDE),
        ("a private key that says public", ec.private.replace("PRIVATE", "PUBLIC"), SPOILT),
        ("SPKI that says PKCS#1", rsa.public.replace("PUBLIC", "RSA PUBLIC"), SPOILT),
        ("PKCS#1 that says SPKI", pkcs1.replace("RSA PUBLIC", "PUBLIC"), SPOILT),
        ("parameters alone", openssl.run("ecparam -name prime256v1"), "there is no public key in the text"),
        (
            "OpenSSH",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1 me@here\n".to_owned(),
            "this is OpenSSH's own form, and PEM is wanted (for RSA and EC: ssh-keygen -e -m PKCS8 -f FILE)",
        ),
        ("SSH2", "---- BEGIN SSH2 PUBLIC KEY ----\n".to_owned(), NONE),
        (
            "a compressed point",
            openssl.run("ec -in ec.pem -pubout -conv_form compressed"),
            "y: the point is compressed; write it out with openssl ec -pubin -conv_form uncompressed",
        ),
        ("a point off the curve", change(&ec.public, 1, 0), "x, y: the point is not on the curve P-256"),
        ("a point that begins with 5", change(&ec.public, 65, 5), "x, y: this is no point of P-256"),
        ("an even modulus", change(&rsa.public, 6, 0), "n: the modulus is even"),
        ("a number with zeros before it", change(&rsa.public, 3, 0), SPOILT),
        ("an even exponent", change(&rsa.public, 1, 0), "e: is even; 65537 is usual"),
        (
            "a point of small order",
            armor("PUBLIC KEY", &[&der(&ed.public)[..12], &[0; 32]].concat()),
            "x: this point is of small order, so no private key stands behind it",
        ),
    ] {
        rows.push(Row::public(name, &text, reason));
    }
    let others = other_algorithms(openssl).into_iter().filter(|(_, _, public, _)| !public.is_empty());
    rows.extend(others.map(|(name, _, text, reason)| Row::public(name, &text, &reason)));
    rows
}

/// Halves that do not belong together, and what is no pair of halves.
pub fn pair_rows(base: &Base) -> Vec<Row> {
    let Base { openssl, rsa, ec, ed } = base;
    let pem = |private: &str, public: &str| json!({ "private_key": private, "public_key": public });
    let body = |private: &str, public: &str| json!({ "kid": KID, "pem": pem(private, public) });
    openssl.generate("EC -pkeyopt ec_paramgen_curve:P-256");
    let other = openssl.run("pkey -in key.pem -pubout");
    let binary: String = der(&ec.private).into_iter().map(char::from).collect();
    let both = |public: &str, private: &str| {
        format!("pem: could not load public key: {public}; could not load private key: {private}")
    };
    let differ = "pem: public key does not match private key";
    let one = "at least one of these fields must be non-empty: 'private_key', 'public_key'";
    let mut exponent = der(&rsa.public);
    *exponent.last_mut().unwrap() = 3;
    let mut rows = Vec::new();
    for (name, body, problem) in [
        ("halves of two keys of a kind", body(&ec.private, &other), differ),
        ("halves of two kinds", body(&rsa.private, &ec.public), differ),
        ("halves of two curves", body(&ed.private, &ec.public), differ),
        ("halves with two exponents", body(&rsa.private, &armor("PUBLIC KEY", &exponent)), differ),
        (
            "halves swapped",
            body(&ec.public, &ec.private),
            &both(BESIDE, "this is a public key, and a private one is wanted"),
        ),
        (
            "a good private half and no public one",
            body(&ec.private, "hello"),
            &format!("pem: could not load public key: {NONE}"),
        ),
        (
            "a good public half and no private one",
            body("hello", &ec.public),
            &format!("pem: could not load private key: {NONE}"),
        ),
        ("neither half is a key", body("hello", "hello"), &both(NONE, NONE)),
        (
            "a NUL in the private half",
            body(&ec.private.replacen('\n', "\n\0", 1), &ec.public),
            &format!("pem.private_key: {NUL}"),
        ),
        (
            "a NUL behind the public half",
            body(&ec.private, &format!("{}\0", ec.public)),
            &format!("pem.public_key: {NUL}"),
        ),
        ("DER", body(&binary, &ec.public), &format!("pem.private_key: {NUL}")),
        ("no half", json!({ "kid": KID, "pem": {} }), &format!("pem: {one}")),
        (
            "two null halves",
            json!({ "kid": KID, "pem": { "private_key": null, "public_key": null } }),
            &format!("pem: {one}"),
        ),
        (
            "a half that is too long",
            body(&ec.private, &format!("{}{}", ec.public, "\n".repeat(32_768))),
            "pem.public_key: length must be at most 32768",
        ),
        ("an empty half", body("", &ec.public), "pem.private_key: length must be at least 1"),
        (
            "a half that is a number",
            json!({ "kid": KID, "pem": { "public_key": 7 } }),
            "pem.public_key: expected a string",
        ),
        (
            "an unknown half",
            json!({ "kid": KID, "pem": { "public_key": ec.public, "secret": "x" } }),
            "pem.secret: unknown field",
        ),
        ("a text instead of halves", json!({ "kid": KID, "pem": ec.private }), "pem: expected a record"),
        (
            "both formats",
            json!({ "kid": KID, "jwk": ec_jwk(KID).to_string(), "pem": { "public_key": ec.public } }),
            "only one or none of these fields must be set: 'jwk', 'pem'",
        ),
        (
            "neither format",
            json!({ "kid": KID }),
            "at least one of these fields must be non-empty: 'jwk', 'pem'",
        ),
        (
            "two null formats",
            json!({ "kid": KID, "jwk": null, "pem": null }),
            "at least one of these fields must be non-empty: 'jwk', 'pem'",
        ),
    ] {
        rows.push(Row::new(name, body, problem));
    }
    rows
}
