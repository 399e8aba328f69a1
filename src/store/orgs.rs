//! The table `orgs`.

use diesel::prelude::*;

use super::changes::{Entity, note};
use super::conn::{Conn, on_backend};
use super::schema::orgs;
use super::{corrupt, from_ms};
use crate::domain::ids::OrgId;
use crate::domain::org::Org;
use crate::error::{Error, Result};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = orgs)]
struct Row {
    id: String,
    name: String,
    hook_key_limit: Option<i64>,
    created_ms: i64,
}

impl TryFrom<Row> for Org {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let wrong = |column| corrupt("orgs", &row.id, column);
        let limit = row.hook_key_limit.map(u32::try_from).transpose();
        Ok(Self {
            id: OrgId::parse(&row.id).ok_or_else(|| wrong("id"))?,
            hook_key_limit: limit.map_err(|_| wrong("hook_key_limit"))?,
            created: from_ms(row.created_ms, "orgs", &row.id, "created_ms")?,
            name: row.name,
        })
    }
}

/// Adds an org.
pub fn insert(conn: &mut Conn, org: &Org) -> Result<()> {
    let row = Row {
        id: org.id.to_string(),
        name: org.name.clone(),
        hook_key_limit: org.hook_key_limit.map(i64::from),
        created_ms: org.created.timestamp_millis(),
    };
    on_backend!(conn, |c| diesel::insert_into(orgs::table).values(row).execute(c))?;
    note(conn, Some(&org.id), Entity::Org, org.id.as_str())
}

/// All orgs, by name.
pub fn list(conn: &mut Conn) -> Result<Vec<Org>> {
    let rows = on_backend!(conn, |c| orgs::table.select(Row::as_select()).order(orgs::name).load(c))?;
    rows.into_iter().map(Org::try_from).collect()
}

/// The org of this name.
pub fn find_by_name(conn: &mut Conn, name: &str) -> Result<Option<Org>> {
    let row = on_backend!(conn, |c| orgs::table
        .filter(orgs::name.eq(name))
        .select(Row::as_select())
        .first(c)
        .optional())?;
    row.map(Org::try_from).transpose()
}

/// The org of this id.
pub fn find(conn: &mut Conn, id: &OrgId) -> Result<Option<Org>> {
    let row =
        on_backend!(conn, |c| orgs::table.find(id.as_str()).select(Row::as_select()).first(c).optional())?;
    row.map(Org::try_from).transpose()
}

/// Sets or clears the org's own limit of hook keys.
pub fn set_hook_key_limit(conn: &mut Conn, id: &OrgId, limit: Option<u32>) -> Result<()> {
    on_backend!(conn, |c| diesel::update(orgs::table.find(id.as_str()))
        .set(orgs::hook_key_limit.eq(limit.map(i64::from)))
        .execute(c))?;
    note(conn, Some(id), Entity::Org, id.as_str())
}

/// Removes the org and all that belongs to it.
pub fn delete(conn: &mut Conn, id: &OrgId) -> Result<()> {
    on_backend!(conn, |c| diesel::delete(orgs::table.find(id.as_str())).execute(c))?;
    note(conn, Some(id), Entity::Org, id.as_str())
}
