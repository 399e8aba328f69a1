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

#[cfg(test)]
mod tests {
    use super::*;

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
