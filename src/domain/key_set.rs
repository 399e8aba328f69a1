//! Key sets: named groups of keys.

use super::change::Change;
use super::clock::Timestamp;
use super::ids::EntityId;
use super::tags::Tags;
use crate::error::Violations;

/// What messages call a key set.
pub const RESOURCE: &str = "KeySet";

/// A key set.
#[derive(Debug, Clone)]
pub struct KeySet {
    /// Its id.
    pub id: EntityId,
    /// Unique among the key sets of its org; many may have none.
    pub name: Option<String>,
    /// Its tags.
    pub tags: Option<Tags>,
    /// When it was made, or when its maker said it was.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// What a request says about a key set.
#[derive(Debug, Clone, Default)]
pub struct KeySetDraft {
    /// The id that the client has chosen.
    pub id: Option<EntityId>,
    /// The name.
    pub name: Change<String>,
    /// The tags.
    pub tags: Change<Tags>,
    /// The time of birth, as the client tells it.
    pub created: Option<Timestamp>,
    /// What is wrong with single fields. They are told together with what is wrong with the whole.
    pub violations: Violations,
}
