//! The table `changes`: what was written, in the order of commits. Only one transaction writes at a time, so a row
//! that is seen has none before it that is not.

use diesel::prelude::*;

use super::conn::{Conn, on_backend};
use super::schema::changes;
use crate::domain::ids::OrgId;
use crate::error::Result;

/// What a change is a change of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    /// An org; when it was deleted, all that belonged to it went with it.
    Org,
    /// An API token.
    ApiToken,
    /// A term of the keyring.
    Keyring,
    /// A hook key.
    HookKey,
    /// An inline hook.
    InlineHook,
    /// A key set; when it was deleted, its keys went with it.
    KeySet,
    /// A key that was brought from elsewhere.
    Key,
}

/// A change that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place in the order of all changes.
    pub rev: i64,
    /// The id of the org to which it belongs, where that was at hand.
    pub org: Option<String>,
    /// What was changed; `None` for what a newer version notes and this one does not know.
    pub entity: Option<Entity>,
    /// The id of what was changed.
    pub id: String,
}

impl Entity {
    pub(crate) const ALL: [(Self, &'static str); 7] = [
        (Self::Org, "orgs"),
        (Self::ApiToken, "api_tokens"),
        (Self::Keyring, "keyring"),
        (Self::HookKey, "hook_keys"),
        (Self::InlineHook, "inline_hooks"),
        (Self::KeySet, "key_sets"),
        (Self::Key, "keys"),
    ];

    fn table(self) -> &'static str {
        Self::ALL.iter().find(|(entity, _)| *entity == self).map_or("", |(_, table)| table)
    }
}

/// Notes a change in the transaction that makes it.
pub(super) fn note(conn: &mut Conn, org: Option<&OrgId>, entity: Entity, id: &str) -> Result<()> {
    let row =
        (changes::org_id.eq(org.map(OrgId::as_str)), changes::entity.eq(entity.table()), changes::id.eq(id));
    on_backend!(conn, |c| diesel::insert_into(changes::table).values(row).execute(c))?;
    Ok(())
}

/// What a row says that stands for everything. It is no table, so that whoever reads it takes nothing for true that was
/// read before.
const EVERYTHING: &str = "everything";

/// Notes that all rows came at once, from elsewhere. `id` is drawn for it: processes that had followed another state of
/// this database tell the two apart by it.
pub fn note_arrival(conn: &mut Conn, id: &str) -> Result<()> {
    let row = (changes::entity.eq(EVERYTHING), changes::id.eq(id));
    on_backend!(conn, |c| diesel::insert_into(changes::table).values(row).execute(c))?;
    Ok(())
}

type Columns = (i64, Option<String>, String, String);

const COLUMNS: (changes::rev, changes::org_id, changes::entity, changes::id) =
    (changes::rev, changes::org_id, changes::entity, changes::id);

fn from_columns((rev, org, table, id): Columns) -> Change {
    let known = Entity::ALL.into_iter().find(|(_, known)| *known == table);
    Change { rev, org, entity: known.map(|(entity, _)| entity), id }
}

/// The newest change.
pub fn newest(conn: &mut Conn) -> Result<Option<Change>> {
    let newest = changes::table.order(changes::rev.desc()).select(COLUMNS);
    Ok(on_backend!(conn, |c| newest.first::<Columns>(c)).optional()?.map(from_columns))
}

/// Up to `limit` changes from number `rev` on, oldest first.
pub fn from(conn: &mut Conn, rev: i64, limit: usize) -> Result<Vec<Change>> {
    let rows = changes::table
        .filter(changes::rev.ge(rev))
        .order(changes::rev)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .select(COLUMNS);
    Ok(on_backend!(conn, |c| rows.load::<Columns>(c))?.into_iter().map(from_columns).collect())
}

/// Forgets the changes up to and with `rev`.
pub fn forget(conn: &mut Conn, rev: i64) -> Result<()> {
    on_backend!(conn, |c| diesel::delete(changes::table.filter(changes::rev.le(rev))).execute(c))?;
    Ok(())
}
