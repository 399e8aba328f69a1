//! Judging key material that a request brings, before any transaction: it can take long.

use crate::crypto::key::{Flaw, Key, Rules};
use crate::domain::change::Change;
use crate::domain::key::{KeyDraft, is_reference};
use crate::domain::secret::Secret;
use crate::domain::text::told;
use crate::jose::jwk::Jwk;
use crate::jose::{hint, pem};

/// The material of a request, judged. `None` where the request brings none.
pub(super) struct Judged {
    pub(super) jwk: Option<JudgedJwk>,
    pub(super) private: Option<Half>,
    pub(super) public: Option<Half>,
}

impl Judged {
    /// The bits of the longest RSA modulus in it; 0 if there is none.
    pub(super) fn rsa_bits(&self) -> usize {
        let jwk = match &self.jwk {
            Some(JudgedJwk::Read { rsa_bits, .. }) => *rsa_bits,
            _ => 0,
        };
        let halves = [&self.private, &self.public].map(|half| match half {
            Some(Half::Sound(key)) => key.rsa_bits(),
            _ => 0,
        });
        halves.into_iter().fold(jwk, usize::max)
    }
}

/// A JWK, judged.
pub(super) enum JudgedJwk {
    /// A vault reference, which nobody looks behind.
    Reference,
    /// No JSON object; says why.
    Unreadable(String),
    /// A JSON object.
    Read {
        /// Its member `kid`, if that is a text.
        kid: Option<String>,
        /// Why it is refused, if it is.
        flaw: Option<String>,
        /// The text without private members.
        shown: String,
        /// Whether it had any.
        private: bool,
        /// The bits of its modulus if it is an RSA key, else 0.
        rsa_bits: usize,
    },
}

/// Half of a PEM, judged.
pub(super) enum Half {
    /// A vault reference.
    Reference,
    /// Not a key; says why.
    Refused(String),
    /// A key, of which the public half is kept for comparison.
    Sound(Box<Key>),
}

/// Judges all that the draft brings. Takes 10 ms for RSA of 2048 bits and half a second for 8192; at first sight,
/// and for other keys, no more than a few milliseconds.
pub(super) fn judge(draft: &KeyDraft, rules: Rules) -> Judged {
    let (private, public) = match &draft.pem {
        Change::Set(pem) => (pem.private.value(), pem.public.value()),
        Change::Keep | Change::Clear => (None, None),
    };
    Judged {
        jwk: draft.jwk.value().map(|text| judge_jwk(text.reveal(), rules)),
        private: private.map(|text| half(text, |text| pem::read_private(text, rules))),
        public: public.map(|text| half(text, |text| pem::read_public(text, rules))),
    }
}

/// In the order of contract §4: JSON, then the key, then the list of members. The kid is compared later.
fn judge_jwk(text: &str, rules: Rules) -> JudgedJwk {
    if is_reference(text) {
        return JudgedJwk::Reference;
    }
    if let Err(flaw) = hint::refuse_start("jwk", text).and_then(|()| hint::refuse_pem(text)) {
        return JudgedJwk::Unreadable(flaw.to_string());
    }
    let jwk = match Jwk::read(text) {
        Ok(jwk) => jwk,
        Err(problem) => return JudgedJwk::Unreadable(problem.to_string()),
    };
    let (rsa_bits, flaw) = match jwk.load(rules) {
        Err(flaw) => (0, Some(format!("could not load JWK, likely not a valid key: {flaw}"))),
        Ok(key) => {
            let unknown = jwk.unknown_member();
            let flaw = unknown.map(|member| format!("Validation error: {}: unknown field", told(member)));
            (key.rsa_bits(), flaw)
        }
    };
    JudgedJwk::Read {
        kid: jwk.kid().map(str::to_owned),
        flaw,
        shown: jwk.public_text(),
        private: jwk.has_private(),
        rsa_bits,
    }
}

fn half(text: &Secret, read: impl Fn(&str) -> Result<Key, Flaw>) -> Half {
    if is_reference(text.reveal()) {
        return Half::Reference;
    }
    match read(text.reveal()) {
        Ok(key) => Half::Sound(Box::new(key.into_public())),
        Err(flaw) => Half::Refused(flaw.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::domain::key::PemDraft;

    /// The product of the Mersenne primes 2^4423 - 1 and 2^3217 - 1, big-endian.
    fn modulus_of_7640_bits() -> Vec<u8> {
        let mut bytes = vec![0; 955];
        for bit in [0].into_iter().chain(3217..4423).chain(4424..7640) {
            bytes[954 - bit / 8] |= 1_u8 << (bit % 8);
        }
        bytes
    }

    #[test]
    fn how_long_a_check_takes_is_known_from_the_key_and_not_from_the_length_of_its_text() {
        let n = URL_SAFE_NO_PAD.encode(modulus_of_7640_bits());
        let public = format!(r#"{{"kty":"RSA","kid":"k","n":"{n}","e":"AQAB"}}"#);
        let key = Jwk::read(&public).unwrap().load(Rules::STORED).unwrap();
        let of = |draft| judge(&draft, Rules::new(2048).at_first_sight()).rsa_bits();
        let jwk =
            |text: &str| KeyDraft { jwk: Change::Set(Secret::new(text.to_owned())), ..KeyDraft::default() };
        assert!(public.len() < 1400, "shorter than a private key of 2048 bits");
        assert_eq!(of(jwk(&public)), 7640);
        let half = Change::Set(Secret::new(pem::write_public(&key).unwrap()));
        let pem = PemDraft { public: half, ..PemDraft::default() };
        assert_eq!(of(KeyDraft { pem: Change::Set(pem), ..KeyDraft::default() }), 7640);
        for other in
            [public.replace("RSA", "rsa"), format!("{public}{}", " ".repeat(9000)).replace("AQAB", "AA")]
        {
            assert_eq!(of(jwk(&other)), 0, "refused at first sight");
        }
    }
}
