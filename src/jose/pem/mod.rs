//! Keys in PEM (RFC 7468): PKCS#8 (RFC 5958), SPKI (RFC 5280 §4.1), and the older PKCS#1 (RFC 8017, Appendix A.1)
//! and SEC 1 (RFC 5915).

mod armor;
mod decode;
mod encode;
mod oid;

use crate::crypto::key::{Flaw, Key, Rules};
use crate::domain::secret::Secret;
use crate::domain::text::looks_like_key;
use crate::error::Result;

use armor::{Block, Blocks};

/// How much text there may be around a public key, in characters: a comment, but not the numbers of a private key.
const LONGEST_AROUND: usize = 200;

/// Reads the first private key of a text. A certificate before it does no harm.
pub fn read_private(text: &str, rules: Rules) -> Result<Key, Flaw> {
    let mut blocks = Blocks::of("pem.private_key", text)?;
    let (mut parameters, mut other) = (None, None);
    while let Some(block) = blocks.next()? {
        if block.encrypted || block.label == "ENCRYPTED PRIVATE KEY" {
            return Err(Flaw::whole("the key is encrypted; take its pass phrase off: openssl pkey -in FILE"));
        }
        match block.label {
            "PRIVATE KEY" => return decode::pkcs8(&block.der()?, rules),
            "RSA PRIVATE KEY" => return decode::pkcs1_private(&block.der()?, rules).map(Key::Rsa),
            "EC PRIVATE KEY" => {
                return decode::sec1(&block.der()?, parameters).map(Key::Ec);
            }
            "EC PARAMETERS" => parameters = Some(decode::ec_parameters(&block.der()?)?),
            _ => other = other.or_else(|| Some(not_private(&block))),
        }
    }
    Err(other.unwrap_or_else(|| Flaw::whole("there is no private key in the text")))
}

/// Reads the first public key of a text. A text that holds a private key anywhere is refused: who stores it as it is
/// would store that key for everyone to see.
pub fn read_public(text: &str, rules: Rules) -> Result<Key, Flaw> {
    let mut blocks = Blocks::of("pem.public_key", text)?;
    if looks_like_key(text) || text.lines().any(announces_private) {
        return Err(Flaw::whole(
            "there is a private key in the text, and a public one is wanted: openssl pkey -in FILE -pubout makes it",
        ));
    }
    if armor::around(text) > LONGEST_AROUND {
        return Err(Flaw::whole(
            "there is too much text around the public key: send the lines from BEGIN to END alone",
        ));
    }
    let mut other = None;
    while let Some(block) = blocks.next()? {
        match block.label {
            "PUBLIC KEY" => return decode::spki(&block.der()?, rules),
            "RSA PUBLIC KEY" => return decode::pkcs1_public(&block.der()?, rules).map(Key::Rsa),
            "EC PARAMETERS" => {}
            _ => other = other.or_else(|| Some(not_public(&block))),
        }
    }
    Err(other.unwrap_or_else(|| Flaw::whole("there is no public key in the text")))
}

/// Writes a private key as PKCS#8. For a public one there is nothing to write: a fault of the caller.
pub fn write_private(key: &Key) -> Result<Secret> {
    Ok(Secret::new(armor::write("PRIVATE KEY", &encode::pkcs8(key)?)))
}

/// Writes the public half of a key as SPKI.
pub fn write_public(key: &Key) -> Result<String> {
    Ok(armor::write("PUBLIC KEY", &encode::spki(key)?))
}

fn not_private(block: &Block<'_>) -> Flaw {
    Flaw::whole(match block.label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => "this is a public key, and a private one is wanted",
        "DSA PRIVATE KEY" => "DSA is not supported; use RSA, EC or Ed25519",
        "OPENSSH PRIVATE KEY" => {
            "this is OpenSSH's own form, and PKCS#8 is wanted (for RSA and EC: ssh-keygen -p -m PKCS8 -f COPY)"
        }
        label if is_request(label) => "this is a request for a certificate, and a private key is wanted",
        label if is_certificate(label) => "this is a certificate, and a private key is wanted",
        _ => "there is no private key in the text, only something else",
    })
}

fn not_public(block: &Block<'_>) -> Flaw {
    Flaw::whole(match block.label {
        "DSA PUBLIC KEY" => "DSA is not supported; use RSA, EC or Ed25519",
        label if is_request(label) => {
            "this is a request for a certificate, and a public key is wanted: openssl req -in FILE -pubkey -noout \
             makes it"
        }
        label if is_certificate(label) => {
            "this is a certificate, and a public key is wanted: openssl x509 -in FILE -pubkey -noout makes it"
        }
        _ => "there is no public key in the text, only something else",
    })
}

/// Whether a line begins a private key: in whatever armor, even one that is spoilt, or spelled out, as `openssl rsa
/// -text -pubout` does it before the public key.
fn announces_private(line: &str) -> bool {
    line.contains("Private-Key:") || (line.contains("BEGIN ") && line.contains("PRIVATE KEY"))
}

fn is_certificate(label: &str) -> bool {
    matches!(label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE")
}

fn is_request(label: &str) -> bool {
    matches!(label, "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST")
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use der::Encode as _;
    use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef};
    use pkcs8::PrivateKeyInfoRef;
    use spki::AlgorithmIdentifierRef;

    use super::*;
    use crate::crypto::key::{Curve, EcKey, OkpCurve, OkpKey};
    use crate::jose::jwk::{self, Jwk};

    const RULES: Rules = Rules::new(2048);

    fn ec(curve: Curve) -> EcKey {
        EcKey::from_private(curve, &vec![7; curve.octets() - 1], None).unwrap()
    }

    fn rsa_pkcs8() -> String {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        armor::write("PRIVATE KEY", pair.as_der().unwrap().as_ref())
    }

    fn one_of_each_kind() -> Vec<Key> {
        let mut keys = vec![read_private(&rsa_pkcs8(), RULES).unwrap()];
        keys.extend([Curve::P256, Curve::P384, Curve::P521].map(|curve| Key::Ec(ec(curve))));
        keys.extend(
            [OkpCurve::Ed25519, OkpCurve::X25519]
                .map(|curve| Key::Okp(OkpKey::from_private(curve, &[7; 32], None).unwrap())),
        );
        keys
    }

    fn as_jwk(key: &Key) -> String {
        jwk::write(key, "kid").reveal().to_owned()
    }

    fn private(text: &str) -> String {
        read_private(text, RULES).unwrap_err().to_string()
    }

    fn public(text: &str) -> String {
        read_public(text, RULES).unwrap_err().to_string()
    }

    #[test]
    fn a_key_stays_the_same_through_both_forms() {
        for key in one_of_each_kind() {
            let text = as_jwk(&key);
            let loaded = Jwk::read(&text).unwrap().load(RULES).unwrap();
            let pem = write_private(&loaded).unwrap();
            let again = read_private(pem.reveal(), RULES).unwrap();
            assert_eq!(as_jwk(&again), text);
            assert_eq!(write_private(&again).unwrap().reveal(), pem.reveal());
            let public = read_public(&write_public(&again).unwrap(), RULES).unwrap();
            assert!(public.same_public(&key) && !public.is_private());
            assert!(write_private(&public).is_err(), "there is nothing private to write");
            let public_text = as_jwk(&public);
            assert_eq!(as_jwk(&Jwk::read(&public_text).unwrap().load(RULES).unwrap()), public_text);
        }
    }

    #[test]
    fn the_older_forms_are_read() {
        let pkcs8 = rsa_pkcs8();
        let key = read_private(&pkcs8, RULES).unwrap();
        let der = encode::pkcs8(&key).unwrap();
        let info: PrivateKeyInfoRef<'_> = der::Decode::from_der(&der).unwrap();
        let pkcs1 = armor::write("RSA PRIVATE KEY", info.private_key.as_bytes());
        assert_eq!(as_jwk(&read_private(&pkcs1, RULES).unwrap()), as_jwk(&key));
        let der = encode::spki(&key).unwrap();
        let info: spki::SubjectPublicKeyInfoRef<'_> = der::Decode::from_der(&der).unwrap();
        let pkcs1 = armor::write("RSA PUBLIC KEY", info.subject_public_key.as_bytes().unwrap());
        assert!(read_public(&pkcs1, RULES).unwrap().same_public(&key));
    }

    #[test]
    fn sec1_is_read_with_what_may_be_left_out() {
        let p256 = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
        let p384 = ObjectIdentifier::new_unwrap("1.3.132.0.34");
        let key = ec(Curve::P256);
        let (d, point) = (key.d().unwrap(), key.point());
        let other = ec(Curve::P384);
        let sec1 = |named: Option<ObjectIdentifier>, public_key| {
            let parameters = named.map(sec1::EcParameters::NamedCurve);
            let key = sec1::EcPrivateKey { private_key: d, parameters, public_key };
            armor::write("EC PRIVATE KEY", &key.to_der().unwrap())
        };
        let parameters = |named: ObjectIdentifier| armor::write("EC PARAMETERS", &named.to_der().unwrap());
        let read = |text: &str| as_jwk(&read_private(text, RULES).unwrap());
        let expected = as_jwk(&Key::Ec(ec(Curve::P256)));
        assert_eq!(read(&sec1(Some(p256), Some(&point))), expected);
        assert_eq!(read(&sec1(Some(p256), None)), expected);
        assert_eq!(read(&format!("{}{}", parameters(p256), sec1(None, None))), expected);
        assert_eq!(read(&format!("{}{}", parameters(p256), sec1(Some(p256), None))), expected);
        assert_eq!(private(&sec1(None, None)), "the EC key does not name its curve");
        assert_eq!(
            private(&format!("{}{}", parameters(p384), sec1(Some(p256), None))),
            "the EC key and its parameters name different curves"
        );
        assert_eq!(
            private(&sec1(Some(p256), Some(&other.point()))),
            "d: does not belong to the public key beside it"
        );
    }

    #[test]
    fn a_public_key_inside_pkcs8_must_match() {
        let key = OkpKey::from_private(OkpCurve::Ed25519, &[7; 32], None).unwrap();
        let seed = OctetStringRef::new(key.d().unwrap()).unwrap().to_der().unwrap();
        let algorithm = AlgorithmIdentifierRef { oid: oid::ED25519, parameters: None };
        let with = |x: &[u8]| {
            let mut info = PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&seed).unwrap());
            info.public_key = Some(BitStringRef::from_bytes(x).unwrap());
            armor::write("PRIVATE KEY", &info.to_der().unwrap())
        };
        assert!(read_private(&with(key.x()), RULES).is_ok());
        assert_eq!(
            private(&with(&[1; 32])),
            "the public key inside the PKCS#8 document is not that of its private key"
        );
    }

    #[test]
    fn the_first_block_that_fits_is_taken() {
        let key = Key::Ec(ec(Curve::P384));
        let (private, public) = (write_private(&key).unwrap(), write_public(&key).unwrap());
        let text = format!("{}\n{public}{}", armor::write("CERTIFICATE", b"x"), private.reveal());
        assert!(read_private(&text, RULES).unwrap().same_public(&key));
        let text = format!("{}{public}", armor::write("CERTIFICATE", b"x"));
        assert!(read_public(&text, RULES).unwrap().same_public(&key));
    }

    #[test]
    fn a_public_key_may_have_a_comment_around_it_but_no_more() {
        let public_half = write_public(&Key::Ec(ec(Curve::P256))).unwrap();
        let with = |before: usize, after: usize| {
            format!("{}\n{public_half}{}\n", "b".repeat(before), "a".repeat(after))
        };
        assert!(read_public(&with(100, 100), RULES).is_ok());
        assert!(public(&with(100, 101)).starts_with("there is too much text around the public key"));
        let header = public_half.replacen("-----\n", &format!("-----\nComment: {}\n\n", "c".repeat(192)), 1);
        assert!(public(&header).starts_with("there is too much text around the public key"));
    }

    #[test]
    fn a_private_key_beside_the_public_one_is_refused_where_everyone_will_see_it() {
        let key = Key::Ec(ec(Curve::P256));
        let (private, public_half) = (write_private(&key).unwrap(), write_public(&key).unwrap());
        let old = private.reveal().replace("PRIVATE KEY", "EC PRIVATE KEY");
        for text in [
            format!("{public_half}{}", private.reveal()),
            format!("{}{public_half}", private.reveal()),
            format!("{public_half}{old}"),
            format!("{}\n{public_half}", as_jwk(&key)),
            format!("{public_half}  {}", private.reveal().replace("END", "FIN")),
            format!("{public_half}{}", private.reveal().replace("KEY-----", "KEY ----")),
            format!("Private-Key: (256 bit)\npriv:\n    1e:0f\n{public_half}"),
            format!("{public_half}-----BEGIN PGP PRIVATE KEY BLOCK-----"),
        ] {
            assert!(public(&text).starts_with("there is a private key in the text, and a public one"));
        }
    }

    #[test]
    fn the_wrong_kind_of_block_is_named() {
        let block = |label| armor::write(label, b"x");
        let cases = [
            ("CERTIFICATE", "this is a certificate, and a private key is wanted"),
            ("PUBLIC KEY", "this is a public key, and a private one is wanted"),
            (
                "ENCRYPTED PRIVATE KEY",
                "the key is encrypted; take its pass phrase off: openssl pkey -in FILE",
            ),
            ("DSA PRIVATE KEY", "DSA is not supported; use RSA, EC or Ed25519"),
            ("X", "there is no private key in the text, only something else"),
        ];
        for (label, problem) in cases {
            assert_eq!(private(&block(label)), problem);
        }
        let headers = "-----\nProc-Type: 4,ENCRYPTED\n\n";
        let old = block("RSA PRIVATE KEY").replacen("-----\n", headers, 1);
        assert!(private(&old).starts_with("the key is encrypted"));
        assert!(public(&block("CERTIFICATE")).starts_with("this is a certificate, and a public key"));
        assert!(public(&block("EC PRIVATE KEY")).starts_with("there is a private key in the text"));
        assert!(private("@key.pem").contains("'pem.private_key@FILE' or -F 'pem.private_key=<FILE'"));
        assert!(public("@key.pem").contains("'pem.public_key@FILE'"));
    }

    #[test]
    fn algorithms_that_are_not_taken_are_named() {
        let spki = |algorithm: &str, parameters: Option<AnyRef<'_>>| {
            let oid = ObjectIdentifier::new_unwrap(algorithm);
            let algorithm = AlgorithmIdentifierRef { oid, parameters };
            let subject_public_key = BitStringRef::from_bytes(&[1; 32]).unwrap();
            let der = spki::SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().unwrap();
            public(&armor::write("PUBLIC KEY", &der))
        };
        let ending = "is not supported; use RSA, EC, Ed25519 or X25519";
        assert_eq!(spki("1.2.840.10040.4.1", None), format!("DSA {ending}"));
        assert_eq!(spki("1.3.101.113", None), format!("Ed448 {ending}"));
        assert_eq!(spki("1.2.840.113549.1.1.10", None), format!("RSA for PSS only {ending}"));
        assert_eq!(spki("1.2.3", None), format!("the algorithm of the key {ending}"));
        let ec = |curve: &ObjectIdentifier| spki("1.2.840.10045.2.1", Some(AnyRef::from(curve)));
        assert_eq!(ec(&oid::SECP256K1), "crv: secp256k1 is not supported; use P-256");
        assert_eq!(
            ec(&ObjectIdentifier::new_unwrap("1.2.3")),
            "crv: the curve is not supported; use P-256, P-384 or P-521"
        );
        assert_eq!(ec(&oid::P256), "x, y: this is no point of P-256");
        assert_eq!(spki("1.2.840.10045.2.1", None), "the EC key does not name its curve");
        let explicit = AnyRef::new(der::Tag::Sequence, &[2, 1, 1]).unwrap();
        assert_eq!(
            spki("1.2.840.10045.2.1", Some(explicit)),
            "the EC key spells its curve out; name it: openssl ec -param_enc named_curve"
        );
        assert_eq!(spki("1.3.101.112", Some(AnyRef::NULL)), "Ed25519 and X25519 take no parameters");
    }

    #[test]
    fn der_that_was_cut_or_added_to_is_refused() {
        let der = encode::pkcs8(&Key::Ec(ec(Curve::P256))).unwrap();
        let read = |der: &[u8]| private(&armor::write("PRIVATE KEY", der));
        assert_eq!(read(&[&der[..], &[0]].concat()), "there is something behind the end of the key");
        assert_eq!(read(&der[..der.len() - 1]), "the key ends too early: the text was cut");
        assert_eq!(read(b""), "the key ends too early: the text was cut");
        assert_eq!(
            private(&armor::write("EC PRIVATE KEY", &der)),
            "what is inside the base64 is not what the BEGIN line says, or it was altered"
        );
        for at in 0..der.len() {
            let mut altered = der.clone();
            altered[at] ^= 1;
            if let Ok(key) = read_private(&armor::write("PRIVATE KEY", &altered), RULES) {
                panic!("an altered octet went unnoticed at {at}: {key:?}");
            }
        }
    }
}
