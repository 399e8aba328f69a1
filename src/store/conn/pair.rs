//! Two databases at once, for what moves from one into the other.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use diesel::{QueryResult, QueryableByName, RunQueryDsl};

use super::{Conn, Db, Place, begin, begin_snapshot, commit, on_backend, rollback, take};
use crate::error::{Error, Result};

/// What others may do to the source of a transfer meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Only read it: the transfer has the right to write.
    Still,
    /// Write to it: what is read is the state that it had at the beginning.
    Snapshot,
}

impl Db {
    /// Runs `work` once, with `source` first and this database second, each in a transaction. Here it has the only
    /// right to write. What `work` does here is then committed, or taken back if it fails. In `source` it must change
    /// nothing. `name` goes to the log.
    pub async fn write_from<T, F>(
        &self,
        source: &Self,
        kind: Source,
        name: &'static str,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn, &mut Conn) -> Result<T> + Send + 'static,
    {
        let pool = match kind {
            Source::Still => &source.writers,
            Source::Snapshot => &source.readers,
        };
        let mut from = take(pool).await.map_err(|error| error.about("source"))?;
        let mut into = take(&self.writers).await.map_err(|error| error.about("target"))?;
        let outcome = self.runner.blocking(move || {
            let begun = match kind {
                Source::Still => begin(&mut from),
                Source::Snapshot => begin_snapshot(&mut from),
            };
            begun.map_err(|error| Error::from(error).about("source"))?;
            let outcome = transfer(&mut from, &mut into, work);
            // There is nothing to keep. If it fails, the server has ended the transaction already.
            drop(on_backend!(&mut *from, |c| rollback(c)));
            outcome
        });
        outcome.await.map_err(|error| error.within(name))
    }

    /// The same, with a source that is this connection's alone.
    pub async fn write_with<T, F>(&self, mut from: Conn, name: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn, &mut Conn) -> Result<T> + Send + 'static,
    {
        let mut into = take(&self.writers).await.map_err(|error| error.about("target"))?;
        let outcome = self.runner.blocking(move || transfer(&mut from, &mut into, work));
        outcome.await.map_err(|error| error.within(name))
    }

    /// Whether this is the very database that `other` is, however the two are called.
    pub async fn is_same_as(&self, other: &Self) -> Result<bool> {
        match (&self.place, &other.place) {
            (Place::Sqlite(one), Place::Sqlite(two)) => Ok(file(one)? == file(two)?),
            (Place::Postgres(..), Place::Postgres(..)) => {
                let (mut one, mut two) = (take(&self.writers).await?, take(&other.writers).await?);
                self.runner
                    .blocking(move || {
                        begin(&mut one)?;
                        let same = share_locks(&mut one, &mut two);
                        drop(on_backend!(&mut *one, |c| rollback(c)));
                        Ok(same?)
                    })
                    .await
            }
            _ => Ok(false),
        }
    }
}

fn transfer<T>(
    from: &mut Conn,
    into: &mut Conn,
    work: impl FnOnce(&mut Conn, &mut Conn) -> Result<T>,
) -> Result<T> {
    begin(into).map_err(|error| Error::from(error).about("target"))?;
    let outcome = work(from, into).and_then(|value| {
        on_backend!(&mut *into, |c| commit(c)).map_err(|error| Error::from(error).about("target, commit"))?;
        Ok(value)
    });
    if outcome.is_err() {
        // If this fails too, the connection is not used again.
        drop(on_backend!(into, |c| rollback(c)));
    }
    outcome
}

/// What is one and the same for every path that leads to a file.
fn file(path: &Path) -> Result<(u64, u64)> {
    let found = std::fs::metadata(path);
    let found = found.map_err(|error| {
        Error::setup(format!("the database {} cannot be looked at: {error}", path.display()))
    })?;
    Ok((found.dev(), found.ino()))
}

#[derive(QueryableByName)]
struct Mark {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Nullable<Text>)]
    schema: Option<String>,
}

#[derive(QueryableByName)]
struct Trial {
    #[diesel(sql_type = Bool)]
    free: bool,
    #[diesel(sql_type = Nullable<Text>)]
    schema: Option<String>,
}

/// Whether a lock that one connection holds, which must be in a transaction, is in the way of the other. Locks
/// are a database's own, and this one has a number that nobody else thinks of. Names of hosts tell less: a server
/// has many, and a copy of its files has the same identity.
fn share_locks(one: &mut Conn, two: &mut Conn) -> QueryResult<bool> {
    let (Conn::Postgres(one), Conn::Postgres(two)) = (one, two) else { return Ok(false) };
    let (one, two) = (&mut one.conn, &mut two.conn);
    let mark: Mark = diesel::sql_query(
        "SELECT (random() * 9007199254740991)::bigint AS number, current_schema()::text AS schema",
    )
    .get_result(one)?;
    diesel::sql_query("SELECT pg_advisory_xact_lock($1)").bind::<BigInt, _>(mark.number).execute(one)?;
    let trial: Trial =
        diesel::sql_query("SELECT pg_try_advisory_xact_lock($1) AS free, current_schema()::text AS schema")
            .bind::<BigInt, _>(mark.number)
            .get_result(two)?;
    Ok(!trial.free && trial.schema == mark.schema)
}
