//! Keys on the curves P-256, P-384 and P-521 (RFC 7518 §6.2), by aws-lc-rs.

use std::fmt;

use aws_lc_rs::agreement::{self, Algorithm, ParsedPublicKey, PrivateKey, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::{Flaw, half, padded};

/// The first octet of a point that is written with both coordinates (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// The curves of RFC 7518 §6.2.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256, also known as secp256r1 and prime256v1.
    P256,
    /// NIST P-384, also known as secp384r1.
    P384,
    /// NIST P-521, also known as secp521r1.
    P521,
}

/// A point and, for private keys, the number that makes it.
pub struct EcKey {
    curve: Curve,
    x: Vec<u8>,
    y: Vec<u8>,
    d: Option<Zeroizing<Vec<u8>>>,
}

impl Curve {
    /// The name as the JWK member `crv` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Octets of a coordinate, and of the private number (RFC 7518 §6.2.1.2 and §6.2.2.1).
    #[must_use]
    pub fn octets(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn algorithm(self) -> &'static Algorithm {
        match self {
            Self::P256 => &agreement::ECDH_P256,
            Self::P384 => &agreement::ECDH_P384,
            Self::P521 => &agreement::ECDH_P521,
        }
    }
}

impl EcKey {
    /// A public key from its coordinates, big-endian. Zeros that an encoder stripped are put back.
    pub fn from_public(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, Flaw> {
        let x = coordinate(curve, "x", x)?;
        let y = coordinate(curve, "y", y)?;
        let key = Self { curve, x, y, d: None };
        // Infinity has no coordinates, so the curve's equation is the whole check; the cofactor is 1.
        ParsedPublicKey::try_from(UnparsedPublicKey::new(curve.algorithm(), key.point()))
            .map_err(|_| Flaw::of("x, y", format!("the point is not on the curve {}", curve.name())))?;
        Ok(key)
    }

    /// A private key. The point is computed, and compared if `public` has one.
    pub fn from_private(curve: Curve, d: &[u8], public: Option<(&[u8], &[u8])>) -> Result<Self, Flaw> {
        let public = public.map(|(x, y)| Self::from_public(curve, x, y)).transpose()?;
        let d = padded(d, curve.octets()).ok_or_else(|| {
            Flaw::of("d", format!("is longer than the {} octets of {}", curve.octets(), curve.name()))
        })?;
        let (x, y) = multiply_base(curve, &d)?;
        if public.is_some_and(|public| public.x != x || public.y != y) {
            return Err(Flaw::of("d", "does not belong to x and y"));
        }
        Ok(Self { curve, x, y, d: Some(d) })
    }

    /// A public key from a point as SEC 1 §2.3.3 writes it, with both coordinates.
    pub fn from_point(curve: Curve, point: &[u8]) -> Result<Self, Flaw> {
        match point.split_first() {
            Some((&UNCOMPRESSED, both)) if both.len() == 2 * curve.octets() => {
                let (x, y) = both.split_at(curve.octets());
                Self::from_public(curve, x, y)
            }
            Some((2 | 3, x)) if x.len() == curve.octets() => Err(Flaw::of(
                "y",
                "the point is compressed; write it out with openssl ec -pubin -conv_form uncompressed",
            )),
            _ => Err(Flaw::of("x, y", format!("this is no point of {}", curve.name()))),
        }
    }

    /// Whether `point` is this key's, compressed or not (SEC 1 §2.3.3).
    #[must_use]
    pub fn is_at(&self, point: &[u8]) -> bool {
        match point.split_first() {
            Some((&UNCOMPRESSED, _)) => self.point() == point,
            Some((&sign, x)) => {
                let odd = self.y.last().is_some_and(|last| last & 1 == 1);
                sign == if odd { 3 } else { 2 } && self.x == x
            }
            None => false,
        }
    }

    /// The curve.
    #[must_use]
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The x coordinate, big-endian and of the curve's length.
    #[must_use]
    pub fn x(&self) -> &[u8] {
        &self.x
    }

    /// The y coordinate, big-endian and of the curve's length.
    #[must_use]
    pub fn y(&self) -> &[u8] {
        &self.y
    }

    /// The private number, big-endian and of the curve's length.
    #[must_use]
    pub fn d(&self) -> Option<&[u8]> {
        self.d.as_ref().map(|d| d.as_slice())
    }

    /// The point with both coordinates (SEC 1 §2.3.3).
    #[must_use]
    pub fn point(&self) -> Vec<u8> {
        let mut point = vec![UNCOMPRESSED];
        point.extend_from_slice(&self.x);
        point.extend_from_slice(&self.y);
        point
    }

    pub(super) fn into_public(self) -> Self {
        Self { d: None, ..self }
    }
}

impl fmt::Debug for EcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcKey({}, {})", self.curve.name(), half(self.d.is_some()))
    }
}

fn coordinate(curve: Curve, member: &'static str, bytes: &[u8]) -> Result<Vec<u8>, Flaw> {
    match padded(bytes, curve.octets()) {
        Some(padded) => Ok(padded.to_vec()),
        None => {
            Err(Flaw::of(member, format!("is longer than the {} octets of {}", curve.octets(), curve.name())))
        }
    }
}

/// The point that the private number makes. The library refuses 0 and what is not below the curve's order.
fn multiply_base(curve: Curve, d: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Flaw> {
    let refused = || Flaw::of("d", format!("is 0 or not below the order of {}", curve.name()));
    let private = PrivateKey::from_private_key(curve.algorithm(), d).map_err(|_| refused())?;
    let public = private.compute_public_key().map_err(|_| refused())?;
    let both = public.as_ref().get(1..).unwrap_or_default();
    both.split_at_checked(curve.octets()).map(|(x, y)| (x.to_vec(), y.to_vec())).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];

    fn key(curve: Curve) -> EcKey {
        let mut d = vec![7; curve.octets()];
        d[0] = 0;
        EcKey::from_private(curve, &d, None).unwrap()
    }

    fn refused(result: Result<EcKey, Flaw>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn both_halves_are_taken_and_stripped_zeros_put_back() {
        for curve in ALL {
            let key = key(curve);
            let d = key.d().unwrap();
            let again = EcKey::from_private(curve, &d[1..], Some((key.x(), key.y()))).unwrap();
            assert_eq!(again.d(), Some(d));
            let public = EcKey::from_public(curve, key.x(), key.y()).unwrap();
            assert_eq!((public.x(), public.y(), public.d()), (key.x(), key.y(), None));
            assert_eq!(EcKey::from_point(curve, &key.point()).unwrap().point(), key.point());
            assert_eq!((key.x().len(), key.y().len()), (curve.octets(), curve.octets()));
        }
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        for curve in ALL {
            let (key, off) = (key(curve), format!("x, y: the point is not on the curve {}", curve.name()));
            let mut other = key.y().to_vec();
            other[5] ^= 1;
            assert_eq!(refused(EcKey::from_public(curve, key.x(), &other)), off);
            assert_eq!(refused(EcKey::from_public(curve, &[], &[])), off);
            assert_eq!(refused(EcKey::from_public(curve, &vec![0xff; curve.octets()], key.y())), off);
        }
        assert_eq!(
            refused(EcKey::from_public(Curve::P256, &[1; 33], &[1; 32])),
            "x: is longer than the 32 octets of P-256"
        );
        assert_eq!(
            refused(EcKey::from_public(Curve::P521, &[1; 66], &[1; 67])),
            "y: is longer than the 66 octets of P-521"
        );
    }

    #[test]
    fn a_private_number_out_of_range_or_of_another_point_is_refused() {
        for curve in ALL {
            let range = format!("d: is 0 or not below the order of {}", curve.name());
            assert_eq!(refused(EcKey::from_private(curve, &vec![0; curve.octets()], None)), range);
            assert_eq!(refused(EcKey::from_private(curve, &[], None)), range);
            assert_eq!(refused(EcKey::from_private(curve, &vec![0xff; curve.octets()], None)), range);
            let long = refused(EcKey::from_private(curve, &vec![0; curve.octets() + 1], None));
            assert_eq!(long, format!("d: is longer than the {} octets of {}", curve.octets(), curve.name()));
            let key = key(curve);
            let other = EcKey::from_private(curve, &[3], Some((key.x(), key.y())));
            assert_eq!(refused(other), "d: does not belong to x and y");
        }
    }

    #[test]
    fn the_order_itself_is_refused_and_one_less_is_taken() {
        let mut order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
        assert!(EcKey::from_private(Curve::P256, &order, None).is_err());
        order[31] -= 1;
        assert!(EcKey::from_private(Curve::P256, &order, None).is_ok());
    }

    #[test]
    fn a_point_is_recognised_in_both_spellings() {
        for curve in ALL {
            let key = key(curve);
            let sign = 2 + (key.y().last().unwrap() & 1);
            let compressed = [&[sign], key.x()].concat();
            assert!(key.is_at(&key.point()) && key.is_at(&compressed));
            assert!(!key.is_at(&[&[sign ^ 1], key.x()].concat()) && !key.is_at(&[]) && !key.is_at(&[0]));
            assert_eq!(
                refused(EcKey::from_point(curve, &compressed)),
                "y: the point is compressed; write it out with openssl ec -pubin -conv_form uncompressed"
            );
            assert_eq!(
                refused(EcKey::from_point(curve, &[0])),
                format!("x, y: this is no point of {}", curve.name())
            );
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }
}
