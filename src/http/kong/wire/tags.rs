//! Tags as JSON (contract §1).

use serde::Serialize;

use crate::domain::tags::{Owner, Tagged};

/// One tag of one entity.
#[derive(Serialize)]
pub struct TaggedBody<'a> {
    entity_name: &'static str,
    entity_id: String,
    tag: &'a str,
}

impl<'a> TaggedBody<'a> {
    /// The row of a tag.
    #[must_use]
    pub fn new(tagged: &'a Tagged) -> Self {
        let (entity_name, id) = match tagged.owner {
            Owner::Key(id) => ("keys", id),
            Owner::KeySet(id) => ("key_sets", id),
        };
        Self { entity_name, entity_id: id.to_string(), tag: &tagged.tag }
    }
}
