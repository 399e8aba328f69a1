//! Every column that holds sealed values, seen as one: for counting them, opening them all and sealing them anew.

use diesel::dsl::count_star;
use diesel::prelude::*;

use super::conn::{Conn, on_backend};
use super::schema::{hook_keys, inline_hooks, keys};
use crate::error::Result;

/// A column of sealed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The private half of a hook key: PKCS#8.
    HookKeyPrivateKey,
    /// The headers of an inline hook: JSON.
    InlineHookHeaders,
    /// The secret of an inline hook's channel: text.
    InlineHookSecret,
    /// The private half of a key that was brought from elsewhere: a JWK or PEM, as text.
    KeyPrivateKey,
}

/// One sealed value.
#[derive(Debug)]
pub struct Value {
    /// Its row's place in the order of creation.
    pub seq: i64,
    /// The org that owns the row.
    pub org: String,
    /// The row's id.
    pub id: String,
    /// The value.
    pub blob: Vec<u8>,
    /// What stands beside it in plain.
    pub beside: Beside,
}

/// What a row tells in plain about its sealed value.
#[derive(Debug)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// The public modulus of a hook key.
    Modulus(String),
    /// The public half of a key that was brought from elsewhere: the JWK without its private members, or as PEM.
    Public {
        /// The JWK.
        jwk: Option<String>,
        /// The PEM.
        pem: Option<String>,
    },
}

impl Column {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::HookKeyPrivateKey, Self::InlineHookHeaders, Self::InlineHookSecret, Self::KeyPrivateKey];

    /// Table and column, to which the sealing binds the values.
    #[must_use]
    pub fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::HookKeyPrivateKey => ("hook_keys", "private_key"),
            Self::InlineHookHeaders => ("inline_hooks", "headers"),
            Self::InlineHookSecret => ("inline_hooks", "secret"),
            Self::KeyPrivateKey => ("keys", "private_key"),
        }
    }
}

/// How many sealed values there are between two prefixes, `until` excluded, in the order of their bytes.
/// `None` on both sides counts all.
pub fn count(conn: &mut Conn, from: Option<&[u8]>, until: Option<&[u8]>) -> Result<u64> {
    macro_rules! counted {
        ($table:ident :: $column:ident) => {{
            let found = on_backend!(conn, |c| {
                let mut query = $table::table.select(count_star()).into_boxed();
                query = query.filter($table::$column.nullable().is_not_null());
                if let Some(from) = from {
                    query = query.filter($table::$column.nullable().ge(from));
                }
                if let Some(until) = until {
                    query = query.filter($table::$column.nullable().lt(until));
                }
                query.first::<i64>(c)
            });
            found?.unsigned_abs()
        }};
    }
    Ok(counted!(hook_keys::private_key)
        + counted!(inline_hooks::headers)
        + counted!(inline_hooks::secret)
        + counted!(keys::private_key))
}

/// Up to `limit` values of a column, of all orgs, that lie between two prefixes, `until` excluded, from rows after
/// the sequence number `after`. What stands beside them is left out.
pub fn between(
    conn: &mut Conn,
    column: Column,
    (from, until): (&[u8], &[u8]),
    after: i64,
    limit: i64,
) -> Result<Vec<Value>> {
    macro_rules! values {
        ($table:ident :: $column:ident) => {{
            let sealed = $table::$column.nullable();
            on_backend!(conn, |c| $table::table
                .filter($table::seq.gt(after).and(sealed.ge(from)).and(sealed.lt(until)))
                .order($table::seq)
                .limit(limit)
                .select(($table::seq, $table::org_id, $table::id, sealed.assume_not_null()))
                .load::<(i64, String, String, Vec<u8>)>(c))?
            .into_iter()
            .map(|(seq, org, id, blob)| Value { seq, org, id, blob, beside: Beside::Nothing })
            .collect()
        }};
    }
    Ok(match column {
        Column::HookKeyPrivateKey => values!(hook_keys::private_key),
        Column::InlineHookHeaders => values!(inline_hooks::headers),
        Column::InlineHookSecret => values!(inline_hooks::secret),
        Column::KeyPrivateKey => values!(keys::private_key),
    })
}

/// Puts a value in the place of `old`, if that is what its row still holds, and tells whether it was. Nobody sees a
/// difference who opens it, so nothing else in the row changes and no change is noted.
pub fn replace(conn: &mut Conn, column: Column, seq: i64, old: &[u8], new: &[u8]) -> Result<bool> {
    macro_rules! replaced {
        ($table:ident :: $column:ident) => {{
            let this = $table::table.filter($table::seq.eq(seq).and($table::$column.nullable().eq(old)));
            on_backend!(conn, |c| diesel::update(this).set($table::$column.eq(new)).execute(c))?
        }};
    }
    let rows = match column {
        Column::HookKeyPrivateKey => replaced!(hook_keys::private_key),
        Column::InlineHookHeaders => replaced!(inline_hooks::headers),
        Column::InlineHookSecret => replaced!(inline_hooks::secret),
        Column::KeyPrivateKey => replaced!(keys::private_key),
    };
    Ok(rows > 0)
}

/// Up to `limit` values of a column, of all orgs, from rows after the sequence number `after`.
pub fn page(conn: &mut Conn, column: Column, after: i64, limit: i64) -> Result<Vec<Value>> {
    macro_rules! values {
        ($table:ident :: $column:ident) => {
            on_backend!(conn, |c| $table::table
                .filter($table::seq.gt(after).and($table::$column.is_not_null()))
                .order($table::seq)
                .limit(limit)
                .select(($table::seq, $table::org_id, $table::id, $table::$column.assume_not_null()))
                .load::<(i64, String, String, Vec<u8>)>(c))?
            .into_iter()
            .map(|(seq, org, id, blob)| Value { seq, org, id, blob, beside: Beside::Nothing })
            .collect()
        };
    }
    Ok(match column {
        Column::HookKeyPrivateKey => on_backend!(conn, |c| hook_keys::table
            .filter(hook_keys::seq.gt(after))
            .order(hook_keys::seq)
            .limit(limit)
            .select((
                hook_keys::seq,
                hook_keys::org_id,
                hook_keys::id,
                hook_keys::private_key,
                hook_keys::modulus,
            ))
            .load::<(i64, String, String, Vec<u8>, String)>(c))?
        .into_iter()
        .map(|(seq, org, id, blob, modulus)| Value { seq, org, id, blob, beside: Beside::Modulus(modulus) })
        .collect(),
        Column::InlineHookHeaders => values!(inline_hooks::headers),
        Column::InlineHookSecret => values!(inline_hooks::secret),
        Column::KeyPrivateKey => on_backend!(conn, |c| keys::table
            .filter(keys::seq.gt(after).and(keys::private_key.is_not_null()))
            .order(keys::seq)
            .limit(limit)
            .select((
                keys::seq,
                keys::org_id,
                keys::id,
                keys::private_key.assume_not_null(),
                keys::jwk,
                keys::pem_public,
            ))
            .load::<(i64, String, String, Vec<u8>, Option<String>, Option<String>)>(c))?
        .into_iter()
        .map(|(seq, org, id, blob, jwk, pem)| Value {
            seq,
            org,
            id,
            blob,
            beside: Beside::Public { jwk, pem },
        })
        .collect(),
    })
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;

    use super::*;

    #[test]
    fn a_value_that_was_replaced_meanwhile_stays_as_it_is() {
        let mut sqlite = SqliteConnection::establish(":memory:").unwrap();
        crate::store::migrate::bring_up(&mut sqlite).unwrap();
        sqlite
            .batch_execute(
                "INSERT INTO orgs (id, name, created_ms) VALUES ('o', 'acme', 0);
                 INSERT INTO inline_hooks
                     (id, org_id, name, status, kind, version, channel, secret, created_ms, updated_ms)
                     VALUES ('h', 'o', 'hook', 'ACTIVE', 'k', '1', '{}', 'first', 0, 0);
                 UPDATE inline_hooks SET secret = CAST(secret AS BLOB);",
            )
            .unwrap();
        let mut conn = Conn::Sqlite(sqlite);
        let column = Column::InlineHookSecret;
        let seq = page(&mut conn, column, 0, 1).unwrap()[0].seq;
        assert!(replace(&mut conn, column, seq, b"first", b"second").unwrap());
        assert!(!replace(&mut conn, column, seq, b"first", b"first again").unwrap());
        assert_eq!(page(&mut conn, column, 0, 1).unwrap()[0].blob, b"second");
    }
}
