//! API tokens: what callers prove themselves with.

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use super::clock::{Timestamp, later};
use super::entropy::{Entropy, URL_SAFE, random_text};
use super::ids::{OrgId, TokenId};
use super::permission::Grant;
use crate::error::Result;

const PREFIX: &str = "00";
/// Drawn from 64 characters: 240 random bits.
const RANDOM_PART: usize = 40;

/// The secret itself: `00` (as Okta's) and 40 random characters. Shown once, stored only as a digest.
pub struct ApiToken(Zeroizing<String>);

impl ApiToken {
    /// Draws a new token.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self> {
        let random = Zeroizing::new(random_text(entropy, URL_SAFE, RANDOM_PART)?);
        Ok(Self(Zeroizing::new(format!("{PREFIX}{}", *random))))
    }

    /// Reads a token; `None` when the text cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(PREFIX)?;
        let well_formed = random.len() == RANDOM_PART
            && random.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        well_formed.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The secret, for the one who asked for it or for a digest.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(..)")
    }
}

/// When a token stops working by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// This long after its last use, or after its creation while unused. Okta's tokens: 30 days.
    Idle(Duration),
    /// At this moment, whatever its use.
    At(Timestamp),
}

/// Whether a token works, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It works.
    Live,
    /// It has ended by itself.
    Expired,
    /// It was revoked.
    Revoked,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        })
    }
}

/// All that is known of a token but its secret.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its id, which is no secret: `token revoke` takes it and the log shows it.
    pub id: TokenId,
    /// The org it acts in.
    pub org: OrgId,
    /// The operator's label.
    pub name: String,
    /// What it may do.
    pub grant: Grant,
    /// When it stops working by itself.
    pub expiry: Expiry,
    /// When it was made.
    pub created: Timestamp,
    /// Its last use, exact to about a minute.
    pub last_used: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl Token {
    /// The moment from which the token no longer works, revocation aside.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires_after(self.last_used)
    }

    /// What the token is at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> State {
        self.state_after(self.last_used, now)
    }

    /// What the token is at `now` if this was its last use.
    #[must_use]
    pub fn state_after(&self, last_used: Option<Timestamp>, now: Timestamp) -> State {
        match self.revoked {
            Some(_) => State::Revoked,
            None if now < self.expires_after(last_used) => State::Live,
            None => State::Expired,
        }
    }

    fn expires_after(&self, last_used: Option<Timestamp>) -> Timestamp {
        match self.expiry {
            Expiry::At(moment) => moment,
            Expiry::Idle(window) => later(last_used.unwrap_or(self.created), window),
        }
    }
}
