//! Keys to DER.

use der::asn1::{AnyRef, BitStringRef, OctetStringRef, UintRef};
use der::{Encode as _, Error as DerError};
use pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use pkcs8::PrivateKeyInfoRef;
use sec1::EcPrivateKey;
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use zeroize::Zeroizing;

use super::oid;
use crate::crypto::key::{Crt, Curve, EcKey, Key, OkpCurve, OkpKey, RsaKey};
use crate::error::{Error, Result};

/// A `PrivateKeyInfo` (RFC 5208 §5): version 1, which every reader knows.
pub(super) fn pkcs8(key: &Key) -> Result<Zeroizing<Vec<u8>>> {
    let inner = private_octets(key).map_err(|error| failed(&error))?;
    let inner = inner.ok_or_else(|| Error::internal("encoding a key", "there is no private half"))?;
    with_algorithm(key, |algorithm| {
        PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&inner)?).to_der().map(Zeroizing::new)
    })
}

/// A `SubjectPublicKeyInfo` (RFC 5280 §4.1).
pub(super) fn spki(key: &Key) -> Result<Vec<u8>> {
    let inner = match key {
        Key::Rsa(key) => pkcs1_public(key).map_err(|error| failed(&error))?,
        Key::Ec(key) => key.point(),
        Key::Okp(key) => key.x().to_vec(),
    };
    with_algorithm(key, |algorithm| {
        let subject_public_key = BitStringRef::from_bytes(&inner)?;
        SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der()
    })
}

fn with_algorithm<T>(
    key: &Key,
    encode: impl FnOnce(AlgorithmIdentifierRef<'_>) -> Result<T, DerError>,
) -> Result<T> {
    let (oid, curve) = match key {
        Key::Rsa(_) => (oid::RSA, None),
        Key::Ec(key) => (oid::EC, Some(named_curve(key.curve()))),
        Key::Okp(key) => (okp(key), None),
    };
    let parameters = match (key, &curve) {
        (Key::Rsa(_), _) => Some(AnyRef::NULL),
        (_, curve) => curve.as_ref().map(AnyRef::from),
    };
    encode(AlgorithmIdentifierRef { oid, parameters }).map_err(|error| failed(&error))
}

/// The key inside PKCS#8; none if there is no private half.
fn private_octets(key: &Key) -> Result<Option<Zeroizing<Vec<u8>>>, DerError> {
    match key {
        Key::Rsa(key) => pkcs1_private(key),
        Key::Ec(key) => sec1(key),
        Key::Okp(key) => {
            let Some(seed) = key.d() else { return Ok(None) };
            OctetStringRef::new(seed)?.to_der().map(|der| Some(Zeroizing::new(der)))
        }
    }
}

fn pkcs1_private(key: &RsaKey) -> Result<Option<Zeroizing<Vec<u8>>>, DerError> {
    let Some(private) = key.private_half() else { return Ok(None) };
    let Crt { p, q, dp, dq, qi } = private.crt();
    let key = RsaPrivateKeyRef {
        modulus: UintRef::new(key.n())?,
        public_exponent: UintRef::new(key.e())?,
        private_exponent: UintRef::new(private.d())?,
        prime1: UintRef::new(p)?,
        prime2: UintRef::new(q)?,
        exponent1: UintRef::new(dp)?,
        exponent2: UintRef::new(dq)?,
        coefficient: UintRef::new(qi)?,
        other_prime_infos: None,
    };
    key.to_der().map(|der| Some(Zeroizing::new(der)))
}

fn pkcs1_public(key: &RsaKey) -> Result<Vec<u8>, DerError> {
    RsaPublicKeyRef { modulus: UintRef::new(key.n())?, public_exponent: UintRef::new(key.e())? }.to_der()
}

/// The curve is named by the algorithm around it, so it is left out here (RFC 5958 §2, as OpenSSL does it).
fn sec1(key: &EcKey) -> Result<Option<Zeroizing<Vec<u8>>>, DerError> {
    let Some(private_key) = key.d() else { return Ok(None) };
    let point = key.point();
    let key = EcPrivateKey { private_key, parameters: None, public_key: Some(&point) };
    key.to_der().map(|der| Some(Zeroizing::new(der)))
}

fn named_curve(curve: Curve) -> der::asn1::ObjectIdentifier {
    match curve {
        Curve::P256 => oid::P256,
        Curve::P384 => oid::P384,
        Curve::P521 => oid::P521,
    }
}

fn okp(key: &OkpKey) -> der::asn1::ObjectIdentifier {
    match key.curve() {
        OkpCurve::Ed25519 => oid::ED25519,
        OkpCurve::X25519 => oid::X25519,
    }
}

fn failed(error: &DerError) -> Error {
    Error::internal("encoding a key", error)
}
