//! Keys that were made elsewhere. Whoever holds one of these types holds numbers that were checked and that
//! belong together: there is no other way to make one.
//!
//! What is constant-time and what is not: public points are computed from private numbers by aws-lc-rs, in
//! constant time. RSA members are compared and multiplied by crypto-bigint's constant-time operations, but the
//! test for primes, the search for p and q from d alone, and the lengths of numbers show in the time a check
//! takes. A key is checked once, when it is brought, and not each time it is used.

mod ec;
mod okp;
mod rsa;

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

pub use ec::{Curve, EcKey};
pub use okp::{OkpCurve, OkpKey};
pub use rsa::{Crt, MAX_RSA_BITS, RsaKey, RsaPrivate};

/// A key that was brought from elsewhere, its numbers checked.
#[derive(Debug)]
pub enum Key {
    /// RSA (RFC 8017 §3).
    Rsa(RsaKey),
    /// A point on a NIST curve (SP 800-186 §3.2.1).
    Ec(EcKey),
    /// A key of one of the curves of RFC 8037.
    Okp(OkpKey),
}

/// What the installation demands of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The least number of bits of an RSA modulus.
    min_rsa_bits: u32,
    /// Whether the factors of an RSA modulus are tested, which takes nearly all the time that a check takes.
    test_primes: bool,
}

impl Rules {
    /// For keys that are stored already: they were judged when they came, under the rules of that day.
    pub const STORED: Self = Self { min_rsa_bits: 0, test_primes: false };

    /// For keys that come: all is tested.
    #[must_use]
    pub const fn new(min_rsa_bits: u32) -> Self {
        Self { min_rsa_bits, test_primes: true }
    }

    /// The same without what takes long: a key that passes is not sound yet, but one that fails is refused.
    #[must_use]
    pub const fn at_first_sight(self) -> Self {
        Self { test_primes: false, ..self }
    }
}

/// Why a key was refused: one sentence fragment that says what is wrong and what to do. It begins with the JWK
/// member at fault, if the fault is in a member, and never contains a value of the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    member: Option<&'static str>,
    problem: Cow<'static, str>,
}

impl Key {
    /// Whether the private half is there.
    #[must_use]
    pub fn is_private(&self) -> bool {
        match self {
            Self::Rsa(key) => key.private_half().is_some(),
            Self::Ec(key) => key.d().is_some(),
            Self::Okp(key) => key.d().is_some(),
        }
    }

    /// The bits of the modulus of an RSA key; 0 for the others, which are quick to check whatever their curve.
    #[must_use]
    pub fn rsa_bits(&self) -> usize {
        match self {
            Self::Rsa(key) => key.n().len() * 8,
            Self::Ec(_) | Self::Okp(_) => 0,
        }
    }

    /// Whether both have the same public half, private halves or not.
    #[must_use]
    pub fn same_public(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rsa(a), Self::Rsa(b)) => a.n() == b.n() && a.e() == b.e(),
            (Self::Ec(a), Self::Ec(b)) => a.curve() == b.curve() && a.x() == b.x() && a.y() == b.y(),
            (Self::Okp(a), Self::Okp(b)) => a.curve() == b.curve() && a.x() == b.x(),
            _ => false,
        }
    }

    /// Drops the private half.
    #[must_use]
    pub fn into_public(self) -> Self {
        match self {
            Self::Rsa(key) => Self::Rsa(key.into_public()),
            Self::Ec(key) => Self::Ec(key.into_public()),
            Self::Okp(key) => Self::Okp(key.into_public()),
        }
    }
}

impl Flaw {
    /// A flaw in the JWK member `member`, or in several ("x, y").
    #[must_use]
    pub fn of(member: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { member: Some(member), problem: problem.into() }
    }

    /// A flaw of the whole text or document.
    #[must_use]
    pub fn whole(problem: impl Into<Cow<'static, str>>) -> Self {
        Self { member: None, problem: problem.into() }
    }

    /// A member that must be there and is not.
    #[must_use]
    pub fn missing(member: &'static str) -> Self {
        Self::of(member, "is missing")
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.member {
            Some(member) => write!(f, "{member}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

impl std::error::Error for Flaw {}

impl From<RsaKey> for Key {
    fn from(key: RsaKey) -> Self {
        Self::Rsa(key)
    }
}

impl From<EcKey> for Key {
    fn from(key: EcKey) -> Self {
        Self::Ec(key)
    }
}

impl From<OkpKey> for Key {
    fn from(key: OkpKey) -> Self {
        Self::Okp(key)
    }
}

/// `bytes` with zeros before them until they are `len` long; none if they are longer than that.
fn padded(bytes: &[u8], len: usize) -> Option<Zeroizing<Vec<u8>>> {
    let zeros = len.checked_sub(bytes.len())?;
    let mut out = Zeroizing::new(Vec::with_capacity(len));
    out.resize(zeros, 0);
    out.extend_from_slice(bytes);
    Some(out)
}

/// The half of a key, as hand-written `Debug` shows it.
fn half(private: bool) -> &'static str {
    if private { "private" } else { "public" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_key_shows_in_debug() {
        let key = Key::from(OkpKey::from_private(OkpCurve::Ed25519, &[7; 32], None).unwrap());
        assert_eq!(format!("{key:?}"), "Okp(OkpKey(Ed25519, private))");
    }

    #[test]
    fn halves_are_told_apart_and_compared() {
        let private = Key::from(OkpKey::from_private(OkpCurve::X25519, &[7; 32], None).unwrap());
        let other = Key::from(OkpKey::from_private(OkpCurve::X25519, &[8; 32], None).unwrap());
        let ec = Key::from(EcKey::from_private(Curve::P256, &[7; 32], None).unwrap());
        assert!(!private.same_public(&other) && !private.same_public(&ec));
        let again = Key::from(OkpKey::from_private(OkpCurve::X25519, &[7; 32], None).unwrap()).into_public();
        assert!(private.is_private() && !again.is_private() && private.same_public(&again));
        assert!(ec.is_private() && !ec.into_public().is_private());
    }

    #[test]
    fn a_flaw_begins_with_the_member() {
        assert_eq!(Flaw::of("p, q", "their product is not n").to_string(), "p, q: their product is not n");
        assert_eq!(Flaw::whole("the text is empty").to_string(), "the text is empty");
    }
}
