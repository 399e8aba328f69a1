//! The database. The only module that names Diesel. Functions here store and find; they hold no rule, and
//! «not found» is `Ok(None)`.

pub mod audit;
pub mod backup;
pub mod changes;
pub mod conn;
pub mod copy;
pub mod hook_keys;
pub mod inline_hooks;
pub mod key_sets;
pub mod keyring;
pub mod keys;
pub mod migrate;
pub mod orgs;
pub mod schema;
pub mod sealed;
pub mod tags;
pub mod tokens;

pub use conn::{Conn, Db, Place, Postgres, QUIET, TlsFiles};

use conn::Meaning;

use crate::domain::Timestamp;
use crate::error::{Error, Result};

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        match conn::meaning(&error) {
            Meaning::Away => Self::unavailable("database", error),
            Meaning::LostRace => Self::lost_race(error),
            Meaning::Fault => {
                lacks_right(&error.to_string()).unwrap_or_else(|| Self::internal("database", error))
            }
        }
    }
}

/// An error that says so, when the role of the database may not do what it must.
fn lacks_right(message: &str) -> Option<Error> {
    if !message.starts_with("permission denied") && !message.contains(": permission denied") {
        return None;
    }
    Some(Error::setup(format!(
        "the role of database_url lacks a right ({message}): run `hook-keys migrate` as the owner of the tables, and \
         grant the role its rights as docs/MULTI-NODE.md says"
    )))
}

/// A value read from the database that breaks the rules of its type: the row was altered by another hand.
fn corrupt(table: &str, id: &str, column: &str) -> Error {
    Error::internal("database", format_args!("row {id} of {table} has an impossible value in {column}"))
}

fn from_ms(ms: i64, table: &str, id: &str, column: &str) -> Result<Timestamp> {
    Timestamp::from_timestamp_millis(ms).ok_or_else(|| corrupt(table, id, column))
}
