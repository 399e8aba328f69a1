//! Key sets as JSON and as forms (contract §2).

use serde::Serialize;

use super::Fields;
use crate::domain::key_set::{KeySet, KeySetDraft};
use crate::domain::tags::Tags;

/// A key set.
#[derive(Serialize)]
pub struct KeySetBody<'a> {
    created_at: i64,
    id: String,
    name: Option<&'a str>,
    tags: Option<&'a [String]>,
    updated_at: i64,
}

impl<'a> KeySetBody<'a> {
    /// The body of a key set.
    #[must_use]
    pub fn new(set: &'a KeySet) -> Self {
        Self {
            created_at: set.created.timestamp(),
            id: set.id.to_string(),
            name: set.name.as_deref(),
            tags: set.tags.as_ref().map(Tags::as_slice),
            updated_at: set.updated.timestamp(),
        }
    }
}

/// Reads a key set.
#[must_use]
pub fn draft(mut fields: Fields) -> KeySetDraft {
    KeySetDraft {
        id: fields.id(),
        name: fields.name("name"),
        tags: fields.tags(),
        created: fields.created(),
        violations: fields.finish(),
    }
}
