//! RSA keys of two primes (RFC 8017 §3), checked number by number.
//!
//! The checks are those that SP 800-56B Rev. 2 §6.4.1 asks for, without its bounds on e, which keys of other makers
//! may miss.

use std::fmt;

use crypto_bigint::{
    BoxedUint, CheckedAdd as _, CheckedSub as _, ConcatenatingMul as _, Gcd as _, Integer as _, Limb,
    NonZero, Resize as _,
};
use crypto_primes::hazmat::MillerRabin;
use crypto_primes::{Flavor, is_prime};
use zeroize::Zeroizing;

use super::{Flaw, Rules, half};

/// The longest modulus that is taken: it bounds what the check of one key can cost.
pub const MAX_RSA_BITS: u32 = 8192;

/// The longest public exponent. 65537 has 17 bits.
const MAX_EXPONENT_BITS: u32 = 64;

/// A modulus is searched for factors below this.
const SMALL_FACTORS: u32 = 1000;

/// A modulus, a public exponent and, for private keys, all the rest.
pub struct RsaKey {
    n: Vec<u8>,
    e: Vec<u8>,
    private: Option<RsaPrivate>,
}

/// The private numbers (RFC 8017 §3.2), each big-endian without leading zeros.
pub struct RsaPrivate {
    d: Zeroizing<Vec<u8>>,
    p: Zeroizing<Vec<u8>>,
    q: Zeroizing<Vec<u8>>,
    dp: Zeroizing<Vec<u8>>,
    dq: Zeroizing<Vec<u8>>,
    qi: Zeroizing<Vec<u8>>,
}

/// The five numbers that make a private key fast, as they were given, big-endian.
pub struct Crt<'a> {
    /// The first prime.
    pub p: &'a [u8],
    /// The second prime.
    pub q: &'a [u8],
    /// d mod (p-1).
    pub dp: &'a [u8],
    /// d mod (q-1).
    pub dq: &'a [u8],
    /// The inverse of q mod p.
    pub qi: &'a [u8],
}

/// A number that is overwritten when dropped.
type Hidden = Zeroizing<BoxedUint>;

/// The public numbers, ready for arithmetic.
struct Public {
    n: NonZero<BoxedUint>,
    e: BoxedUint,
    /// The bits of n, to which every other number is widened.
    bits: u32,
    rules: Rules,
}

impl RsaKey {
    /// A public key. Leading zeros are tolerated, here and in every other number.
    pub fn from_public(n: &[u8], e: &[u8], rules: Rules) -> Result<Self, Flaw> {
        let public = Public::check(n, e, rules)?;
        if rules.test_primes {
            public.looks_like_two_primes()?;
        }
        Ok(public.key(None))
    }

    /// A private key. Without `crt` (RFC 7518 §6.3.2 lets d stand alone) its numbers are computed.
    pub fn from_private(
        n: &[u8],
        e: &[u8],
        d: &[u8],
        crt: Option<&Crt<'_>>,
        rules: Rules,
    ) -> Result<Self, Flaw> {
        let public = Public::check(n, e, rules)?;
        let d = public.private_exponent(d)?;
        let private = match crt {
            Some(crt) => public.check_all(&d, crt)?,
            None => public.complete(&d)?,
        };
        Ok(public.key(Some(private)))
    }

    /// The modulus, big-endian without leading zeros.
    #[must_use]
    pub fn n(&self) -> &[u8] {
        &self.n
    }

    /// The public exponent, big-endian without leading zeros.
    #[must_use]
    pub fn e(&self) -> &[u8] {
        &self.e
    }

    /// The private numbers, if this is a private key.
    #[must_use]
    pub fn private_half(&self) -> Option<&RsaPrivate> {
        self.private.as_ref()
    }

    pub(super) fn into_public(self) -> Self {
        Self { private: None, ..self }
    }
}

impl RsaPrivate {
    /// The private exponent.
    #[must_use]
    pub fn d(&self) -> &[u8] {
        &self.d
    }

    /// The five numbers beside it.
    #[must_use]
    pub fn crt(&self) -> Crt<'_> {
        Crt { p: &self.p, q: &self.q, dp: &self.dp, dq: &self.dq, qi: &self.qi }
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaKey({})", half(self.private.is_some()))
    }
}

impl fmt::Debug for RsaPrivate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaPrivate(..)")
    }
}

impl fmt::Debug for Crt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Crt(..)")
    }
}

impl Public {
    fn check(n: &[u8], e: &[u8], rules: Rules) -> Result<Self, Flaw> {
        let (n, e) = (trimmed(n), trimmed(e));
        let bits = bit_length(n);
        if bits < rules.min_rsa_bits {
            let least = rules.min_rsa_bits;
            return Err(Flaw::of(
                "n",
                format!("the modulus has {bits} bits, and this service takes no less than {least}"),
            ));
        }
        if bits > MAX_RSA_BITS {
            return Err(Flaw::of(
                "n",
                format!("the modulus has {bits} bits, and this service takes no more than {MAX_RSA_BITS}"),
            ));
        }
        check_exponent(e)?;
        let modulus = number(n, bits).ok_or_else(|| Flaw::of("n", "the modulus cannot be read"))?;
        if modulus.is_even().to_bool() {
            return Err(Flaw::of("n", "the modulus is even"));
        }
        if has_small_factor(&modulus) {
            return Err(Flaw::of(
                "n",
                "the modulus has a small factor, so it is not the product of two primes",
            ));
        }
        let n = nonzero(modulus).ok_or_else(|| Flaw::of("n", "the modulus is 0"))?;
        let e = number(e, bits).ok_or_else(|| Flaw::of("e", "is not less than n"))?;
        Ok(Self { n, e, bits, rules })
    }

    /// What can be told without the private half: neither a prime nor a square. Higher powers and products of
    /// more primes go unnoticed.
    fn looks_like_two_primes(&self) -> Result<(), Flaw> {
        let odd = self.n.to_odd().into_option().ok_or_else(|| Flaw::of("n", "the modulus is even"))?;
        if MillerRabin::new(odd).test_base_two().is_probably_prime() {
            return Err(Flaw::of("n", "the modulus is itself a prime, not the product of two"));
        }
        if self.n.checked_sqrt_vartime().is_some() {
            return Err(Flaw::of("n", "the modulus is a square, not the product of two different primes"));
        }
        if self.falls_at_once() {
            return Err(Flaw::of(
                "n",
                "the modulus is the product of two primes that are too near to each other",
            ));
        }
        Ok(())
    }

    /// One step of Fermat's method: whether the least square above n is a square away from n.
    fn falls_at_once(&self) -> bool {
        let root = self.n.floor_sqrt_vartime().wrapping_add(BoxedUint::one());
        let square = root.concatenating_mul(&root);
        square.wrapping_sub(&*self.n).checked_sqrt_vartime().is_some()
    }

    fn private_exponent(&self, d: &[u8]) -> Result<Hidden, Flaw> {
        self.hidden(d)
            .filter(|d| !d.is_zero().to_bool() && **d < *self.n)
            .ok_or_else(|| Flaw::of("d", "is 0 or not less than n"))
    }

    /// Checks that all five belong to n, e and d.
    fn check_all(&self, d: &BoxedUint, given: &Crt<'_>) -> Result<RsaPrivate, Flaw> {
        let product = || Flaw::of("p, q", "their product is not n");
        let p = self.hidden(given.p).ok_or_else(product)?;
        let q = self.hidden(given.q).ok_or_else(product)?;
        if *Zeroizing::new(p.concatenating_mul(&*q)) != *self.n {
            return Err(product());
        }
        self.check_primes(&p, &q)?;
        let private = self.derive(d, &p, &q)?;
        let same = |member, given: &[u8], right: &[u8], problem| {
            if trimmed(given) == right { Ok(()) } else { Err(Flaw::of(member, problem)) }
        };
        same("dp", given.dp, &private.dp, "is not d mod (p-1)")?;
        same("dq", given.dq, &private.dq, "is not d mod (q-1)")?;
        same("qi", given.qi, &private.qi, "is not the inverse of q mod p")?;
        Ok(private)
    }

    /// Finds the primes by d, and computes the rest. Whatever comes of a d that is not the key's is refused.
    fn complete(&self, d: &BoxedUint) -> Result<RsaPrivate, Flaw> {
        let (p, q) = self.factor(d).ok_or_else(foreign)?;
        self.check_primes(&p, &q).map_err(|_| foreign())?;
        self.derive(d, &p, &q)
    }

    /// Both are primes, different ones, and of lengths that an honest key can have. p times q is n already.
    fn check_primes(&self, p: &BoxedUint, q: &BoxedUint) -> Result<(), Flaw> {
        if p == q {
            return Err(Flaw::of("p, q", "are the same number"));
        }
        let both = [("p", p), ("q", q)];
        // Shorter primes fall to factoring by elliptic curves. This comes before the slow test: the longer the
        // one prime is, the longer that takes.
        if let Some((member, _)) = both.into_iter().find(|(_, number)| number.bits() < self.bits / 3) {
            return Err(Flaw::of(member, "has less than a third of the bits of n: the key is too weak"));
        }
        if self.are_near(p, q) {
            return Err(Flaw::of("p, q", "are so near to each other that n can be factored"));
        }
        if !self.rules.test_primes {
            return Ok(());
        }
        for (member, number) in both {
            // In no more limbs than it needs, as the test takes time by limbs.
            let number = Zeroizing::new(number.resize_unchecked(number.bits()));
            if !is_prime(Flavor::Any, &*number) {
                return Err(Flaw::of(member, "is not a prime number"));
            }
        }
        Ok(())
    }

    /// Whether the upper halves of the primes are the same, but for the bound of SP 800-56B Rev. 2 §6.2.1: such a
    /// modulus falls to Fermat's method. It does not happen by chance.
    fn are_near(&self, p: &BoxedUint, q: &BoxedUint) -> bool {
        let (larger, smaller) = if p > q { (p, q) } else { (q, p) };
        Zeroizing::new(larger.wrapping_sub(smaller)).bits() <= (self.bits / 2).saturating_sub(100)
    }

    /// The private half of n = pq, if d belongs to it (RFC 8017 §3.2: e times d is 1 mod p-1 and mod q-1).
    fn derive(&self, d: &BoxedUint, p: &BoxedUint, q: &BoxedUint) -> Result<RsaPrivate, Flaw> {
        let (p1, q1) = (less_one(p).ok_or_else(foreign)?, less_one(q).ok_or_else(foreign)?);
        let ed = Zeroizing::new(self.e.concatenating_mul(d));
        let one = BoxedUint::one();
        if *Zeroizing::new(ed.rem(&p1)) != one || *Zeroizing::new(ed.rem(&q1)) != one {
            return Err(foreign());
        }
        let odd = p.to_odd().into_option().ok_or_else(foreign)?;
        let modulus = Zeroizing::new(NonZero::from(odd.clone()));
        let qi = Zeroizing::new(q.rem(&modulus)).invert_odd_mod(&odd).into_option().ok_or_else(foreign)?;
        Ok(RsaPrivate {
            d: octets(d),
            p: octets(p),
            q: octets(q),
            dp: octets(&Zeroizing::new(d.rem(&p1))),
            dq: octets(&Zeroizing::new(d.rem(&q1))),
            qi: octets(&Zeroizing::new(qi)),
        })
    }

    /// The two factors of n, by SP 800-56B Rev. 2, Appendix C.2. It takes no random bases and no search, so a
    /// d that is not the key's costs no more than one that is. The result is to be checked.
    fn factor(&self, d: &BoxedUint) -> Option<(Hidden, Hidden)> {
        let one = BoxedUint::one();
        let ed = Zeroizing::new(self.e.concatenating_mul(d));
        let multiple = Zeroizing::new(ed.checked_sub(&one).into_option()?);
        let before_n = less_one(&self.n)?;
        let common = Zeroizing::new(before_n.gcd(&Zeroizing::new(multiple.rem(&before_n))));
        // What is divided is (p-1)(q-1) = n + 1 - (p + q), a number of times: `times` is how often, less one.
        let dividend = Zeroizing::new(multiple.concatenating_mul(&**common));
        let (times, left) = dividend.div_rem(&self.n);
        let (times, left) = (Zeroizing::new(times), Zeroizing::new(left));
        let times = Zeroizing::new(nonzero(times.wrapping_add(&one).try_resize(self.bits)?)?);
        let (sum, rest) = Zeroizing::new(self.n.wrapping_sub(&*left)).div_rem(&*times);
        let (sum, rest) = (Zeroizing::new(sum), Zeroizing::new(rest));
        if !rest.is_zero().to_bool() {
            return None;
        }
        self.split(&Zeroizing::new(sum.wrapping_add(&one)))
    }

    /// p and q from their sum: the roots of x² - sum x + n.
    fn split(&self, sum: &BoxedUint) -> Option<(Hidden, Hidden)> {
        let square = Zeroizing::new(sum.concatenating_mul(sum));
        let four_n = self.n.concatenating_mul(BoxedUint::from(4_u8));
        let squared = Zeroizing::new(square.checked_sub(&four_n).into_option()?);
        let difference = Zeroizing::new(squared.checked_sqrt().into_option()?);
        let twice_p = Zeroizing::new(difference.checked_add(sum).into_option()?);
        let p = Zeroizing::new(twice_p.shr(1).try_resize(self.bits)?);
        let q = Zeroizing::new(sum.checked_sub(&*p).into_option()?);
        (*Zeroizing::new(p.concatenating_mul(&*q)) == *self.n).then_some((p, q))
    }

    fn hidden(&self, bytes: &[u8]) -> Option<Hidden> {
        number(trimmed(bytes), self.bits).map(Zeroizing::new)
    }

    fn key(&self, private: Option<RsaPrivate>) -> RsaKey {
        RsaKey { n: octets(&self.n).to_vec(), e: octets(&self.e).to_vec(), private }
    }
}

fn check_exponent(e: &[u8]) -> Result<(), Flaw> {
    if bit_length(e) > MAX_EXPONENT_BITS {
        return Err(Flaw::of("e", format!("is longer than {MAX_EXPONENT_BITS} bits; 65537 is usual")));
    }
    match e {
        [] | [1] => Err(Flaw::of("e", "is less than 3; 65537 is usual")),
        [.., last] if last % 2 == 0 => Err(Flaw::of("e", "is even; 65537 is usual")),
        _ => Ok(()),
    }
}

fn has_small_factor(n: &BoxedUint) -> bool {
    // An odd divisor that is no prime does no harm: one of its own factors has been met before.
    (3..SMALL_FACTORS).step_by(2).any(|divisor| {
        NonZero::new(Limb::from(divisor))
            .into_option()
            .is_some_and(|divisor| n.rem_limb(divisor) == Limb::ZERO)
    })
}

/// The one answer to every d that is not the key's: more would help nobody.
fn foreign() -> Flaw {
    Flaw::of("d", "does not belong to n and e")
}

fn nonzero(number: BoxedUint) -> Option<NonZero<BoxedUint>> {
    NonZero::new(number).into_option()
}

/// The number before `number`; none before 1 or 0, as it is to be a modulus.
fn less_one(number: &BoxedUint) -> Option<Zeroizing<NonZero<BoxedUint>>> {
    let less = number.checked_sub(&BoxedUint::one()).into_option()?;
    nonzero(less).map(Zeroizing::new)
}

/// The number in as many limbs as `bits` need, so that its own length does not show in the arithmetic.
fn number(bytes: &[u8], bits: u32) -> Option<BoxedUint> {
    BoxedUint::from_be_slice(bytes, bits).ok()
}

fn octets(number: &BoxedUint) -> Zeroizing<Vec<u8>> {
    let all = Zeroizing::new(number.to_be_bytes());
    Zeroizing::new(trimmed(&all).to_vec())
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// The bits of a number without leading zeros; one that is absurdly long has as many as can be said.
fn bit_length(trimmed: &[u8]) -> u32 {
    let first = trimmed.first().map_or(0, |first| first.leading_zeros());
    u32::try_from(trimmed.len()).map_or(u32::MAX, |len| len.saturating_mul(8).saturating_sub(first))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use pkcs8::der::Decode as _;

    use super::*;

    const RULES: Rules = Rules::new(2048);

    /// Two keys of 2048 bits.
    static KEYS: LazyLock<[Numbers; 2]> = LazyLock::new(|| [generate(), generate()]);

    #[derive(Clone)]
    struct Numbers {
        n: Vec<u8>,
        e: Vec<u8>,
        d: Vec<u8>,
        crt: [Vec<u8>; 5],
    }

    impl Numbers {
        fn load(&self) -> Result<RsaKey, Flaw> {
            let [p, q, dp, dq, qi] = &self.crt;
            RsaKey::from_private(&self.n, &self.e, &self.d, Some(&Crt { p, q, dp, dq, qi }), RULES)
        }

        fn load_without_crt(&self) -> Result<RsaKey, Flaw> {
            RsaKey::from_private(&self.n, &self.e, &self.d, None, RULES)
        }

        fn refused(&self) -> String {
            self.load().unwrap_err().to_string()
        }
    }

    fn generate() -> Numbers {
        let der = KeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
        let info = pkcs8::PrivateKeyInfoRef::from_der(der.as_ref()).unwrap();
        let key = pkcs1::RsaPrivateKeyRef::from_der(info.private_key.as_bytes()).unwrap();
        let number = |number: pkcs1::UintRef<'_>| number.as_bytes().to_vec();
        Numbers {
            n: number(key.modulus),
            e: number(key.public_exponent),
            d: number(key.private_exponent),
            crt: [key.prime1, key.prime2, key.exponent1, key.exponent2, key.coefficient].map(number),
        }
    }

    fn numbers(key: &RsaKey) -> Numbers {
        let private = key.private_half().unwrap();
        let crt = private.crt();
        Numbers {
            n: key.n().to_vec(),
            e: key.e().to_vec(),
            d: private.d().to_vec(),
            crt: [crt.p, crt.q, crt.dp, crt.dq, crt.qi].map(<[u8]>::to_vec),
        }
    }

    fn public(n: &[u8], e: &[u8]) -> String {
        RsaKey::from_public(n, e, RULES).unwrap_err().to_string()
    }

    fn product(a: &[u8], b: &[u8]) -> Vec<u8> {
        let number = |bytes| BoxedUint::from_be_slice_vartime(bytes);
        octets(&number(a).concatenating_mul(number(b))).to_vec()
    }

    #[test]
    fn a_generated_key_is_taken_with_leading_zeros_too() {
        let given = &KEYS[0];
        let key = given.load().unwrap();
        assert_eq!((key.n(), key.e()), (&given.n[..], &given.e[..]));
        assert_eq!(numbers(&key).crt, given.crt);
        let zeros = |bytes: &Vec<u8>| [&[0, 0], &bytes[..]].concat();
        let wide = Numbers {
            n: zeros(&given.n),
            e: zeros(&given.e),
            d: zeros(&given.d),
            crt: given.crt.each_ref().map(zeros),
        };
        assert_eq!(numbers(&wide.load().unwrap()).crt, given.crt);
        assert!(RsaKey::from_public(&wide.n, &wide.e, RULES).unwrap().private_half().is_none());
    }

    #[test]
    fn the_primes_are_found_from_d_alone() {
        for given in &*KEYS {
            let found = given.load_without_crt().unwrap();
            let (mut left, mut right) = (numbers(&found).crt[..2].to_vec(), given.crt[..2].to_vec());
            left.sort();
            right.sort();
            assert_eq!(left, right);
            // What was computed stands up to the check of what is given.
            assert!(numbers(&found).load().is_ok());
        }
    }

    #[test]
    fn d_may_be_reduced_by_either_modulus() {
        // RFC 8017 §3.2 reduces by the least common multiple; many encoders reduce by (p-1)(q-1).
        let given = &KEYS[0];
        let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, 2048).unwrap();
        let (p1, q1) = (less_one(&number(&given.crt[0])).unwrap(), less_one(&number(&given.crt[1])).unwrap());
        let g = p1.gcd(&**q1);
        let lambda = p1.concatenating_mul(&**q1).resize_unchecked(2048) / &g;
        let least = number(&given.d).rem(&nonzero(lambda.clone()).unwrap());
        let mut d = least;
        for _ in 0..2 {
            let other = Numbers { d: octets(&d).to_vec(), ..given.clone() };
            assert!(other.load().is_ok() && other.load_without_crt().is_ok());
            d = d.wrapping_add(&lambda);
        }
    }

    #[test]
    fn each_private_number_is_checked() {
        let (given, other) = (&KEYS[0], &KEYS[1]);
        let flaws = [
            "p, q: their product is not n",
            "p, q: their product is not n",
            "dp: is not d mod (p-1)",
            "dq: is not d mod (q-1)",
            "qi: is not the inverse of q mod p",
        ];
        for (at, flaw) in flaws.into_iter().enumerate() {
            for wrong in [other.crt[at].clone(), vec![], vec![1], vec![0xff; 2000]] {
                let mut mutated = given.clone();
                mutated.crt[at] = wrong;
                assert_eq!(mutated.refused(), flaw);
            }
        }
        for d in [other.d.clone(), vec![1], vec![3]] {
            let mutated = Numbers { d, ..given.clone() };
            assert_eq!(mutated.refused(), "d: does not belong to n and e");
            let alone = mutated.load_without_crt().unwrap_err().to_string();
            assert_eq!(alone, "d: does not belong to n and e");
        }
        for d in [vec![], vec![0, 0], given.n.clone(), vec![0xff; 256], vec![1; 2000]] {
            assert_eq!(Numbers { d, ..given.clone() }.refused(), "d: is 0 or not less than n");
        }
        let e = Numbers { e: vec![3], ..given.clone() };
        assert_eq!(e.refused(), "d: does not belong to n and e");
    }

    #[test]
    fn swapped_primes_need_their_own_numbers() {
        let given = KEYS[0].clone();
        let [p, q, dp, dq, qi] = given.crt.clone();
        let mutated = Numbers { crt: [q, p, dq, dp, qi], ..given };
        assert_eq!(mutated.refused(), "qi: is not the inverse of q mod p");
    }

    #[test]
    fn factors_that_are_no_primes_are_refused() {
        let ([p, ..], [r, ..]) = (&KEYS[0].crt, &KEYS[1].crt);
        let mut mutated = KEYS[0].clone();
        mutated.n = product(&mutated.n, r);
        let long = mutated.clone();
        (mutated.crt[0], mutated.crt[1]) = (KEYS[0].n.clone(), r.clone());
        assert_eq!(mutated.refused(), "p: is not a prime number");
        mutated.crt.swap(0, 1);
        assert_eq!(mutated.refused(), "q: is not a prime number");
        assert_eq!(long.load_without_crt().unwrap_err().to_string(), "d: does not belong to n and e");
        let mut square = KEYS[0].clone();
        square.n = product(p, p);
        square.crt[1] = p.clone();
        assert_eq!(square.refused(), "p, q: are the same number");
        let mut one = KEYS[0].clone();
        (one.crt[0], one.crt[1]) = (vec![1], one.n.clone());
        assert_eq!(one.refused(), "p: has less than a third of the bits of n: the key is too weak");
    }

    #[test]
    fn primes_that_are_near_to_each_other_are_refused() {
        let p = &KEYS[0].crt[0];
        let mut q = BoxedUint::from_be_slice(p, 1024).unwrap();
        loop {
            q = q.wrapping_add(BoxedUint::from(2_u8));
            if is_prime(Flavor::Any, &q) {
                break;
            }
        }
        let q = octets(&q).to_vec();
        let n = product(p, &q);
        assert!(
            public(&n, &KEYS[0].e)
                .starts_with("n: the modulus is the product of two primes that are too near")
        );
        let near = Numbers { n, crt: [p.clone(), q, vec![1], vec![1], vec![1]], ..KEYS[0].clone() };
        assert_eq!(near.refused(), "p, q: are so near to each other that n can be factored");
    }

    #[test]
    fn what_is_stored_is_read_without_testing_its_primes_again() {
        let stored = |key: &Numbers| {
            let [p, q, dp, dq, qi] = &key.crt;
            let crt = Crt { p, q, dp, dq, qi };
            RsaKey::from_private(&key.n, &key.e, &key.d, Some(&crt), Rules::STORED)
        };
        let mut key = KEYS[0].clone();
        assert!(stored(&key).is_ok());
        let prime = RsaKey::from_public(&key.crt[0], &key.e, Rules::STORED);
        assert!(prime.is_ok(), "a prime modulus is not looked for");
        key.crt.swap(2, 3);
        assert!(stored(&key).is_err(), "what costs nothing is checked");
    }

    #[test]
    fn the_modulus_is_checked() {
        let e = [1, 0, 1];
        let short =
            |bits| format!("n: the modulus has {bits} bits, and this service takes no less than 2048");
        assert_eq!(public(&[], &e), short(0));
        assert_eq!(public(&[0, 1], &e), short(1));
        assert_eq!(public(&KEYS[0].crt[0], &e), short(1024));
        let long = "n: the modulus has 8193 bits, and this service takes no more than 8192";
        assert_eq!(public(&[&[1], &[0; 1024][..]].concat(), &e), long);
        let mut even = KEYS[0].n.clone();
        even[255] ^= 1;
        assert_eq!(public(&even, &e), "n: the modulus is even");
        let small = "n: the modulus has a small factor, so it is not the product of two primes";
        assert_eq!(public(&product(&KEYS[0].n, &[3]), &e), small);
        assert_eq!(public(&product(&KEYS[0].n, &[3, 229]), &e), small, "997, the last prime below 1000");
        let p = &KEYS[0].crt[0];
        let square = "n: the modulus is a square, not the product of two different primes";
        assert_eq!(public(&product(p, p), &e), square);
        let lower = Rules::new(512);
        let prime = RsaKey::from_public(p, &e, lower).unwrap_err().to_string();
        assert_eq!(prime, "n: the modulus is itself a prime, not the product of two");
    }

    #[test]
    fn the_public_exponent_is_checked() {
        let n = &KEYS[0].n;
        assert_eq!(public(n, &[]), "e: is less than 3; 65537 is usual");
        assert_eq!(public(n, &[0, 1]), "e: is less than 3; 65537 is usual");
        assert_eq!(public(n, &[2]), "e: is even; 65537 is usual");
        assert_eq!(public(n, &[1; 9]), "e: is longer than 64 bits; 65537 is usual");
        assert!(
            RsaKey::from_public(n, &[3], RULES).is_ok() && RsaKey::from_public(n, &[0xff; 8], RULES).is_ok()
        );
    }

    #[test]
    fn no_number_shows() {
        let key = KEYS[0].load().unwrap();
        assert_eq!(format!("{key:?} {:?}", key.private_half().unwrap()), "RsaKey(private) RsaPrivate(..)");
    }
}
