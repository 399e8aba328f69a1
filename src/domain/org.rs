//! Orgs: the tenants. Whatever belongs to one org does not exist for another.

use super::clock::Timestamp;
use super::ids::OrgId;
use crate::error::{Error, Result};

/// The name by which operators call an org: 1 to 63 of `[a-z0-9-]`, a letter or digit at both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgName(String);

impl OrgName {
    /// Checks a name.
    pub fn parse(name: &str) -> Result<Self> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let well_formed = (1..=63).contains(&name.len())
            && name.chars().all(allowed)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if well_formed {
            Ok(Self(name.to_owned()))
        } else {
            Err(Error::invalid(
                "org",
                format_args!(
                    "{name:?} is not an org name: use 1 to 63 lower-case letters, digits and hyphens, \
                     with a letter or digit at both ends"
                ),
            ))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An org.
#[derive(Debug, Clone)]
pub struct Org {
    /// Its id, which never changes.
    pub id: OrgId,
    /// Its name, unique in the installation.
    pub name: String,
    /// Most hook keys this org may have; `None` follows `limits.hook_keys_per_org`.
    pub hook_key_limit: Option<u32>,
    /// When it was made.
    pub created: Timestamp,
}
