//! The audit trail: who did what, from where, and what came of it.

pub mod filter;

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::clock::Timestamp;
use super::hook_key::HookKey;
use super::ids::OrgId;
use super::inline_hook::InlineHook;
use super::key_set::KeySet;
use super::org::Org;
use super::token::Token;

/// What an event of a hook key calls it.
pub const HOOK_KEY: &str = "HookKey";
/// What an event of an inline hook calls it.
pub const INLINE_HOOK: &str = "InlineHook";
/// What an event of a key that was brought calls it.
pub const KEY: &str = "Key";
/// What an event of a key set calls it.
pub const KEY_SET: &str = "KeySet";
const TOKEN: &str = "ApiToken";
const ORG: &str = "Org";
const TERM: &str = "KeyringTerm";

/// Most characters of a reason: as many as the log has of it.
const LONGEST_REASON: usize = 1024;

macro_rules! event_types {
    ($($(#[$doc:meta])* $variant:ident $name:literal $message:literal,)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventType {
            $($(#[$doc])* $variant,)*
        }

        impl EventType {
            /// Every type there is.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name, as rows and filters have it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What it is, for people.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)*
                }
            }
        }
    };
}

// The names of hook keys, inline hooks and tokens are Okta's. What Okta has no name for begins with `kong.` or
// `hook_keys.`.
event_types! {
    /// A hook key was made.
    HookKeyCreated "system.hook.key.created" "Create hook key",
    /// A hook key was renamed.
    HookKeyUpdated "system.hook.key.updated" "Update hook key",
    /// A hook key was deleted.
    HookKeyDeleted "system.hook.key.deleted" "Delete hook key",
    /// An inline hook was made.
    InlineHookCreated "inline_hook.created" "Create inline hook",
    /// An inline hook was changed or replaced.
    InlineHookUpdated "inline_hook.updated" "Update inline hook",
    /// An inline hook was deleted.
    InlineHookDeleted "inline_hook.deleted" "Delete inline hook",
    /// An inline hook was activated.
    InlineHookActivated "inline_hook.activated" "Activate inline hook",
    /// An inline hook was deactivated.
    InlineHookDeactivated "inline_hook.deactivated" "Deactivate inline hook",
    /// An inline hook was called.
    InlineHookExecuted "inline_hook.executed" "Execute inline hook",
    /// A key was brought.
    KeyCreated "kong.key.created" "Create key",
    /// A key was changed, replaced or moved.
    KeyUpdated "kong.key.updated" "Update key",
    /// A key was deleted, by itself or with its key set.
    KeyDeleted "kong.key.deleted" "Delete key",
    /// Private halves of keys were shown.
    KeyRevealed "kong.key.revealed" "Reveal private half of key",
    /// A key set was made.
    KeySetCreated "kong.key_set.created" "Create key set",
    /// A key set was changed or replaced.
    KeySetUpdated "kong.key_set.updated" "Update key set",
    /// A key set was deleted.
    KeySetDeleted "kong.key_set.deleted" "Delete key set",
    /// A token was made.
    TokenCreated "system.api_token.create" "Create API token",
    /// A token was revoked.
    TokenRevoked "system.api_token.revoke" "Revoke API token",
    /// An org was made.
    OrgCreated "hook_keys.org.created" "Create org",
    /// The limit of an org was set.
    OrgUpdated "hook_keys.org.updated" "Update org",
    /// An org was deleted, with all that belonged to it.
    OrgDeleted "hook_keys.org.deleted" "Delete org",
    /// The keyring got a term.
    KeyringRotated "hook_keys.keyring.rotated" "Add a term to the keyring",
    /// A term was removed from the keyring.
    KeyringRetired "hook_keys.keyring.retired" "Remove a term from the keyring",
    /// The keyring was wrapped with another master key.
    MasterKeyRotated "hook_keys.keyring.master_rotated" "Wrap the keyring with another master key",
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused, or has failed.
    Failure,
}

impl Outcome {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Success, Self::Failure];

    /// Its name, as rows and filters have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
        }
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The holder of a token.
    Token {
        /// The token's id.
        id: String,
        /// Its label.
        name: String,
    },
    /// An operator, at the command line.
    Command {
        /// The user of the operating system.
        user: String,
    },
}

/// What it was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// What it is, such as [`HOOK_KEY`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// What else it is known by: the keyId of a hook key, the `kid` of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternate_id: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

impl Target {
    /// A thing of which no more than the id is known.
    #[must_use]
    pub fn bare(kind: &str, id: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), id: id.into(), alternate_id: None, display_name: None }
    }

    /// A key that was brought.
    #[must_use]
    pub fn key(id: impl Into<String>, kid: &str, name: Option<&str>) -> Self {
        let display_name = name.map(str::to_owned);
        Self { alternate_id: Some(kid.to_owned()), display_name, ..Self::bare(KEY, id) }
    }

    /// A term of the keyring.
    #[must_use]
    pub fn term(term: u32) -> Self {
        Self::bare(TERM, term.to_string())
    }

    fn named(kind: &str, id: impl Into<String>, name: &str) -> Self {
        Self { display_name: Some(name.to_owned()), ..Self::bare(kind, id) }
    }
}

impl From<&HookKey> for Target {
    fn from(key: &HookKey) -> Self {
        let alternate_id = Some(key.key_id.to_string());
        Self { alternate_id, ..Self::named(HOOK_KEY, key.id.as_str(), &key.name) }
    }
}

impl From<&InlineHook> for Target {
    fn from(hook: &InlineHook) -> Self {
        Self::named(INLINE_HOOK, hook.id.as_str(), &hook.name)
    }
}

impl From<&KeySet> for Target {
    fn from(set: &KeySet) -> Self {
        Self { display_name: set.name.clone(), ..Self::bare(KEY_SET, set.id.to_string()) }
    }
}

impl From<&Token> for Target {
    fn from(token: &Token) -> Self {
        Self::named(TOKEN, token.id.as_str(), &token.name)
    }
}

impl From<&Org> for Target {
    fn from(org: &Org) -> Self {
        Self::named(ORG, org.id.as_str(), &org.name)
    }
}

/// One row of the audit trail. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its own id: a UUID.
    pub id: String,
    /// The id of the org it happened in; `None` when it was no org's.
    pub org: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The name of its type. Rows of a newer version may have one that is no [`EventType`].
    pub kind: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it was refused or has failed, as the caller was told.
    pub reason: Option<String>,
    /// Who did it.
    pub who: Who,
    /// Where the request came from: an IP address.
    pub address: Option<String>,
    /// The id of the request, which its answer carried.
    pub request_id: Option<String>,
    /// What it was done to.
    pub targets: Vec<Target>,
}

/// A row with its place in the order of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its number. The numbers rise, and some are left out.
    pub seq: i64,
    /// What happened.
    pub event: Event,
}

/// Who does something, and from where.
#[derive(Debug)]
pub struct Origin {
    /// Who.
    pub who: Who,
    /// Where a request came from.
    pub address: Option<IpAddr>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// When it came.
    pub at: Timestamp,
    /// Random bytes, of which the ids of its events are made: a write may be run again, and draws nothing then.
    pub seed: [u8; 16],
}

impl Origin {
    /// The `number`th thing that was done by it.
    #[must_use]
    pub fn done(&self, number: u32, org: Option<&OrgId>, kind: EventType, targets: Vec<Target>) -> Event {
        Event {
            id: event_id(self.seed, number),
            org: org.map(OrgId::to_string),
            at: self.at,
            kind: kind.name().to_owned(),
            outcome: Outcome::Success,
            reason: None,
            who: self.who.clone(),
            address: self.address.map(|address| address.to_string()),
            request_id: self.request_id.clone(),
            targets,
        }
    }
}

/// A caller with a token, and the request that came from there. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The org in which the token acts.
    pub org: OrgId,
    /// Who and from where.
    pub origin: Arc<Origin>,
}

impl Actor {
    /// What was done.
    #[must_use]
    pub fn done(&self, kind: EventType, targets: Vec<Target>) -> Event {
        self.also_done(0, kind, targets)
    }

    /// What else was done by the same request, `number` of 1 and more.
    #[must_use]
    pub fn also_done(&self, number: u32, kind: EventType, targets: Vec<Target>) -> Event {
        self.origin.done(number, Some(&self.org), kind, targets)
    }

    /// What was refused, or has failed. `reason` is what the caller was told.
    #[must_use]
    pub fn failed(&self, kind: EventType, targets: Vec<Target>, reason: &str) -> Event {
        // It may have been done all the same, under number 0.
        let event = self.also_done(u32::MAX, kind, targets);
        // PostgreSQL cannot store U+0000, and no terminal should get any of the others.
        let clean = reason.chars().take(LONGEST_REASON);
        let clean = clean.map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
        Event { outcome: Outcome::Failure, reason: Some(clean.collect()), ..event }
    }
}

/// A UUID of the seed, another one for each number.
fn event_id(seed: [u8; 16], number: u32) -> String {
    let id = u128::from_be_bytes(seed) ^ u128::from(number);
    // Version and variant are those of random UUIDs (RFC 9562 §5.4), which this is but for the number.
    let id = id & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    Uuid::from_u128(id).hyphenated().to_string()
}

/// A place in the order of events, to go on from. The id tells whether the number is still that of the same event: a
/// copy of the database numbers anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The number of the event.
    pub seq: i64,
    /// Its id.
    pub id: String,
}

impl Cursor {
    /// The place of an event.
    #[must_use]
    pub fn of(recorded: &Recorded) -> Self {
        Self { seq: recorded.seq, id: recorded.event.id.clone() }
    }

    /// Reads one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, id) = text.split_once('_')?;
        let seq = seq.parse().ok().filter(|seq| *seq >= 0)?;
        let id = Uuid::try_parse(id).ok()?.hyphenated().to_string();
        Some(Self { seq, id })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}", self.seq, self.id)
    }
}

/// Which events are asked for, and in what order.
#[derive(Debug, Clone)]
pub struct Query {
    /// Those of this org; `None` for those of all and of none.
    pub org: Option<OrgId>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Of these types and outcomes.
    pub selection: filter::Selection,
    /// The latest first.
    pub newest_first: bool,
    /// Those that come after this one, in that order.
    pub after: Option<Cursor>,
    /// So many at most.
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_events_are_random_uuids_and_all_different() {
        for seed in [[0; 16], [0xff; 16]] {
            let ids: Vec<_> = [0, 1, 2, u32::MAX].iter().map(|number| event_id(seed, *number)).collect();
            for (n, id) in ids.iter().enumerate() {
                assert_eq!(id.as_bytes()[14], b'4', "{id}");
                assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
                assert!(!ids[..n].contains(id), "{id}");
            }
        }
    }

    #[test]
    fn a_cursor_reads_back_and_anything_else_is_none() {
        let cursor = Cursor { seq: 7, id: event_id([3; 16], 0) };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for text in ["", "7", "_", "7_", "x_", "-1_03030303-0303-4303-8303-030303030303", "7_x"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_type_has_a_name_of_its_own() {
        let mut names: Vec<_> = EventType::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), EventType::ALL.len());
    }
}
