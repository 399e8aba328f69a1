//! The table `keyring`.

use diesel::prelude::*;

use super::changes::{Entity, note};
use super::conn::{Conn, on_backend};
use super::schema::keyring;
use super::{corrupt, from_ms};
use crate::domain::Timestamp;
use crate::error::Result;

/// One wrapped data key.
#[derive(Debug, Clone)]
pub struct Term {
    /// Its number.
    pub term: u32,
    /// The data key, sealed by the master key.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created: Timestamp,
}

/// All terms, rising.
pub fn list(conn: &mut Conn) -> Result<Vec<Term>> {
    let rows: Vec<(i32, Vec<u8>, i64)> = on_backend!(conn, |c| keyring::table.order(keyring::term).load(c))?;
    rows.into_iter()
        .map(|(term, wrapped, created_ms)| {
            let id = term.to_string();
            let term = u32::try_from(term).map_err(|_| corrupt("keyring", &id, "term"))?;
            Ok(Term { term, wrapped, created: from_ms(created_ms, "keyring", &id, "created_ms")? })
        })
        .collect()
}

/// Number and time of the newest term.
pub fn newest(conn: &mut Conn) -> Result<Option<(u32, Timestamp)>> {
    let newest = keyring::table.order(keyring::term.desc()).select((keyring::term, keyring::created_ms));
    let row = on_backend!(conn, |c| newest.first::<(i32, i64)>(c)).optional()?;
    let parse = |(term, created_ms): (i32, i64)| {
        let id = term.to_string();
        let number = u32::try_from(term).map_err(|_| corrupt("keyring", &id, "term"))?;
        Ok((number, from_ms(created_ms, "keyring", &id, "created_ms")?))
    };
    row.map(parse).transpose()
}

/// Adds a term.
pub fn insert(conn: &mut Conn, term: &Term) -> Result<()> {
    let number = number(term.term)?;
    on_backend!(conn, |c| diesel::insert_into(keyring::table)
        .values((
            keyring::term.eq(number),
            keyring::wrapped.eq(&term.wrapped),
            keyring::created_ms.eq(term.created.timestamp_millis()),
        ))
        .execute(c))?;
    note(conn, None, Entity::Keyring, &number.to_string())
}

/// Puts the data key of a term, wrapped anew, in the place of what it was.
pub fn rewrap(conn: &mut Conn, term: u32, wrapped: &[u8]) -> Result<()> {
    let number = number(term)?;
    let this = keyring::table.filter(keyring::term.eq(number));
    on_backend!(conn, |c| diesel::update(this).set(keyring::wrapped.eq(wrapped)).execute(c))?;
    note(conn, None, Entity::Keyring, &number.to_string())
}

/// Removes a term.
pub fn delete(conn: &mut Conn, term: u32) -> Result<()> {
    let number = number(term)?;
    let this = keyring::table.filter(keyring::term.eq(number));
    on_backend!(conn, |c| diesel::delete(this).execute(c))?;
    note(conn, None, Entity::Keyring, &number.to_string())
}

fn number(term: u32) -> Result<i32> {
    i32::try_from(term).map_err(|_| corrupt("keyring", &term.to_string(), "term"))
}
