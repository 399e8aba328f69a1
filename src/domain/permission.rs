//! What a token may do.

use std::fmt;

use crate::error::{Error, Result};

/// A right that an operation asks for. The names of the Okta side are Okta's OAuth scopes (contract §8).
/// Kong's own rights are by endpoint; those of the Kong side are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Every GET of the Okta side.
    InlineHooksRead,
    /// Everything else of the Okta side; includes [`Permission::InlineHooksRead`].
    InlineHooksManage,
    /// Every GET of the Kong side, without private halves.
    KeysRead,
    /// Everything else of the Kong side; includes [`Permission::KeysRead`].
    KeysManage,
    /// The private halves in whatever the Kong side answers; includes [`Permission::KeysRead`].
    KeysReveal,
    /// The audit trail of the org, as Okta's System Log. Included in nothing but `all`.
    LogsRead,
}

impl Permission {
    /// Every permission there is.
    pub const ALL: [Self; 6] = [
        Self::InlineHooksRead,
        Self::InlineHooksManage,
        Self::KeysRead,
        Self::KeysManage,
        Self::KeysReveal,
        Self::LogsRead,
    ];

    /// The name on the command line and in openapi.yaml.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InlineHooksRead => "okta.inlineHooks.read",
            Self::InlineHooksManage => "okta.inlineHooks.manage",
            Self::KeysRead => "keys.read",
            Self::KeysManage => "keys.manage",
            Self::KeysReveal => "keys.reveal",
            Self::LogsRead => "okta.logs.read",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }

    fn includes(self, needed: Self) -> bool {
        let included = match self {
            Self::InlineHooksManage => Some(Self::InlineHooksRead),
            Self::KeysManage | Self::KeysReveal => Some(Self::KeysRead),
            Self::InlineHooksRead | Self::KeysRead | Self::LogsRead => None,
        };
        self == needed || included == Some(needed)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The permissions of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// Every permission there is and will be: the word `all`.
    All,
    /// These permissions and what they include.
    Only(Vec<Permission>),
}

impl Grant {
    /// Reads permission names; `all` grants everything, also what later versions add.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let (mut all, mut permissions) = (false, Vec::new());
        for name in names {
            if name == "all" {
                all = true;
                continue;
            }
            let permission = Permission::parse(name).ok_or_else(|| {
                let known = Permission::ALL.map(Permission::name).join(", ");
                Error::invalid(
                    "permission",
                    format_args!("{name:?} is not a permission: use one of {known}, all"),
                )
            })?;
            if !permissions.contains(&permission) {
                permissions.push(permission);
            }
        }
        Ok(if all { Self::All } else { Self::Only(permissions) })
    }

    /// Whether a holder may do what `needed` guards.
    #[must_use]
    pub fn allows(&self, needed: Permission) -> bool {
        match self {
            Self::All => true,
            Self::Only(held) => held.iter().any(|permission| permission.includes(needed)),
        }
    }
}

impl fmt::Display for Grant {
    /// The names with a blank between them, as [`Grant::parse`] reads them after a split.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Only(held) => f.write_str(&held.iter().map(|p| p.name()).collect::<Vec<_>>().join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manage_includes_read_but_not_the_other_way() {
        let manage = Grant::parse(["okta.inlineHooks.manage"]).unwrap();
        let read = Grant::parse(["okta.inlineHooks.read"]).unwrap();
        assert!(manage.allows(Permission::InlineHooksRead) && manage.allows(Permission::InlineHooksManage));
        assert!(read.allows(Permission::InlineHooksRead) && !read.allows(Permission::InlineHooksManage));
    }

    #[test]
    fn managing_keys_and_revealing_them_are_two_rights_that_both_include_reading() {
        let grants = ["keys.manage", "keys.reveal"].map(|name| Grant::parse([name]).unwrap());
        let rights = [Permission::KeysRead, Permission::KeysManage, Permission::KeysReveal];
        assert_eq!(rights.map(|right| grants[0].allows(right)), [true, true, false]);
        assert_eq!(rights.map(|right| grants[1].allows(right)), [true, false, true]);
        assert!(!grants.iter().any(|grant| grant.allows(Permission::InlineHooksRead)));
    }

    #[test]
    fn a_grant_reads_back_what_it_prints() {
        for names in
            [vec!["all"], vec!["okta.inlineHooks.read"], Permission::ALL.map(Permission::name).into()]
        {
            let grant = Grant::parse(names).unwrap();
            assert_eq!(Grant::parse(grant.to_string().split(' ')).unwrap(), grant);
        }
    }

    #[test]
    fn an_unknown_permission_is_refused_by_name() {
        for names in [vec!["okta.users.read"], vec!["all", "okta.users.read"], vec!["okta.users.read", "all"]]
        {
            let error = Grant::parse(names).unwrap_err().to_string();
            assert!(error.contains("\"okta.users.read\" is not a permission"), "{error}");
        }
    }
}
