//! Keys that were brought from elsewhere, as JWK or PEM.

use std::fmt;

use super::change::Change;
use super::clock::Timestamp;
use super::ids::EntityId;
use super::secret::Secret;
use super::tags::Tags;
use crate::error::Violations;

/// What messages call a key.
pub const RESOURCE: &str = "Key";

/// Most characters of a name or a kid.
pub const LONGEST_NAME: usize = 1024;

/// Most characters of a JWK or of one PEM half: enough for the longest keys with a chain of certificates.
pub const LONGEST_MATERIAL: usize = 32_768;

/// How much of a key its reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The public half alone.
    Public,
    /// Both halves.
    Private,
}

/// The two formats of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON Web Key (RFC 7517).
    Jwk,
    /// PEM (RFC 7468): PKCS#8 and SPKI where this service writes it.
    Pem,
}

/// A key as its reader may see it.
#[derive(Debug, Clone)]
pub struct Key {
    /// Its id.
    pub id: EntityId,
    /// The key set it belongs to.
    pub set: Option<EntityId>,
    /// Unique among the keys of its org; many may have none.
    pub name: Option<String>,
    /// Its key id: unique in its set, or among the keys without a set.
    pub kid: String,
    /// The key as JWK, as it was sent; without its private members where [`Sight`] keeps them back.
    pub jwk: Option<Secret>,
    /// The key as PEM.
    pub pem: Option<Pem>,
    /// Its tags.
    pub tags: Option<Tags>,
    /// When it was made, or when its maker said it was.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// The halves of a key as PEM, each as it was sent.
#[derive(Debug, Clone, Default)]
pub struct Pem {
    /// The private half; `None` also where [`Sight`] keeps it back.
    pub private: Option<Secret>,
    /// The public half.
    pub public: Option<String>,
}

/// How a request names an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// By its id.
    Id(EntityId),
    /// By its name.
    Name(String),
}

impl Selector {
    /// Whatever has the form of an id is one (contract §1).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        EntityId::parse(text).map_or_else(|| Self::Name(text.to_owned()), Self::Id)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Which key a request means.
#[derive(Debug, Clone)]
pub struct Target {
    /// The key set through which the request reaches it, if any: then it must belong to that set.
    pub within: Option<Selector>,
    /// The key.
    pub key: Selector,
}

/// What a request says about a key.
#[derive(Debug, Clone, Default)]
pub struct KeyDraft {
    /// The id that the client has chosen.
    pub id: Option<EntityId>,
    /// The key set.
    pub set: Change<Selector>,
    /// The name.
    pub name: Change<String>,
    /// The key id.
    pub kid: Change<String>,
    /// The key as JWK.
    pub jwk: Change<Secret>,
    /// The key as PEM.
    pub pem: Change<PemDraft>,
    /// The tags.
    pub tags: Change<Tags>,
    /// The time of birth, as the client tells it.
    pub created: Option<Timestamp>,
    /// What is wrong with single fields. They are told together with what is wrong with the whole.
    pub violations: Violations,
}

/// What a request says about the halves of a PEM.
#[derive(Debug, Clone, Default)]
pub struct PemDraft {
    /// The private half.
    pub private: Change<Secret>,
    /// The public half.
    pub public: Change<Secret>,
}

/// Whether a text refers to a vault instead of being a key (contract §5): `{vault://…}`, a URL in braces and nothing
/// else. Such a text is kept as it is, unsealed, and never resolved, so it must not hold a key itself.
#[must_use]
pub fn is_reference(text: &str) -> bool {
    let inner = text.strip_prefix("{vault://").and_then(|rest| rest.strip_suffix('}'));
    let of_url = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&()*+,;=%".contains(c);
    inner.is_some_and(|inner| inner.len() <= LONGEST_NAME && inner.chars().all(of_url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_url_in_braces() {
        for text in ["{vault://env/my-key}", "{vault://hcv/secret/jwk?prefix=a&ttl=5#x}"] {
            assert!(is_reference(text), "{text}");
        }
        let long = format!("{{vault://{}}}", "x".repeat(1025));
        for text in [
            "",
            "{vault:/x}",
            "{vault://x",
            "vault://x",
            "{vault://{\"d\":\"x\"}}",
            "{vault://\n-----BEGIN PRIVATE KEY-----}",
            "{vault://a b}",
            &long,
        ] {
            assert!(!is_reference(text), "{text}");
        }
    }
}
