//! DER to keys. Whatever is not taken is named.

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Error, ErrorKind, Tag, Tagged as _};
use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::PrivateKeyInfoRef;
use sec1::EcPrivateKey;
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};

use super::oid;
use crate::crypto::key::{Crt, Curve, EcKey, Flaw, Key, OkpCurve, OkpKey, RsaKey, Rules};

/// What an algorithm identifier stands for, of what is taken.
enum Kind {
    Rsa,
    Ec(Curve),
    Okp(OkpCurve),
}

/// Reads a `PrivateKeyInfo` or `OneAsymmetricKey` (RFC 5958 §2).
pub(super) fn pkcs8(der: &[u8], rules: Rules) -> Result<Key, Flaw> {
    let info: PrivateKeyInfoRef<'_> = read(der)?;
    let octets = info.private_key.as_bytes();
    let key = match kind(&info.algorithm)? {
        Kind::Rsa => Key::Rsa(pkcs1_private(octets, rules)?),
        Kind::Ec(curve) => Key::Ec(sec1(octets, Some(curve))?),
        Kind::Okp(curve) => Key::Okp(okp_private(octets, curve)?),
    };
    if let Some(public) = info.public_key {
        let public = public.as_bytes().ok_or_else(spoilt_der)?;
        if !is_public_half(&key, public) {
            return Err(Flaw::whole(
                "the public key inside the PKCS#8 document is not that of its private key",
            ));
        }
    }
    Ok(key)
}

/// Reads an `RSAPrivateKey` (RFC 8017, Appendix A.1.2).
pub(super) fn pkcs1_private(der: &[u8], rules: Rules) -> Result<RsaKey, Flaw> {
    let key: RsaPrivateKeyRef<'_> = read(der)?;
    if key.other_prime_infos.is_some() {
        return Err(Flaw::whole("RSA keys of more than two primes are not supported"));
    }
    let crt = Crt {
        p: key.prime1.as_bytes(),
        q: key.prime2.as_bytes(),
        dp: key.exponent1.as_bytes(),
        dq: key.exponent2.as_bytes(),
        qi: key.coefficient.as_bytes(),
    };
    let (n, e, d) = (key.modulus, key.public_exponent, key.private_exponent);
    RsaKey::from_private(n.as_bytes(), e.as_bytes(), d.as_bytes(), Some(&crt), rules)
}

/// Reads an `RSAPublicKey` (RFC 8017, Appendix A.1.1).
pub(super) fn pkcs1_public(der: &[u8], rules: Rules) -> Result<RsaKey, Flaw> {
    let key: RsaPublicKeyRef<'_> = read(der)?;
    RsaKey::from_public(key.modulus.as_bytes(), key.public_exponent.as_bytes(), rules)
}

/// Reads an `ECPrivateKey` (RFC 5915 §3). `around` is the curve that was named outside of it.
pub(super) fn sec1(der: &[u8], around: Option<Curve>) -> Result<EcKey, Flaw> {
    let key: EcPrivateKey<'_> = read(der)?;
    let inside = key.parameters.and_then(sec1::EcParameters::named_curve).map(named_curve).transpose()?;
    let curve = match (around, inside) {
        (Some(around), Some(inside)) if around != inside => {
            return Err(Flaw::whole("the EC key and its parameters name different curves"));
        }
        (around, inside) => {
            around.or(inside).ok_or_else(|| Flaw::whole("the EC key does not name its curve"))?
        }
    };
    let private = EcKey::from_private(curve, key.private_key, None)?;
    if key.public_key.is_some_and(|point| !private.is_at(point)) {
        return Err(Flaw::of("d", "does not belong to the public key beside it"));
    }
    Ok(private)
}

/// Reads the `EC PARAMETERS` that stand before a key (RFC 5480 §2.1.1).
pub(super) fn ec_parameters(der: &[u8]) -> Result<Curve, Flaw> {
    curve(Some(read(der)?))
}

/// Reads a `SubjectPublicKeyInfo` (RFC 5280 §4.1).
pub(super) fn spki(der: &[u8], rules: Rules) -> Result<Key, Flaw> {
    let info: SubjectPublicKeyInfoRef<'_> = read(der)?;
    let octets = info.subject_public_key.as_bytes().ok_or_else(spoilt_der)?;
    match kind(&info.algorithm)? {
        Kind::Rsa => pkcs1_public(octets, rules).map(Key::Rsa),
        Kind::Ec(curve) => EcKey::from_point(curve, octets).map(Key::Ec),
        Kind::Okp(curve) => OkpKey::from_public(curve, octets).map(Key::Okp),
    }
}

/// A `CurvePrivateKey` (RFC 8410 §7).
fn okp_private(der: &[u8], curve: OkpCurve) -> Result<OkpKey, Flaw> {
    let seed: &OctetStringRef = read(der)?;
    OkpKey::from_private(curve, seed.as_bytes(), None)
}

fn is_public_half(key: &Key, public: &[u8]) -> bool {
    match key {
        Key::Rsa(key) => RsaPublicKeyRef::from_der(public).is_ok_and(|public| {
            public.modulus.as_bytes() == key.n() && public.public_exponent.as_bytes() == key.e()
        }),
        Key::Ec(key) => key.is_at(public),
        Key::Okp(key) => key.x() == public,
    }
}

fn kind(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<Kind, Flaw> {
    match algorithm.oid {
        oid::RSA => match algorithm.parameters {
            // RFC 8017, Appendix A.1, wants NULL; some encoders leave it out.
            Some(parameters) if !parameters.is_null() => Err(Flaw::whole("RSA takes no parameters")),
            _ => Ok(Kind::Rsa),
        },
        oid::EC => curve(algorithm.parameters).map(Kind::Ec),
        // RFC 8410 §3: no parameters, not even NULL.
        oid::ED25519 | oid::X25519 if algorithm.parameters.is_some() => {
            Err(Flaw::whole("Ed25519 and X25519 take no parameters"))
        }
        oid::ED25519 => Ok(Kind::Okp(OkpCurve::Ed25519)),
        oid::X25519 => Ok(Kind::Okp(OkpCurve::X25519)),
        other => Err(unsupported(other)),
    }
}

fn curve(parameters: Option<AnyRef<'_>>) -> Result<Curve, Flaw> {
    let missing = || Flaw::whole("the EC key does not name its curve");
    let parameters = parameters.ok_or_else(missing)?;
    match parameters.tag() {
        Tag::ObjectIdentifier => named_curve(parameters.decode_as().map_err(refused)?),
        Tag::Sequence => Err(explicit()),
        _ => Err(missing()),
    }
}

fn named_curve(name: ObjectIdentifier) -> Result<Curve, Flaw> {
    match name {
        oid::P256 => Ok(Curve::P256),
        oid::P384 => Ok(Curve::P384),
        oid::P521 => Ok(Curve::P521),
        oid::SECP256K1 => Err(Flaw::of("crv", "secp256k1 is not supported; use P-256")),
        _ => Err(Flaw::of("crv", "the curve is not supported; use P-256, P-384 or P-521")),
    }
}

fn unsupported(algorithm: ObjectIdentifier) -> Flaw {
    match oid::NAMES.into_iter().find(|(oid, _)| *oid == algorithm) {
        Some((_, name)) => Flaw::whole(format!("{name} is not supported; use RSA, EC, Ed25519 or X25519")),
        None => Flaw::whole("the algorithm of the key is not supported; use RSA, EC, Ed25519 or X25519"),
    }
}

fn explicit() -> Flaw {
    Flaw::whole("the EC key spells its curve out; name it: openssl ec -param_enc named_curve")
}

fn read<'a, T: Decode<'a, Error = Error>>(der: &'a [u8]) -> Result<T, Flaw> {
    T::from_der(der).map_err(refused)
}

fn refused(error: Error) -> Flaw {
    match error.kind() {
        ErrorKind::TrailingData { .. } => Flaw::whole("there is something behind the end of the key"),
        ErrorKind::Incomplete { .. } => Flaw::whole("the key ends too early: the text was cut"),
        ErrorKind::TagUnexpected { expected: Some(Tag::ObjectIdentifier), actual: Tag::Sequence } => {
            explicit()
        }
        _ => spoilt_der(),
    }
}

fn spoilt_der() -> Flaw {
    Flaw::whole("what is inside the base64 is not what the BEGIN line says, or it was altered")
}
