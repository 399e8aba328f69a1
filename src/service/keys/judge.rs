//! Judging key material that a request brings, before any transaction: it can take long.

use crate::crypto::key::{Key, Rules};
use crate::domain::change::Change;
use crate::domain::key::{KeyDraft, is_reference};
use crate::domain::secret::Secret;
use crate::domain::text::told;
use crate::jose::jwk::Jwk;
use crate::jose::{hint, pem};

/// The material of a request, judged. `None` where the request brings none.
#[derive(Default)]
pub(super) struct Judged {
    pub(super) jwk: Option<JudgedJwk>,
    pub(super) private: Option<Half>,
    pub(super) public: Option<Half>,
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

/// How many bytes of key material the draft brings.
pub(super) fn length(draft: &KeyDraft) -> usize {
    let pem = draft.pem.value();
    let halves = pem.map(|pem| [pem.private.value(), pem.public.value()]).into_iter().flatten();
    let texts = halves.chain([draft.jwk.value()]).flatten();
    texts.map(|text| text.reveal().len()).sum()
}

/// Judges all that the draft brings. Takes milliseconds for an RSA key, and more for large ones.
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
    let flaw = match jwk.load(rules) {
        Err(flaw) => Some(format!("could not load JWK, likely not a valid key: {flaw}")),
        Ok(_) => {
            jwk.unknown_member().map(|member| format!("Validation error: {}: unknown field", told(member)))
        }
    };
    JudgedJwk::Read {
        kid: jwk.kid().map(str::to_owned),
        flaw,
        shown: jwk.public_text(),
        private: jwk.has_private(),
    }
}

fn half<E: ToString>(text: &Secret, read: impl Fn(&str) -> Result<Key, E>) -> Half {
    if is_reference(text.reveal()) {
        return Half::Reference;
    }
    match read(text.reveal()) {
        Ok(key) => Half::Sound(Box::new(key.into_public())),
        Err(flaw) => Half::Refused(flaw.to_string()),
    }
}
