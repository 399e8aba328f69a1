//! Keys of Ed25519 and X25519 (RFC 8037), by aws-lc-rs. curve25519-dalek judges public keys: aws-lc-rs takes
//! any 32 octets for a key of Ed25519, points of small order and what is no point among them.

use std::fmt;

use aws_lc_rs::agreement;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::traits::IsIdentity as _;
use zeroize::Zeroizing;

use super::{Flaw, half};

/// Octets of each half (RFC 8032 §5.1.5, RFC 7748 §5).
const LEN: usize = 32;

/// The curves of RFC 8037 §2 that this service stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OkpCurve {
    /// Signatures (RFC 8032).
    Ed25519,
    /// Key agreement (RFC 7748).
    X25519,
}

/// A public key and, for private keys, the seed or number that makes it.
pub struct OkpKey {
    curve: OkpCurve,
    x: [u8; LEN],
    d: Option<Zeroizing<[u8; LEN]>>,
}

impl OkpCurve {
    /// The name as the JWK member `crv` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "Ed25519",
            Self::X25519 => "X25519",
        }
    }
}

impl OkpKey {
    /// A public key.
    pub fn from_public(curve: OkpCurve, x: &[u8]) -> Result<Self, Flaw> {
        let x = exactly(curve, "x", x)?;
        match curve {
            OkpCurve::Ed25519 => check_edwards(x)?,
            OkpCurve::X25519 => check_montgomery(x)?,
        }
        Ok(Self { curve, x, d: None })
    }

    /// A private key. The public half is computed, and compared if `x` is given.
    pub fn from_private(curve: OkpCurve, d: &[u8], x: Option<&[u8]>) -> Result<Self, Flaw> {
        let given = x.map(|x| exactly(curve, "x", x)).transpose()?;
        let d = Zeroizing::new(exactly(curve, "d", d)?);
        let x = public_half(curve, &d).ok_or_else(|| Flaw::of("d", "makes no public key"))?;
        if given.is_some_and(|given| given != x) {
            return Err(Flaw::of("d", "does not belong to x"));
        }
        Ok(Self { curve, x, d: Some(d) })
    }

    /// The curve.
    #[must_use]
    pub fn curve(&self) -> OkpCurve {
        self.curve
    }

    /// The public half.
    #[must_use]
    pub fn x(&self) -> &[u8] {
        &self.x
    }

    /// The private half.
    #[must_use]
    pub fn d(&self) -> Option<&[u8]> {
        self.d.as_ref().map(|d| d.as_slice())
    }

    pub(super) fn into_public(self) -> Self {
        Self { d: None, ..self }
    }
}

impl fmt::Debug for OkpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OkpKey({}, {})", self.curve.name(), half(self.d.is_some()))
    }
}

fn exactly(curve: OkpCurve, member: &'static str, bytes: &[u8]) -> Result<[u8; LEN], Flaw> {
    bytes.try_into().map_err(|_| {
        Flaw::of(member, format!("has {} octets, and {} takes exactly {LEN}", bytes.len(), curve.name()))
    })
}

/// Decodes the point (RFC 8032 §5.1.3): a coordinate that is not below the field's prime, or a sign without a
/// number, is refused too.
fn check_edwards(x: [u8; LEN]) -> Result<(), Flaw> {
    let point = CompressedEdwardsY(x)
        .decompress()
        .filter(|point| point.compress().to_bytes() == x)
        .ok_or_else(|| Flaw::of("x", "this is no point of Ed25519"))?;
    if point.is_small_order() { Err(small_order()) } else { Ok(()) }
}

/// Multiplies with a number that the cofactor divides: only points of small order vanish (RFC 7748 §6.1). Any
/// 32 octets are a public key of X25519 otherwise.
fn check_montgomery(x: [u8; LEN]) -> Result<(), Flaw> {
    let vanishes = MontgomeryPoint(x).mul_clamped([0; LEN]).is_identity();
    if vanishes { Err(small_order()) } else { Ok(()) }
}

fn small_order() -> Flaw {
    Flaw::of("x", "this point is of small order, so no private key stands behind it")
}

fn public_half(curve: OkpCurve, d: &[u8; LEN]) -> Option<[u8; LEN]> {
    match curve {
        OkpCurve::Ed25519 => {
            Ed25519KeyPair::from_seed_unchecked(d).ok()?.public_key().as_ref().try_into().ok()
        }
        OkpCurve::X25519 => {
            let private = agreement::PrivateKey::from_private_key(&agreement::X25519, d).ok()?;
            private.compute_public_key().ok()?.as_ref().try_into().ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [OkpCurve; 2] = [OkpCurve::Ed25519, OkpCurve::X25519];

    fn refused(result: Result<OkpKey, Flaw>) -> String {
        result.unwrap_err().to_string()
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_public_half_is_computed_as_the_standard_has_it() {
        // RFC 8032 §7.1, test 1.
        let d = hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let x = hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(OkpKey::from_private(OkpCurve::Ed25519, &d, Some(&x)).unwrap().x(), x);
    }

    #[test]
    fn halves_that_do_not_belong_together_are_refused() {
        for curve in BOTH {
            let key = OkpKey::from_private(curve, &[7; 32], None).unwrap();
            assert_eq!(OkpKey::from_public(curve, key.x()).unwrap().x(), key.x());
            assert_eq!(OkpKey::from_private(curve, &[7; 32], Some(key.x())).unwrap().d(), Some(&[7; 32][..]));
            let other = OkpKey::from_private(curve, &[8; 32], Some(key.x()));
            assert_eq!(refused(other), "d: does not belong to x");
        }
    }

    #[test]
    fn lengths_are_exact() {
        let long = OkpKey::from_public(OkpCurve::Ed25519, &[1; 33]);
        assert_eq!(refused(long), "x: has 33 octets, and Ed25519 takes exactly 32");
        let short = OkpKey::from_private(OkpCurve::X25519, &[1; 31], None);
        assert_eq!(refused(short), "d: has 31 octets, and X25519 takes exactly 32");
    }

    #[test]
    fn points_of_small_order_are_refused() {
        let small = "x: this point is of small order, so no private key stands behind it";
        let mut one = [0; 32];
        one[0] = 1;
        let order_8 = hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
        for x in [&[0; 32][..], &one, &order_8] {
            assert_eq!(refused(OkpKey::from_public(OkpCurve::X25519, x)), small);
        }
        let order_8 = hex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05");
        for x in [&[0; 32][..], &one, &order_8] {
            assert_eq!(refused(OkpKey::from_public(OkpCurve::Ed25519, x)), small);
        }
    }

    #[test]
    fn what_is_no_point_of_ed25519_is_refused() {
        let mut two = [0; 32];
        two[0] = 2;
        // y = p + 3, where 3 is the coordinate of a point: RFC 8032 §5.1.3 takes only what is below p.
        let mut above = [0xff; 32];
        (above[0], above[31]) = (0xf0, 0x7f);
        let mut three = [0; 32];
        three[0] = 3;
        assert!(OkpKey::from_public(OkpCurve::Ed25519, &three).is_ok());
        // x = 0 with a sign.
        let mut signed = [0; 32];
        (signed[0], signed[31]) = (1, 0x80);
        for x in [two, above, signed] {
            assert_eq!(refused(OkpKey::from_public(OkpCurve::Ed25519, &x)), "x: this is no point of Ed25519");
        }
    }
}
