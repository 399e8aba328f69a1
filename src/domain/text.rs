//! Rules that every name shares.

use std::fmt;

use crate::error::{Error, Result};

/// Most characters a name may have.
const LIMIT: usize = 255;

/// The name by which people know a thing: the field `name` of everything that has one.
///
/// 1 to 255 characters, not only white space, no control characters (they have no place in a name, and
/// PostgreSQL cannot store U+0000), and no character above U+FFFF: Okta's core API declares four-byte
/// characters unsupported (contract §0.9), so a name that would fail there fails here. Names are kept as
/// sent: nothing is trimmed, and case counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayName(String);

impl DisplayName {
    /// Checks a name.
    pub fn parse(text: String) -> Result<Self> {
        let refused = |problem: &dyn fmt::Display| Err(Error::invalid("name", problem));
        let found = |c: char| format!("(found U+{:04X})", u32::from(c));
        if text.trim().is_empty() {
            return refused(&"The field cannot be left blank");
        }
        if text.chars().count() > LIMIT {
            return refused(&"The field must be between 1 and 255 characters");
        }
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            return refused(&format_args!("The field must not contain control characters {}", found(c)));
        }
        if let Some(c) = text.chars().find(|&c| c > '\u{ffff}') {
            return refused(&format_args!("The field must not contain characters above U+FFFF {}", found(c)));
        }
        Ok(Self(text))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text holds a private key, or any JWK. Such a text got into the wrong field: names, kids and tags are
/// kept unsealed, told back and logged.
#[must_use]
pub fn looks_like_key(text: &str) -> bool {
    // Encoding a key once more adds backslashes or percent signs, and some quotes are single ones.
    let plain = |c: &char| !matches!(c, '\\' | '"' | '\'' | ' ' | '+');
    let text: String = text.replace("%20", "").chars().filter(plain).flat_map(char::to_lowercase).collect();
    text.contains("privatekey--") || text.contains("kty:")
}

/// What to say of such a text.
pub const LOOKS_LIKE_KEY: &str =
    "looks like a key, which belongs into jwk or pem: here everyone would see it";

/// A name that a client made up, fit to be told back and logged. A long or odd one is not told: it may be a key
/// that ended up in the wrong place.
#[must_use]
pub fn told(name: &str) -> String {
    // No `@`: a client's field must not pass for the `@entity` of refusals.
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.#[]".contains(c);
    if (1..=40).contains(&name.len()) && name.chars().all(plain) {
        return name.to_owned();
    }
    format!("(a name of {} characters)", name.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_wrong_field_is_recognised() {
        for text in [
            "-----BEGIN EC PRIVATE KEY-----\nMHc",
            "----BEGIN PRIVATE KEY----",
            "BEGIN%20private%20Key--",
            "x {\"kty\":\"EC\"}",
            "{'kty' : 'EC'}",
            r#"{\\"kty\\":\\"EC\\"}"#,
        ] {
            assert!(looks_like_key(text));
        }
        for text in ["my private key", "private key - old", "kty", "-----BEGIN PUBLIC KEY-----"] {
            assert!(!looks_like_key(text));
        }
    }

    #[test]
    fn only_short_plain_names_are_told_back() {
        for name in ["private_key", "x5t#S256", "tags[1]"] {
            assert_eq!(told(name), name);
        }
        for name in ["", "-----BEGIN PRIVATE KEY-----", "{\"d\":1}", &"A".repeat(41), "é", "@entity"] {
            assert_eq!(told(name), format!("(a name of {} characters)", name.chars().count()));
        }
    }

    #[test]
    fn names_within_the_rules_are_kept_as_sent() {
        for name in ["x", " padded ", "Grüße", "\u{ffff}", &"é".repeat(LIMIT)] {
            assert_eq!(DisplayName::parse(name.to_owned()).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_outside_the_rules_are_refused_with_the_field_named() {
        let long = "é".repeat(LIMIT + 1);
        for (name, reason) in [
            ("", "name: The field cannot be left blank"),
            (" \t\u{3000}", "name: The field cannot be left blank"),
            (long.as_str(), "name: The field must be between 1 and 255 characters"),
            ("a\0b", "name: The field must not contain control characters (found U+0000)"),
            ("key \u{1f511}", "name: The field must not contain characters above U+FFFF (found U+1F511)"),
        ] {
            assert_eq!(DisplayName::parse(name.to_owned()).unwrap_err().to_string(), reason);
        }
    }
}
