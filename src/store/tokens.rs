//! The table `api_tokens`.

use std::time::Duration;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use super::changes::{Entity, note};
use super::conn::{Conn, on_backend};
use super::schema::api_tokens;
use super::{corrupt, from_ms};
use crate::domain::Timestamp;
use crate::domain::ids::{OrgId, TokenId};
use crate::domain::permission::Grant;
use crate::domain::token::{Expiry, Token};
use crate::error::{Error, Result};

/// SHA-256 of a token.
pub type Digest = [u8; 32];

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_tokens)]
struct Row {
    id: String,
    org_id: String,
    name: String,
    permissions: String,
    created_ms: i64,
    last_used_ms: Option<i64>,
    idle_ms: Option<i64>,
    expires_ms: Option<i64>,
    revoked_ms: Option<i64>,
}

impl TryFrom<Row> for Token {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let wrong = |column| corrupt("api_tokens", &row.id, column);
        let moment = |ms, column| from_ms(ms, "api_tokens", &row.id, column);
        let expiry = match (row.idle_ms.map(u64::try_from), row.expires_ms) {
            (Some(Ok(idle)), None) => Expiry::Idle(Duration::from_millis(idle)),
            (None, Some(end)) => Expiry::At(moment(end, "expires_ms")?),
            _ => return Err(wrong("idle_ms")),
        };
        Ok(Self {
            id: TokenId::parse(&row.id).ok_or_else(|| wrong("id"))?,
            org: OrgId::parse(&row.org_id).ok_or_else(|| wrong("org_id"))?,
            grant: Grant::parse(row.permissions.split(' ')).map_err(|_| wrong("permissions"))?,
            expiry,
            created: moment(row.created_ms, "created_ms")?,
            last_used: row.last_used_ms.map(|ms| moment(ms, "last_used_ms")).transpose()?,
            revoked: row.revoked_ms.map(|ms| moment(ms, "revoked_ms")).transpose()?,
            name: row.name,
        })
    }
}

/// Adds a token by its digest.
pub fn insert(conn: &mut Conn, token: &Token, digest: &Digest) -> Result<()> {
    let (idle, expires) = match token.expiry {
        Expiry::Idle(window) => (i64::try_from(window.as_millis()).ok(), None),
        Expiry::At(moment) => (None, Some(moment.timestamp_millis())),
    };
    on_backend!(conn, |c| diesel::insert_into(api_tokens::table)
        .values((
            api_tokens::id.eq(token.id.as_str()),
            api_tokens::org_id.eq(token.org.as_str()),
            api_tokens::name.eq(&token.name),
            api_tokens::digest.eq(digest.as_slice()),
            api_tokens::permissions.eq(token.grant.to_string()),
            api_tokens::created_ms.eq(token.created.timestamp_millis()),
            api_tokens::idle_ms.eq(idle),
            api_tokens::expires_ms.eq(expires),
        ))
        .execute(c))?;
    note(conn, Some(&token.org), Entity::ApiToken, token.id.as_str())
}

/// The token with this digest, live or not.
pub fn find_by_digest(conn: &mut Conn, digest: &Digest) -> Result<Option<Token>> {
    let row = on_backend!(conn, |c| api_tokens::table
        .filter(api_tokens::digest.eq(digest.as_slice()))
        .select(Row::as_select())
        .first(c)
        .optional())?;
    row.map(Token::try_from).transpose()
}

/// All tokens in creation order, of one org or of every org.
pub fn list(conn: &mut Conn, org: Option<&OrgId>) -> Result<Vec<Token>> {
    let rows: Vec<Row> = on_backend!(conn, |c| {
        let mut query = api_tokens::table.select(Row::as_select()).order(api_tokens::seq).into_boxed();
        if let Some(org) = org {
            query = query.filter(api_tokens::org_id.eq(org.as_str()));
        }
        query.load(c)
    })?;
    rows.into_iter().map(Token::try_from).collect()
}

/// The token of this id.
pub fn find(conn: &mut Conn, id: &TokenId) -> Result<Option<Token>> {
    let this = api_tokens::table.filter(api_tokens::id.eq(id.as_str()));
    let row = on_backend!(conn, |c| this.select(Row::as_select()).first(c).optional())?;
    row.map(Token::try_from).transpose()
}

/// How many tokens end by themselves after `from`, and by `until`, if they are not used any more.
pub fn count_ending(conn: &mut Conn, from: Timestamp, until: Timestamp) -> Result<i64> {
    let end = "COALESCE(expires_ms, COALESCE(last_used_ms, created_ms) + idle_ms)";
    let ends = sql::<Bool>(end).sql(" > ").bind::<BigInt, _>(from.timestamp_millis());
    let ends = ends.sql(&format!(" AND {end} <= ")).bind::<BigInt, _>(until.timestamp_millis());
    let ending = api_tokens::table.filter(api_tokens::revoked_ms.is_null()).filter(ends);
    Ok(on_backend!(conn, |c| ending.count().get_result(c))?)
}

/// Marks a token revoked; an earlier revocation keeps its time.
pub fn revoke(conn: &mut Conn, id: &TokenId, now: Timestamp) -> Result<()> {
    let this = api_tokens::table.filter(api_tokens::id.eq(id.as_str()));
    on_backend!(conn, |c| diesel::update(this.filter(api_tokens::revoked_ms.is_null()))
        .set(api_tokens::revoked_ms.eq(now.timestamp_millis()))
        .execute(c))?;
    note(conn, None, Entity::ApiToken, id.as_str())
}

/// Records a use, unless a later one is on record.
pub fn record_use(conn: &mut Conn, id: &TokenId, at: Timestamp) -> Result<()> {
    let at = at.timestamp_millis();
    let older = api_tokens::last_used_ms.is_null().or(api_tokens::last_used_ms.lt(at).assume_not_null());
    on_backend!(conn, |c| diesel::update(
        api_tokens::table.filter(api_tokens::id.eq(id.as_str())).filter(older)
    )
    .set(api_tokens::last_used_ms.eq(at))
    .execute(c))?;
    Ok(())
}
