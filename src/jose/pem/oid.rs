//! The object identifiers of keys.

use der::asn1::ObjectIdentifier;

/// rsaEncryption (RFC 8017, Appendix A.1).
pub(super) const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
/// id-ecPublicKey (RFC 5480 §2.1.1).
pub(super) const EC: ObjectIdentifier = oid("1.2.840.10045.2.1");
/// id-X25519 (RFC 8410 §3).
pub(super) const X25519: ObjectIdentifier = oid("1.3.101.110");
/// id-Ed25519 (RFC 8410 §3).
pub(super) const ED25519: ObjectIdentifier = oid("1.3.101.112");

/// secp256r1 (RFC 5480 §2.1.1.1).
pub(super) const P256: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
/// secp384r1 (RFC 5480 §2.1.1.1).
pub(super) const P384: ObjectIdentifier = oid("1.3.132.0.34");
/// secp521r1 (RFC 5480 §2.1.1.1).
pub(super) const P521: ObjectIdentifier = oid("1.3.132.0.35");
/// secp256k1 (SEC 2 §2.4.1), which is refused by name.
pub(super) const SECP256K1: ObjectIdentifier = oid("1.3.132.0.10");

/// Algorithms that keys are often of and that are refused by name.
pub(super) const NAMES: [(ObjectIdentifier, &str); 14] = [
    (oid("1.2.840.113549.1.1.7"), "RSA for OAEP only"),
    (oid("1.2.840.113549.1.1.10"), "RSA for PSS only"),
    (oid("1.2.840.10040.4.1"), "DSA"),
    (oid("1.2.840.113549.1.3.1"), "Diffie-Hellman"),
    (oid("1.2.840.10046.2.1"), "Diffie-Hellman"),
    (oid("1.3.132.1.12"), "EC for key agreement only"),
    (oid("1.3.101.111"), "X448"),
    (oid("1.3.101.113"), "Ed448"),
    (oid("2.16.840.1.101.3.4.3.17"), "ML-DSA"),
    (oid("2.16.840.1.101.3.4.3.18"), "ML-DSA"),
    (oid("2.16.840.1.101.3.4.3.19"), "ML-DSA"),
    (oid("2.16.840.1.101.3.4.4.1"), "ML-KEM"),
    (oid("2.16.840.1.101.3.4.4.2"), "ML-KEM"),
    (oid("2.16.840.1.101.3.4.4.3"), "ML-KEM"),
];

const fn oid(dotted: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(dotted)
}
