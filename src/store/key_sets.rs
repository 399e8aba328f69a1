//! The table `key_sets`.

use diesel::prelude::*;

use super::changes::{Entity, note};
use super::conn::{Conn, on_backend};
use super::schema::{key_sets, tags};
use super::tags::{filter_by_tags, from_column, to_column};
use super::{corrupt, from_ms};
use crate::domain::ids::{EntityId, OrgId};
use crate::domain::key::Selector;
use crate::domain::key_set::KeySet;
use crate::domain::page::{Page, PageRequest};
use crate::domain::tags::{Owner, TagFilter};
use crate::error::Result;

type Columns = (String, Option<String>, Option<String>, i64, i64);

const COLUMNS: (key_sets::id, key_sets::name, key_sets::tags, key_sets::created_ms, key_sets::updated_ms) =
    (key_sets::id, key_sets::name, key_sets::tags, key_sets::created_ms, key_sets::updated_ms);

fn from_columns((id, name, tags, created_ms, updated_ms): Columns) -> Result<KeySet> {
    Ok(KeySet {
        tags: from_column(tags, "key_sets", &id)?,
        created: from_ms(created_ms, "key_sets", &id, "created_ms")?,
        updated: from_ms(updated_ms, "key_sets", &id, "updated_ms")?,
        id: EntityId::parse(&id).ok_or_else(|| corrupt("key_sets", &id, "id"))?,
        name,
    })
}

/// The key set of this id or name.
pub fn find(conn: &mut Conn, org: &OrgId, selector: &Selector) -> Result<Option<KeySet>> {
    let of_org = key_sets::table.filter(key_sets::org_id.eq(org.as_str())).select(COLUMNS);
    let row = match selector {
        Selector::Id(id) => {
            let this = of_org.filter(key_sets::id.eq(id.to_string()));
            on_backend!(conn, |c| this.first::<Columns>(c))
        }
        // Nothing has such a name, and PostgreSQL does not even take the question.
        Selector::Name(name) if name.contains('\0') => return Ok(None),
        Selector::Name(name) => {
            let this = of_org.filter(key_sets::name.eq(name));
            on_backend!(conn, |c| this.first::<Columns>(c))
        }
    };
    row.optional()?.map(from_columns).transpose()
}

/// A part of the org's key sets, by rising id.
pub fn page(
    conn: &mut Conn,
    org: &OrgId,
    filter: Option<&TagFilter>,
    request: &PageRequest<EntityId>,
) -> Result<Page<KeySet, EntityId>> {
    let rows = on_backend!(conn, |c| {
        let mut query = key_sets::table
            .filter(key_sets::org_id.eq(org.as_str()))
            .order(key_sets::id)
            .limit(i64::from(request.size) + 1)
            .select(COLUMNS)
            .into_boxed();
        if let Some(after) = request.after {
            query = query.filter(key_sets::id.gt(after.to_string()));
        }
        filter_by_tags!(query, filter, org, key_sets::id, tags::set_id);
        query.load::<Columns>(c)
    })?;
    let sets = rows.into_iter().map(from_columns).collect::<Result<Vec<_>>>()?;
    Ok(Page::cut(sets, request.size, |set| set.id))
}

/// Adds a key set.
pub fn insert(conn: &mut Conn, org: &OrgId, set: &KeySet) -> Result<()> {
    on_backend!(conn, |c| diesel::insert_into(key_sets::table)
        .values((
            key_sets::id.eq(set.id.to_string()),
            key_sets::org_id.eq(org.as_str()),
            key_sets::name.eq(&set.name),
            key_sets::tags.eq(to_column(set.tags.as_ref())?),
            key_sets::created_ms.eq(set.created.timestamp_millis()),
            key_sets::updated_ms.eq(set.updated.timestamp_millis()),
        ))
        .execute(c))?;
    note(conn, Some(org), Entity::KeySet, &set.id.to_string())?;
    super::tags::replace(conn, org, Owner::KeySet(set.id), set.tags.as_ref())
}

/// Writes all of a key set in the place of `old`, which is there.
pub fn replace(conn: &mut Conn, org: &OrgId, old: &KeySet, set: &KeySet) -> Result<()> {
    let this = key_sets::org_id.eq(org.as_str()).and(key_sets::id.eq(set.id.to_string()));
    on_backend!(conn, |c| diesel::update(key_sets::table.filter(this))
        .set((
            key_sets::name.eq(&set.name),
            key_sets::tags.eq(to_column(set.tags.as_ref())?),
            key_sets::created_ms.eq(set.created.timestamp_millis()),
            key_sets::updated_ms.eq(set.updated.timestamp_millis()),
        ))
        .execute(c))?;
    note(conn, Some(org), Entity::KeySet, &set.id.to_string())?;
    if old.tags == set.tags {
        return Ok(());
    }
    super::tags::replace(conn, org, Owner::KeySet(set.id), set.tags.as_ref())
}

/// Removes a key set, its keys with it.
pub fn delete(conn: &mut Conn, org: &OrgId, id: EntityId) -> Result<()> {
    let this = key_sets::org_id.eq(org.as_str()).and(key_sets::id.eq(id.to_string()));
    on_backend!(conn, |c| diesel::delete(key_sets::table.filter(this)).execute(c))?;
    note(conn, Some(org), Entity::KeySet, &id.to_string())
}
