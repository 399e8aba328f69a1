//! Inline hooks: external services that are called in the middle of a process.

use super::channel::{Channel, HookVersion};
use super::clock::Timestamp;
use super::ids::InlineHookId;
use super::secret::Secret;
use super::text::DisplayName;
use crate::error::{Error, Result};

/// What messages call an inline hook.
pub const RESOURCE: &str = "InlineHook";

/// What calls the hook. Fixed for a hook's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookType {
    /// `com.okta.import.transform`
    ImportTransform,
    /// `com.okta.oauth2.tokens.transform`
    TokensTransform,
    /// `com.okta.saml.tokens.transform`
    SamlTransform,
    /// `com.okta.telephony.provider`
    Telephony,
    /// `com.okta.user.credential.password.import`
    PasswordImport,
    /// `com.okta.user.pre-registration`
    PreRegistration,
}

impl HookType {
    const ALL: [Self; 6] = [
        Self::ImportTransform,
        Self::TokensTransform,
        Self::SamlTransform,
        Self::Telephony,
        Self::PasswordImport,
        Self::PreRegistration,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ImportTransform => "com.okta.import.transform",
            Self::TokensTransform => "com.okta.oauth2.tokens.transform",
            Self::SamlTransform => "com.okta.saml.tokens.transform",
            Self::Telephony => "com.okta.telephony.provider",
            Self::PasswordImport => "com.okta.user.credential.password.import",
            Self::PreRegistration => "com.okta.user.pre-registration",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == name);
        known.ok_or_else(|| Error::invalid("type", "The field type is not valid."))
    }

    /// Whether a failed call may be tried once more: never for token and telephony hooks (contract §6).
    #[must_use]
    pub fn may_retry(self) -> bool {
        !matches!(self, Self::TokensTransform | Self::Telephony)
    }

    /// Whether an empty answer means «no change». The other types need the service's decision.
    #[must_use]
    pub fn allows_empty_answer(self) -> bool {
        !matches!(self, Self::Telephony | Self::PasswordImport)
    }
}

/// Whether a hook may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookStatus {
    /// It may be called, and not deleted.
    Active,
    /// It may be deleted, and not called.
    Inactive,
}

impl HookStatus {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::Inactive].into_iter().find(|status| status.name() == name)
    }
}

/// What a caller wants a hook to be.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its name.
    pub name: DisplayName,
    /// Its type; `None` leaves that of an existing hook.
    pub kind: Option<HookType>,
    /// Its version.
    pub version: HookVersion,
    /// Its channel.
    pub channel: Channel,
    /// The channel's secret; `None` keeps the stored one.
    pub secret: Option<Secret>,
}

/// An inline hook without its secret.
#[derive(Debug, Clone)]
pub struct InlineHook {
    /// Its id.
    pub id: InlineHookId,
    /// Whether it may be called.
    pub status: HookStatus,
    /// Unique among the hooks of its org.
    pub name: String,
    /// What calls it.
    pub kind: HookType,
    /// Its version.
    pub version: HookVersion,
    /// Where and how it is called.
    pub channel: Channel,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed, activated or deactivated; at birth, `created`.
    pub last_updated: Timestamp,
}
