//! The table `tags`: who has which.

use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};

use super::conn::{Conn, on_backend};
use super::corrupt;
use super::schema::tags;
use crate::domain::ids::{EntityId, OrgId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::tags::{Owner, Tagged, Tags};
use crate::error::Result;

diesel::define_sql_function! {
    /// The first of the two that is not NULL.
    fn coalesce(one: Nullable<Text>, other: Nullable<Text>) -> Text;
}

/// All tags of the org, or all uses of one of them.
pub fn page(
    conn: &mut Conn,
    org: &OrgId,
    tag: Option<&str>,
    request: &PageRequest<Tagged>,
) -> Result<Page<Tagged, Tagged>> {
    // Nothing has such a tag, and PostgreSQL does not even take the question.
    if tag.is_some_and(|tag| tag.contains('\0')) {
        return Ok(Page { rows: Vec::new(), next: None });
    }
    let id = || coalesce(tags::key_id, tags::set_id);
    let rows = on_backend!(conn, |c| {
        let mut query = tags::table
            .filter(tags::org_id.eq(org.as_str()))
            .order((tags::tag, id(), tags::set_id.is_not_null()))
            .limit(i64::from(request.size) + 1)
            .select((tags::key_id, tags::set_id, tags::tag))
            .into_boxed();
        if let Some(tag) = tag {
            query = query.filter(tags::tag.eq(tag));
        }
        if let Some(Tagged { owner, tag }) = &request.after {
            let (last, is_key) = match owner {
                Owner::Key(id) => (id.to_string(), true),
                Owner::KeySet(id) => (id.to_string(), false),
            };
            // A key set with the id of the last key comes after it.
            let twin = id().eq(last.clone()).and(tags::set_id.is_not_null()).and(is_key.into_sql::<Bool>());
            let same_tag = tags::tag.eq(tag).and(id().gt(last).or(twin));
            query = query.filter(tags::tag.gt(tag).or(same_tag));
        }
        query.load::<(Option<String>, Option<String>, String)>(c)
    })?;
    let rows = rows.into_iter().map(|(key, set, tag)| {
        let owner = match (key, set) {
            (Some(id), _) => Owner::Key(entity(&id)?),
            (None, Some(id)) => Owner::KeySet(entity(&id)?),
            (None, None) => return Err(corrupt("tags", &tag, "key_id")),
        };
        Ok(Tagged { owner, tag })
    });
    Ok(Page::cut(rows.collect::<Result<_>>()?, request.size, Tagged::clone))
}

fn entity(id: &str) -> Result<EntityId> {
    EntityId::parse(id).ok_or_else(|| corrupt("tags", id, "key_id or set_id"))
}

/// Makes `new` the tags of an entity.
pub(super) fn replace(conn: &mut Conn, org: &OrgId, owner: Owner, new: Option<&Tags>) -> Result<()> {
    let (key, set) = match owner {
        Owner::Key(id) => (Some(id.to_string()), None),
        Owner::KeySet(id) => (None, Some(id.to_string())),
    };
    let of_org = tags::table.filter(tags::org_id.eq(org.as_str()));
    match (&key, &set) {
        (Some(key), _) => {
            on_backend!(conn, |c| diesel::delete(of_org.filter(tags::key_id.eq(key))).execute(c))?
        }
        (None, set) => on_backend!(conn, |c| diesel::delete(of_org.filter(tags::set_id.eq(set))).execute(c))?,
    };
    let rows: Vec<_> = new
        .map(Tags::as_slice)
        .unwrap_or_default()
        .iter()
        .map(|tag| {
            (tags::org_id.eq(org.as_str()), tags::key_id.eq(&key), tags::set_id.eq(&set), tags::tag.eq(tag))
        })
        .collect();
    on_backend!(conn, |c| diesel::insert_into(tags::table).values(rows).execute(c))?;
    Ok(())
}

/// Tags as one column: JSON.
pub(super) fn to_column(tags: Option<&Tags>) -> Result<Option<String>> {
    let json = tags.map(|tags| serde_json::to_string(tags.as_slice())).transpose();
    json.map_err(|error| crate::error::Error::internal("encoding tags", error))
}

pub(super) fn from_column(column: Option<String>, table: &str, id: &str) -> Result<Option<Tags>> {
    let list = column.map(|json| serde_json::from_str(&json)).transpose();
    Ok(list.map_err(|_| corrupt(table, id, "tags"))?.map(Tags::stored))
}

/// Keeps of a boxed query the rows whose entity passes a tag filter; `$own` is the column of `tags` that names
/// the entity.
macro_rules! filter_by_tags {
    ($query:ident, $filter:expr, $org:expr, $id:expr, $own:expr) => {
        let having = || {
            tags::table
                .filter(tags::org_id.eq($org.as_str()).and($own.is_not_null()))
                .select($own.assume_not_null())
        };
        match $filter {
            None => {}
            Some(TagFilter::All(all)) => {
                for tag in all {
                    $query = $query.filter($id.eq_any(having().filter(tags::tag.eq(tag))));
                }
            }
            Some(TagFilter::Any(any)) => {
                $query = $query.filter($id.eq_any(having().filter(tags::tag.eq_any(any))));
            }
        }
    };
}
pub(super) use filter_by_tags;
