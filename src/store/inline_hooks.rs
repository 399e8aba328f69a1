//! The table `inline_hooks`: which hooks use which hook key.

use diesel::prelude::*;

use super::conn::Conn;
use super::schema::inline_hooks;
use crate::domain::ids::{HookKeyId, OrgId};
use crate::error::Result;

/// Id and name of each hook that names the key, in creation order.
pub fn holding(conn: &mut Conn, org: &OrgId, key: &HookKeyId) -> Result<Vec<(String, String)>> {
    let held = inline_hooks::org_id.eq(org.as_str()).and(inline_hooks::hook_key_id.eq(key.as_str()));
    Ok(inline_hooks::table
        .filter(held)
        .select((inline_hooks::id, inline_hooks::name))
        .order(inline_hooks::seq)
        .load(conn)?)
}
