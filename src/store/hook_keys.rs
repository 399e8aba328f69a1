//! The table `hook_keys`.

use diesel::dsl::{count_star, exists};
use diesel::prelude::*;

use super::changes::{Entity, note};
use super::conn::{Conn, on_backend};
use super::schema::{hook_keys, inline_hooks};
use super::{corrupt, from_ms};
use crate::domain::Timestamp;
use crate::domain::hook_key::HookKey;
use crate::domain::ids::{HookKeyId, KeyId, OrgId};
use crate::domain::text::DisplayName;
use crate::error::Result;

type Columns = (String, String, String, String, i64, i64, bool);

/// Selects a key with `is_used` computed from the hooks that name it.
macro_rules! columns {
    () => {
        (
            hook_keys::id,
            hook_keys::key_id,
            hook_keys::name,
            hook_keys::modulus,
            hook_keys::created_ms,
            hook_keys::updated_ms,
            exists(
                inline_hooks::table.filter(
                    inline_hooks::org_id
                        .eq(hook_keys::org_id)
                        .and(inline_hooks::hook_key_id.eq(hook_keys::id.nullable())),
                ),
            ),
        )
    };
}

fn from_columns(columns: Columns) -> Result<HookKey> {
    let (id, key_id, name, modulus, created_ms, updated_ms, is_used) = columns;
    let wrong = |column| corrupt("hook_keys", &id, column);
    Ok(HookKey {
        id: HookKeyId::parse(&id).ok_or_else(|| wrong("id"))?,
        key_id: KeyId::parse(&key_id).ok_or_else(|| wrong("key_id"))?,
        name,
        modulus,
        created: from_ms(created_ms, "hook_keys", &id, "created_ms")?,
        last_updated: from_ms(updated_ms, "hook_keys", &id, "updated_ms")?,
        is_used,
    })
}

/// The key of this id.
pub fn find(conn: &mut Conn, org: &OrgId, id: &HookKeyId) -> Result<Option<HookKey>> {
    let row = on_backend!(conn, |c| hook_keys::table
        .filter(hook_keys::org_id.eq(org.as_str()).and(hook_keys::id.eq(id.as_str())))
        .select(columns!())
        .first::<Columns>(c)
        .optional())?;
    row.map(from_columns).transpose()
}

/// The key whose public half has this alias.
pub fn find_by_key_id(conn: &mut Conn, org: &OrgId, key_id: KeyId) -> Result<Option<HookKey>> {
    let row = on_backend!(conn, |c| hook_keys::table
        .filter(hook_keys::org_id.eq(org.as_str()).and(hook_keys::key_id.eq(key_id.to_string())))
        .select(columns!())
        .first::<Columns>(c)
        .optional())?;
    row.map(from_columns).transpose()
}

/// All keys of the org in creation order.
pub fn list(conn: &mut Conn, org: &OrgId) -> Result<Vec<HookKey>> {
    let rows = on_backend!(conn, |c| hook_keys::table
        .filter(hook_keys::org_id.eq(org.as_str()))
        .order(hook_keys::seq)
        .select(columns!())
        .load::<Columns>(c))?;
    rows.into_iter().map(from_columns).collect()
}

/// How many keys the org has.
pub fn count(conn: &mut Conn, org: &OrgId) -> Result<u64> {
    let of_org = hook_keys::table.filter(hook_keys::org_id.eq(org.as_str()));
    let count: i64 = on_backend!(conn, |c| of_org.select(count_star()).first(c))?;
    Ok(count.unsigned_abs())
}

/// The id of the key that has this name in the org.
pub fn id_of_name(conn: &mut Conn, org: &OrgId, name: &DisplayName) -> Result<Option<String>> {
    Ok(on_backend!(conn, |c| hook_keys::table
        .filter(hook_keys::org_id.eq(org.as_str()).and(hook_keys::name.eq(name.as_str())))
        .select(hook_keys::id)
        .first(c)
        .optional())?)
}

/// Adds a key with its sealed private half.
pub fn insert(conn: &mut Conn, org: &OrgId, key: &HookKey, private_key: &[u8]) -> Result<()> {
    on_backend!(conn, |c| diesel::insert_into(hook_keys::table)
        .values((
            hook_keys::id.eq(key.id.as_str()),
            hook_keys::org_id.eq(org.as_str()),
            hook_keys::key_id.eq(key.key_id.to_string()),
            hook_keys::name.eq(&key.name),
            hook_keys::modulus.eq(&key.modulus),
            hook_keys::private_key.eq(private_key),
            hook_keys::created_ms.eq(key.created.timestamp_millis()),
            hook_keys::updated_ms.eq(key.last_updated.timestamp_millis()),
        ))
        .execute(c))?;
    note(conn, Some(org), Entity::HookKey, key.id.as_str())
}

/// Renames a key.
pub fn rename(
    conn: &mut Conn,
    org: &OrgId,
    id: &HookKeyId,
    name: &DisplayName,
    now: Timestamp,
) -> Result<()> {
    let this = hook_keys::org_id.eq(org.as_str()).and(hook_keys::id.eq(id.as_str()));
    on_backend!(conn, |c| diesel::update(hook_keys::table.filter(this))
        .set((hook_keys::name.eq(name.as_str()), hook_keys::updated_ms.eq(now.timestamp_millis())))
        .execute(c))?;
    note(conn, Some(org), Entity::HookKey, id.as_str())
}

/// Removes a key. False when there is no such key; an error when a hook names it.
pub fn delete(conn: &mut Conn, org: &OrgId, id: &HookKeyId) -> Result<bool> {
    let this = hook_keys::org_id.eq(org.as_str()).and(hook_keys::id.eq(id.as_str()));
    let deleted = on_backend!(conn, |c| diesel::delete(hook_keys::table.filter(this)).execute(c))?;
    if deleted == 0 {
        return Ok(false);
    }
    note(conn, Some(org), Entity::HookKey, id.as_str())?;
    Ok(true)
}

/// The sealed private half of a key, with the alias of its public half.
pub fn sealed_private_key(conn: &mut Conn, org: &OrgId, id: &HookKeyId) -> Result<Option<(String, Vec<u8>)>> {
    Ok(on_backend!(conn, |c| hook_keys::table
        .filter(hook_keys::org_id.eq(org.as_str()).and(hook_keys::id.eq(id.as_str())))
        .select((hook_keys::key_id, hook_keys::private_key))
        .first(c)
        .optional())?)
}
