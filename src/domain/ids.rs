//! Identifiers. Okta's ids are a type prefix and 17 characters of `[A-Za-z0-9]`, 20 in all.

use std::fmt;

use uuid::Uuid;

use super::entropy::{ALPHANUMERIC, Entropy, URL_SAFE, random_text};
use crate::error::Result;

const SUFFIX: usize = 17;

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// Draws a new id.
            pub fn generate(entropy: &dyn Entropy) -> Result<Self> {
                Ok(Self(format!("{}{}", $prefix, random_text(entropy, ALPHANUMERIC, SUFFIX)?)))
            }

            /// Reads an id; `None` when the text has another form, so that nothing can have it.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let suffix = text.strip_prefix($prefix)?;
                let well_formed = suffix.len() == SUFFIX && suffix.bytes().all(|b| b.is_ascii_alphanumeric());
                well_formed.then(|| Self(text.to_owned()))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

prefixed_id!(
    /// A hook key: `HKY` and 17 characters (contract §1, recorded).
    HookKeyId, "HKY"
);
prefixed_id!(
    /// An inline hook: `cal` and 17 characters (contract §1, recorded).
    InlineHookId, "cal"
);
prefixed_id!(
    /// An API token: `00T` and 17 characters (contract §8, recorded).
    TokenId, "00T"
);
prefixed_id!(
    /// An org: `00o` and 17 characters.
    OrgId, "00o"
);

/// The alias of a public key, `keyId` and `kid` on the wire: a UUID version 4 in lower case (contract §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(Uuid);

impl KeyId {
    /// Draws a new keyId.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self> {
        random_uuid(entropy).map(Self)
    }

    /// Reads a keyId in its one form, lower case with hyphens; `None` for every other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?;
        (uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(Self(uuid))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The id of a key or of a key set, which Kong calls entities: a UUID, in lower case. Clients may choose it
/// (contract §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityId(Uuid);

impl EntityId {
    /// Draws a new id.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self> {
        random_uuid(entropy).map(Self)
    }

    /// Reads an id: hexadecimal digits of either case in groups of 8, 4, 4, 4 and 12, of any version.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // The one form of this length that the library reads.
        let hyphenated = text.len() == uuid::fmt::Hyphenated::LENGTH;
        Uuid::try_parse(text).ok().filter(|_| hyphenated).map(Self)
    }
}

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A UUID version 4 (RFC 9562 §5.4).
#[expect(clippy::disallowed_methods, reason = "the one place that makes UUIDs; its randomness is passed in")]
fn random_uuid(entropy: &dyn Entropy) -> Result<Uuid> {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// The id of one request, made of random bytes: 32 lower-case hexadecimal digits (contract §1, recorded since 2025).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// Made of these bytes.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Its text, for which no memory is needed but the buffer.
    pub fn encode(self, buffer: &mut [u8; 32]) -> &str {
        // No UUID, but written as one would be without its hyphens.
        Uuid::from_bytes(self.0).simple().encode_lower(buffer)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode(&mut [0; 32]))
    }
}

/// The id of one error answer: `oae` and 22 characters of `[A-Za-z0-9_-]` (contract §2, recorded).
pub fn error_id(entropy: &dyn Entropy) -> Result<String> {
    Ok(format!("oae{}", random_text(entropy, URL_SAFE, 22)?))
}

/// The `jti` of a JWT: 32 characters of `[A-Za-z0-9_-]`, never the same twice (RFC 7519 §4.1.7).
pub fn jwt_id(entropy: &dyn Entropy) -> Result<String> {
    random_text(entropy, URL_SAFE, 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, out: &mut [u8]) -> Result<()> {
            out.fill_with(|| self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            Ok(())
        }
    }

    #[test]
    fn a_generated_id_reads_back() {
        let id = HookKeyId::generate(&Counting(0.into())).unwrap();
        assert_eq!(id.as_str().len(), 20);
        assert_eq!(HookKeyId::parse(id.as_str()), Some(id));
    }

    #[test]
    fn an_id_of_another_form_is_none() {
        for text in ["", "HKY", "HKY1p7jWLndGQV9M60g", "HKY1p7jWLndGQV9M60g44", "hky1p7jWLndGQV9M60g4"] {
            assert_eq!(HookKeyId::parse(text), None, "{text}");
        }
        for text in ["HKY1p7jWLndGQV9M60g\u{e9}", "HKY1p7jWLndGQV9M60 4", "00T1p7jWLndGQV9M60g4"] {
            assert_eq!(HookKeyId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_entity_id_is_read_in_either_case_and_written_in_lower_case() {
        let text = "2033CB3D-ef3b-4F6D-0395-bc3c2d5a0e4f";
        assert_eq!(EntityId::parse(text).unwrap().to_string(), text.to_lowercase());
        let simple = text.replace('-', "");
        for other in ["my-set", "", &simple, &format!("{{{text}}}"), &format!("urn:uuid:{text}"), &text[1..]]
        {
            assert_eq!(EntityId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_key_id_has_one_spelling() {
        let id = KeyId::generate(&Counting(7.into())).unwrap();
        let text = id.to_string();
        assert_eq!(text.as_bytes()[14], b'4', "version 4");
        assert_eq!(KeyId::parse(&text), Some(id));
        assert_eq!(KeyId::parse(&text.to_uppercase()), None);
        assert_eq!(KeyId::parse(&format!("{{{text}}}")), None);
        assert_eq!(KeyId::parse(&text.replace('-', "")), None);
    }
}
