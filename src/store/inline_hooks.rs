//! The table `inline_hooks`.

use diesel::dsl::count_star;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::changes::{Entity, note};
use super::conn::{Conn, on_backend};
use super::schema::inline_hooks;
use super::{corrupt, from_ms};
use crate::domain::channel::{Auth, Channel, Client, HookUrl, HookVersion};
use crate::domain::ids::{HookKeyId, InlineHookId, OrgId};
use crate::domain::inline_hook::{HookStatus, HookType, InlineHook};
use crate::domain::text::DisplayName;
use crate::error::{Error, Result};

const TABLE: &str = "inline_hooks";

/// A hook as it is stored: what is secret is sealed, and the headers of the channel are not filled in.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The hook, with no headers in its channel.
    pub hook: InlineHook,
    /// The sealed headers.
    pub headers: Option<Vec<u8>>,
    /// The sealed secret.
    pub secret: Option<Vec<u8>>,
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = inline_hooks, treat_none_as_null = true)]
struct Row {
    id: String,
    org_id: String,
    name: String,
    status: String,
    kind: String,
    version: String,
    channel: String,
    headers: Option<Vec<u8>>,
    secret: Option<Vec<u8>>,
    hook_key_id: Option<String>,
    created_ms: i64,
    updated_ms: i64,
}

/// The column `channel`: all that is neither secret nor a reference. At most one of the last two is there.
#[derive(Serialize, Deserialize)]
struct Config {
    version: String,
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<Scheme>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<OAuth>,
}

#[derive(Serialize, Deserialize)]
struct Scheme {
    scheme: String,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct OAuth {
    id: String,
    token_url: String,
    scope: Option<String>,
}

impl Row {
    fn new(org: &OrgId, stored: &Stored) -> Result<Self> {
        let hook = &stored.hook;
        let config = serde_json::to_string(&Config::of(&hook.channel));
        Ok(Self {
            id: hook.id.to_string(),
            org_id: org.to_string(),
            name: hook.name.clone(),
            status: hook.status.name().to_owned(),
            kind: hook.kind.name().to_owned(),
            version: hook.version.as_str().to_owned(),
            channel: config.map_err(|error| Error::internal("storing a channel", error))?,
            headers: stored.headers.clone(),
            secret: stored.secret.clone(),
            hook_key_id: hook.channel.auth.hook_key().map(ToString::to_string),
            created_ms: hook.created.timestamp_millis(),
            updated_ms: hook.last_updated.timestamp_millis(),
        })
    }
}

impl TryFrom<Row> for Stored {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let wrong = |column| corrupt(TABLE, &row.id, column);
        let key =
            row.hook_key_id.as_deref().map(|id| HookKeyId::parse(id).ok_or_else(|| wrong("hook_key_id")));
        let config: Config = serde_json::from_str(&row.channel).map_err(|_| wrong("channel"))?;
        let channel = config.into_channel(key.transpose()?).ok_or_else(|| wrong("channel"))?;
        let hook = InlineHook {
            id: InlineHookId::parse(&row.id).ok_or_else(|| wrong("id"))?,
            status: HookStatus::parse(&row.status).ok_or_else(|| wrong("status"))?,
            kind: HookType::parse(&row.kind).map_err(|_| wrong("type"))?,
            version: HookVersion::parse("version", &row.version).map_err(|_| wrong("version"))?,
            channel,
            created: from_ms(row.created_ms, TABLE, &row.id, "created_ms")?,
            last_updated: from_ms(row.updated_ms, TABLE, &row.id, "updated_ms")?,
            name: row.name,
        };
        Ok(Self { hook, headers: row.headers, secret: row.secret })
    }
}

impl Config {
    fn of(channel: &Channel) -> Self {
        let (scheme, client) = match &channel.auth {
            Auth::None => (None, None),
            Auth::Header { scheme, key } => (Some(Scheme { scheme: scheme.clone(), key: key.clone() }), None),
            Auth::ClientSecret(client) | Auth::PrivateKeyJwt(client, _) => (
                None,
                Some(OAuth {
                    id: client.id.clone(),
                    token_url: client.token_url.as_str().to_owned(),
                    scope: client.scope.clone(),
                }),
            ),
        };
        let (version, uri) = (channel.version.as_str().to_owned(), channel.uri.as_str().to_owned());
        Self { version, uri, scheme, client }
    }

    fn into_channel(self, key: Option<HookKeyId>) -> Option<Channel> {
        let client = self.client.map(|client| Client {
            id: client.id,
            token_url: HookUrl::stored(client.token_url),
            scope: client.scope,
        });
        let auth = match (self.scheme, client, key) {
            (None, None, None) => Auth::None,
            (Some(Scheme { scheme, key }), None, None) => Auth::Header { scheme, key },
            (None, Some(client), None) => Auth::ClientSecret(client),
            (None, Some(client), Some(key)) => Auth::PrivateKeyJwt(client, key),
            _ => return None,
        };
        let version = HookVersion::parse("version", &self.version).ok()?;
        Some(Channel { version, uri: HookUrl::stored(self.uri), headers: Vec::new(), auth })
    }
}

/// The hook of this id.
pub fn find(conn: &mut Conn, org: &OrgId, id: &InlineHookId) -> Result<Option<Stored>> {
    let row = on_backend!(conn, |c| inline_hooks::table
        .filter(inline_hooks::org_id.eq(org.as_str()).and(inline_hooks::id.eq(id.as_str())))
        .select(Row::as_select())
        .first(c)
        .optional())?;
    row.map(Stored::try_from).transpose()
}

/// All hooks of the org in creation order, or only those of one type.
pub fn list(conn: &mut Conn, org: &OrgId, kind: Option<HookType>) -> Result<Vec<Stored>> {
    let rows: Vec<Row> = on_backend!(conn, |c| {
        let mut query = inline_hooks::table
            .filter(inline_hooks::org_id.eq(org.as_str()))
            .order(inline_hooks::seq)
            .select(Row::as_select())
            .into_boxed();
        if let Some(kind) = kind {
            query = query.filter(inline_hooks::kind.eq(kind.name()));
        }
        query.load(c)
    })?;
    rows.into_iter().map(Stored::try_from).collect()
}

/// How many hooks the org has.
pub fn count(conn: &mut Conn, org: &OrgId) -> Result<u64> {
    let of_org = inline_hooks::table.filter(inline_hooks::org_id.eq(org.as_str()));
    let count: i64 = on_backend!(conn, |c| of_org.select(count_star()).first(c))?;
    Ok(count.unsigned_abs())
}

/// The id of the hook that has this name in the org.
pub fn id_of_name(conn: &mut Conn, org: &OrgId, name: &DisplayName) -> Result<Option<String>> {
    Ok(on_backend!(conn, |c| inline_hooks::table
        .filter(inline_hooks::org_id.eq(org.as_str()).and(inline_hooks::name.eq(name.as_str())))
        .select(inline_hooks::id)
        .first(c)
        .optional())?)
}

/// Id and name of each hook that names the key, in creation order.
pub fn holding(conn: &mut Conn, org: &OrgId, key: &HookKeyId) -> Result<Vec<(String, String)>> {
    let held = inline_hooks::org_id.eq(org.as_str()).and(inline_hooks::hook_key_id.eq(key.as_str()));
    Ok(on_backend!(conn, |c| inline_hooks::table
        .filter(held)
        .select((inline_hooks::id, inline_hooks::name))
        .order(inline_hooks::seq)
        .load(c))?)
}

/// Adds a hook.
pub fn insert(conn: &mut Conn, org: &OrgId, stored: &Stored) -> Result<()> {
    on_backend!(conn, |c| diesel::insert_into(inline_hooks::table)
        .values(Row::new(org, stored)?)
        .execute(c))?;
    note(conn, Some(org), Entity::InlineHook, stored.hook.id.as_str())
}

/// Puts a hook in the place of the one with its id.
pub fn replace(conn: &mut Conn, org: &OrgId, stored: &Stored) -> Result<()> {
    let this = inline_hooks::org_id.eq(org.as_str()).and(inline_hooks::id.eq(stored.hook.id.as_str()));
    on_backend!(conn, |c| diesel::update(inline_hooks::table.filter(this))
        .set(Row::new(org, stored)?)
        .execute(c))?;
    note(conn, Some(org), Entity::InlineHook, stored.hook.id.as_str())
}

/// Removes a hook.
pub fn delete(conn: &mut Conn, org: &OrgId, id: &InlineHookId) -> Result<()> {
    let this = inline_hooks::org_id.eq(org.as_str()).and(inline_hooks::id.eq(id.as_str()));
    on_backend!(conn, |c| diesel::delete(inline_hooks::table.filter(this)).execute(c))?;
    note(conn, Some(org), Entity::InlineHook, id.as_str())
}
