//! The table `keys`.

use diesel::dsl::count_star;
use diesel::prelude::*;

use super::changes::{Entity, note};
use super::conn::{Conn, on_backend};
use super::schema::{keys, tags};
use super::tags::{filter_by_tags, from_column, to_column};
use super::{corrupt, from_ms};
use crate::domain::Timestamp;
use crate::domain::ids::{EntityId, OrgId};
use crate::domain::key::{Selector, is_reference};
use crate::domain::page::{Page, PageRequest};
use crate::domain::tags::{Owner, TagFilter, Tags};
use crate::error::Result;

#[derive(Queryable)]
struct Row {
    id: String,
    set_id: Option<String>,
    name: Option<String>,
    kid: String,
    jwk: Option<String>,
    pem_public: Option<String>,
    pem_reference: Option<String>,
    private_key: Option<Vec<u8>>,
    tags: Option<String>,
    created_ms: i64,
    updated_ms: i64,
}

/// A key as it is stored, its private half sealed.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its id.
    pub id: EntityId,
    /// Its key set.
    pub set: Option<EntityId>,
    /// Its name.
    pub name: Option<String>,
    /// Its key id.
    pub kid: String,
    /// What it is made of.
    pub material: Material,
    /// Its tags.
    pub tags: Option<Tags>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last written.
    pub updated: Timestamp,
}

/// What a key is made of: a JWK or a PEM. A vault reference as `jwk` may have a PEM beside it.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// The JWK without its private members.
    pub jwk: Option<String>,
    /// The public half as PEM.
    pub pem_public: Option<String>,
    /// A vault reference in the place of the private half as PEM.
    pub pem_reference: Option<String>,
    /// Whatever holds the private half, sealed: the JWK, or the private PEM.
    pub private: Option<Vec<u8>>,
}

impl Material {
    /// Whether the key is a JWK, and no reference to one: then the private half is the JWK's.
    #[must_use]
    pub fn is_jwk(&self) -> bool {
        self.jwk.as_deref().is_some_and(|jwk| !is_reference(jwk))
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = [&self.jwk, &self.pem_public, &self.pem_reference].into_iter().flatten();
        texts.map(String::len).sum::<usize>() + self.private.as_ref().map_or(0, Vec::len)
    }

    /// Whether the key is a PEM.
    #[must_use]
    pub fn is_pem(&self) -> bool {
        let private = self.private.is_some() && !self.is_jwk();
        private || self.pem_public.is_some() || self.pem_reference.is_some()
    }
}

macro_rules! columns {
    () => {
        (
            keys::id,
            keys::set_id,
            keys::name,
            keys::kid,
            keys::jwk,
            keys::pem_public,
            keys::pem_reference,
            keys::private_key,
            keys::tags,
            keys::created_ms,
            keys::updated_ms,
        )
    };
}

/// The columns that change, with their values.
macro_rules! values {
    ($key:ident) => {
        (
            keys::set_id.eq($key.set.map(|set| set.to_string())),
            keys::name.eq(&$key.name),
            keys::kid.eq(&$key.kid),
            keys::jwk.eq(&$key.material.jwk),
            keys::pem_public.eq(&$key.material.pem_public),
            keys::pem_reference.eq(&$key.material.pem_reference),
            keys::private_key.eq(&$key.material.private),
            keys::tags.eq(to_column($key.tags.as_ref())?),
            keys::created_ms.eq($key.created.timestamp_millis()),
            keys::updated_ms.eq($key.updated.timestamp_millis()),
        )
    };
}

fn from_row(row: Row) -> Result<Stored> {
    let wrong = |column| corrupt("keys", &row.id, column);
    let id = |text: &str, column| EntityId::parse(text).ok_or_else(|| wrong(column));
    Ok(Stored {
        id: id(&row.id, "id")?,
        set: row.set_id.as_deref().map(|set| id(set, "set_id")).transpose()?,
        tags: from_column(row.tags, "keys", &row.id)?,
        created: from_ms(row.created_ms, "keys", &row.id, "created_ms")?,
        updated: from_ms(row.updated_ms, "keys", &row.id, "updated_ms")?,
        name: row.name,
        kid: row.kid,
        material: Material {
            jwk: row.jwk,
            pem_public: row.pem_public,
            pem_reference: row.pem_reference,
            private: row.private_key,
        },
    })
}

/// The key of this id or name.
pub fn find(conn: &mut Conn, org: &OrgId, selector: &Selector) -> Result<Option<Stored>> {
    let of_org = keys::table.filter(keys::org_id.eq(org.as_str())).select(columns!());
    let row = match selector {
        Selector::Id(id) => {
            let this = of_org.filter(keys::id.eq(id.to_string()));
            on_backend!(conn, |c| this.first::<Row>(c))
        }
        // Nothing has such a name, and PostgreSQL does not even take the question.
        Selector::Name(name) if name.contains('\0') => return Ok(None),
        Selector::Name(name) => {
            let this = of_org.filter(keys::name.eq(name));
            on_backend!(conn, |c| this.first::<Row>(c))
        }
    };
    row.optional()?.map(from_row).transpose()
}

/// How many keys the org has.
pub fn count(conn: &mut Conn, org: &OrgId) -> Result<u64> {
    let of_org = keys::table.filter(keys::org_id.eq(org.as_str()));
    Ok(on_backend!(conn, |c| of_org.select(count_star()).first::<i64>(c))?.unsigned_abs())
}

/// The id of the key that has this kid in the set, or among the keys without one.
pub fn id_of_kid(conn: &mut Conn, org: &OrgId, set: Option<EntityId>, kid: &str) -> Result<Option<String>> {
    let of_org = keys::table.filter(keys::org_id.eq(org.as_str()).and(keys::kid.eq(kid))).select(keys::id);
    let id = match set {
        Some(set) => {
            let this = of_org.filter(keys::set_id.eq(set.to_string()));
            on_backend!(conn, |c| this.first(c))
        }
        None => on_backend!(conn, |c| of_org.filter(keys::set_id.is_null()).first(c)),
    };
    Ok(id.optional()?)
}

/// A part of the org's keys, or of the keys of one set, by rising id.
pub fn page(
    conn: &mut Conn,
    org: &OrgId,
    set: Option<EntityId>,
    filter: Option<&TagFilter>,
    request: &PageRequest<EntityId>,
) -> Result<Page<Stored, EntityId>> {
    let rows = on_backend!(conn, |c| {
        let mut query = keys::table
            .filter(keys::org_id.eq(org.as_str()))
            .order(keys::id)
            .limit(i64::from(request.size) + 1)
            .select(columns!())
            .into_boxed();
        if let Some(set) = set {
            query = query.filter(keys::set_id.eq(set.to_string()));
        }
        if let Some(after) = request.after {
            query = query.filter(keys::id.gt(after.to_string()));
        }
        filter_by_tags!(query, filter, org, keys::id, tags::key_id);
        query.load::<Row>(c)
    })?;
    let all = rows.into_iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::cut(all, request.size, |key| key.id))
}

/// Adds a key.
pub fn insert(conn: &mut Conn, org: &OrgId, key: &Stored) -> Result<()> {
    on_backend!(conn, |c| diesel::insert_into(keys::table)
        .values((keys::id.eq(key.id.to_string()), keys::org_id.eq(org.as_str()), values!(key)))
        .execute(c))?;
    note(conn, Some(org), Entity::Key, &key.id.to_string())?;
    super::tags::replace(conn, org, Owner::Key(key.id), key.tags.as_ref())
}

/// Writes all of a key in the place of `old`, which is there.
pub fn replace(conn: &mut Conn, org: &OrgId, old: &Stored, key: &Stored) -> Result<()> {
    let this = keys::org_id.eq(org.as_str()).and(keys::id.eq(key.id.to_string()));
    on_backend!(conn, |c| diesel::update(keys::table.filter(this)).set(values!(key)).execute(c))?;
    note(conn, Some(org), Entity::Key, &key.id.to_string())?;
    if old.tags == key.tags {
        return Ok(());
    }
    super::tags::replace(conn, org, Owner::Key(key.id), key.tags.as_ref())
}

/// Puts a key into a key set.
pub fn set_key_set(conn: &mut Conn, org: &OrgId, id: EntityId, set: EntityId, now: Timestamp) -> Result<()> {
    let this = keys::org_id.eq(org.as_str()).and(keys::id.eq(id.to_string()));
    let change = (keys::set_id.eq(set.to_string()), keys::updated_ms.eq(now.timestamp_millis()));
    on_backend!(conn, |c| diesel::update(keys::table.filter(this)).set(change).execute(c))?;
    note(conn, Some(org), Entity::Key, &id.to_string())
}

/// The id, `kid` and name of every key in a key set.
pub fn names_in(
    conn: &mut Conn,
    org: &OrgId,
    set: EntityId,
) -> Result<Vec<(String, String, Option<String>)>> {
    let within = keys::org_id.eq(org.as_str()).and(keys::set_id.eq(set.to_string()));
    let names = keys::table.filter(within).order(keys::id).select((keys::id, keys::kid, keys::name));
    Ok(on_backend!(conn, |c| names.load(c))?)
}

/// Removes a key.
pub fn delete(conn: &mut Conn, org: &OrgId, id: EntityId) -> Result<()> {
    let this = keys::org_id.eq(org.as_str()).and(keys::id.eq(id.to_string()));
    on_backend!(conn, |c| diesel::delete(keys::table.filter(this)).execute(c))?;
    note(conn, Some(org), Entity::Key, &id.to_string())
}
