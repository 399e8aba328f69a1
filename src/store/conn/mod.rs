//! Connections and transactions, on either database.

mod follow;
mod group;
mod pair;
mod pool;
mod postgres;
mod sqlite;
mod times;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::TransactionManager;
use diesel::result::DatabaseErrorKind;
use diesel::result::Error::{BrokenTransactionManager, DatabaseError};
use diesel::{Connection, QueryResult, SqliteConnection};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::{Error, Kind, Result};

pub use follow::{BLIND, Follow};
pub use pair::Source;
use pool::{Manager, Object, Pool, take};
use postgres::Link;
pub use postgres::{Postgres, QUIET, TlsFiles};
pub use times::Times;

/// Connections for reads of SQLite. More would not be faster: the reads are short and take no lock.
const SQLITE_READERS: usize = 4;

/// How long after its limit a closure may still come to its end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// How often a transaction is tried that lost against another one.
const TRIES: usize = 5;

/// A connection to one of the two databases. Query text is written once and runs on both: see `on_backend!`.
pub enum Conn {
    /// SQLite.
    Sqlite(SqliteConnection),
    /// PostgreSQL.
    Postgres(Box<Link>),
}

impl Conn {
    /// What ends it from another thread, where it can hang.
    fn cut(&self) -> Option<AbortHandle> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(link) => Some(link.cut()),
        }
    }
}

/// Runs ordinary Diesel code on the connection inside a [`Conn`], whichever it is.
macro_rules! on_backend {
    ($conn:expr, |$c:ident| $body:expr) => {
        match $conn {
            $crate::store::conn::Conn::Sqlite($c) => $body,
            $crate::store::conn::Conn::Postgres($c) => {
                let $c = &mut $c.conn;
                $body
            }
        }
    };
}
pub(super) use on_backend;

/// Where the data is.
#[derive(Debug, Clone)]
pub enum Place {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server, and how many connections to have to it.
    Postgres(Arc<Postgres>, usize),
}

/// The database: connections that write, connections that read, all used on blocking threads.
#[derive(Clone)]
pub struct Db {
    place: Place,
    readers: Pool,
    writers: Pool,
    watcher: Pool,
    runner: Runner,
    queue: Arc<group::Queue>,
    follow: Arc<Follow>,
    times: Arc<Times>,
}

/// How closures are run. It keeps no connection open.
#[derive(Clone)]
struct Runner {
    runtime: Handle,
    limit: Option<Duration>,
}

impl Db {
    /// Opens the database and changes nothing in it yet. With `create`, a missing SQLite file is made with mode
    /// 0600, and empty. Closures run on the blocking threads of `runtime`. `limit` is what one of them may take
    /// on PostgreSQL, waiting for a connection and for other writers included. Who is over it has failed, but a
    /// write may still come to its end.
    pub async fn open(place: Place, create: bool, runtime: Handle, limit: Option<Duration>) -> Result<Self> {
        let limit = limit.filter(|_| matches!(place, Place::Postgres(..)));
        let (readers, writers) = match &place {
            Place::Sqlite(path) => {
                sqlite::prepare_file(path, create)?;
                (SQLITE_READERS, 1)
            }
            // Writers wait for one another in the database: more of them would only hold connections. The last
            // one is the watcher's.
            Place::Postgres(_, connections) => (connections.saturating_sub(3).max(1), 2),
        };
        let pool = |read_only, size| {
            let manager = Manager { place: place.clone(), read_only, runtime: runtime.clone(), limit };
            pool::build(manager, size)
        };
        let (readers, writers, watcher) = (pool(true, readers)?, pool(false, writers)?, pool(true, 1)?);
        let (queue, follow, times) = (Arc::default(), Arc::default(), Arc::default());
        let runner = Runner { runtime, limit };
        let db = Self { place, readers, writers, watcher, runner, queue, follow, times };
        db.look(|_| Ok(())).await?;
        Ok(db)
    }

    /// Runs `work` on the database as it is, on a connection of its own that changes nothing.
    pub(super) async fn look<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        match &self.place {
            Place::Sqlite(path) => {
                let path = path.clone();
                self.runner.blocking(move || work(&mut look(&path)?)).await
            }
            Place::Postgres(..) => self.read(work).await,
        }
    }

    /// Opens a connection that writes, so that a database that cannot be written is found out now.
    pub(super) async fn settle(&self) -> Result<()> {
        let taken = take(&self.writers).await.map(drop);
        taken.map_err(|error| match &self.place {
            Place::Sqlite(path) => sqlite::unopened(path, &error),
            Place::Postgres(..) => error,
        })
    }

    /// Runs `work` on a connection that cannot write.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        let begun = Instant::now();
        let outcome = self.read_on(&self.readers, work).await;
        self.times.reads.note(begun.elapsed());
        self.times.judge(&outcome);
        outcome
    }

    /// The same on a connection of its own, for the one task that must not wait behind other reads.
    pub async fn watch<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        self.read_on(&self.watcher, work).await
    }

    async fn read_on<T, F>(&self, pool: &Pool, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        self.on(pool, move |conn| work(conn).map_err(|error| explain(conn, error))).await
    }

    /// Runs `work` in a transaction that has the only right to write from its start, alone or with others that came
    /// at the same time. A refusal takes back what it has written, and nothing else. `name` goes to the log. `work` may
    /// be run again, so it must have no effect outside the database. Returns when it is committed, and the read model
    /// of this process, if there is one, knows of it too.
    pub async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> Result<T> + Send + 'static,
    {
        let begun = Instant::now();
        let outcome = self.runner.in_time(begun, self.served(self.queue.push(work))).await;
        self.times.writes.note(begun.elapsed());
        self.times.judge(&outcome);
        let value = outcome.map_err(|error| error.within(name))?;
        self.follow.catch_up().await;
        Ok(value)
    }

    /// Waits until a write in line is done: by whoever gets a connection first, and then does all that is in line.
    async fn served<T>(&self, mut outcome: oneshot::Receiver<Result<T>>) -> Result<T> {
        let unserved = |_| Err(Error::internal("database closure", "a write was not served"));
        loop {
            let conn = tokio::select! {
                biased;
                outcome = &mut outcome => return outcome.unwrap_or_else(unserved),
                conn = take(&self.writers) => conn?,
            };
            if self.queue.is_empty() {
                // It is being done on another connection.
                drop(conn);
                return outcome.await.unwrap_or_else(unserved);
            }
            let (runner, queue) = (self.runner.clone(), Arc::clone(&self.queue));
            let serve = async move {
                let serve = move |mut conn: Object| {
                    let served = group::serve(&mut conn, &queue);
                    // Before anybody hears of it: who then closes the database, or ends the process, closes all of it.
                    drop(conn);
                    served.report();
                    Ok(())
                };
                runner.guarded(Instant::now(), conn, serve).await
            };
            // Others are served too, so it goes on when this one is done, by whomever, or not waited for any more.
            let serving = self.runner.runtime.spawn(serve);
            tokio::select! {
                biased;
                outcome = &mut outcome => return outcome.unwrap_or_else(unserved),
                _ = serving => {}
            }
        }
    }

    /// How a read model follows what is written.
    #[must_use]
    pub fn follow(&self) -> &Arc<Follow> {
        &self.follow
    }

    /// How long reads and writes took.
    #[must_use]
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// Which database it is, as Kong names them.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.place {
            Place::Sqlite(_) => "sqlite",
            Place::Postgres(..) => "postgres",
        }
    }

    /// Closes every connection, those that write last: SQLite then merges its log into the database file.
    pub fn close(&self) {
        self.watcher.close();
        self.readers.close();
        self.writers.close();
    }

    /// Runs `work` on a connection of `pool`, within the limit.
    async fn on<T, F>(&self, pool: &Pool, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        let begun = Instant::now();
        let conn = self.runner.in_time(begun, take(pool)).await;
        self.times.waits.note(begun.elapsed());
        let conn = conn?;
        self.runner.guarded(begun, conn, move |mut conn: Object| work(&mut conn)).await
    }
}

impl Runner {
    /// Waits for `work`, but no longer than the limit from `begun` on.
    async fn in_time<T>(&self, begun: Instant, work: impl Future<Output = Result<T>>) -> Result<T> {
        let Some(limit) = self.limit else { return work.await };
        timeout_at(begun + limit, work).await.unwrap_or_else(|_| Err(late(limit)))
    }

    /// Runs `work` on `conn`, which is given up if it hangs beyond the limit.
    async fn guarded<T, F>(&self, begun: Instant, conn: Object, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Object) -> Result<T> + Send + 'static,
    {
        let Some(limit) = self.limit else { return self.blocking(move || work(conn)).await };
        let cut = conn.cut();
        let mut running = self.runtime.spawn_blocking(move || work(conn));
        if let Ok(outcome) = timeout_at(begun + limit, &mut running).await {
            return outcome.unwrap_or_else(|fault| Err(Error::internal("database closure", fault)));
        }
        self.runtime.spawn(cut_off(running, cut));
        Err(late(limit))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let outcome = self.runtime.spawn_blocking(work).await;
        outcome.unwrap_or_else(|fault| Err(Error::internal("database closure", fault)))
    }
}

fn late(limit: Duration) -> Error {
    Error::unavailable("database", format_args!("no answer within {limit:?}"))
}

/// Ends the connection of a closure that goes on although nobody waits for it. The server has the same limit for each
/// statement and comes first, unless it is the server that hangs: then nothing but this gives the connection up.
async fn cut_off<T>(running: JoinHandle<T>, cut: Option<AbortHandle>) {
    if timeout(GRACE, running).await.is_err()
        && let Some(cut) = cut
    {
        tracing::warn!("a connection to the database hangs, and is given up");
        cut.abort();
    }
}

/// A connection that changes nothing, to any SQLite file, whoever made it.
pub(super) fn look(path: &Path) -> Result<Conn> {
    sqlite::look(path).map(Conn::Sqlite)
}

/// A connection to a SQLite file that nobody changes, this connection neither.
pub(super) fn open_unchanging(path: &Path) -> Result<Conn> {
    sqlite::open_unchanging(path).map(Conn::Sqlite)
}

/// A connection to a SQLite file that nobody else will ever use, and that need not outlive it.
pub(super) fn open_scratch(path: &Path) -> Result<SqliteConnection> {
    sqlite::open_scratch(path)
}

/// Makes a SQLite file that nobody has open one that is whole by itself, without a log beside it, and marks it as
/// `application`.
pub(super) fn finish_file(path: &Path, application: i32) -> Result<()> {
    sqlite::finish(path, application)
}

/// What an error of the database means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The database is gone, or too slow.
    Away,
    /// The transaction lost against another one.
    LostRace,
    /// Something is wrong with us or with the data.
    Fault,
}

/// Messages of a server that was told to cancel or is full, and of a SQLite file that another process does not let
/// go of. A server that is gone is found out in [`explain`], whatever it said.
const AWAY: [&str; 3] = ["canceling statement", "No space left on device", "database is locked"];

/// What `error` means. The drivers tell some of it in words only.
pub(super) fn meaning(error: &diesel::result::Error) -> Meaning {
    let (kind, message) = match error {
        DatabaseError(kind, info) => (kind, info.message()),
        BrokenTransactionManager => return Meaning::Away,
        _ => return Meaning::Fault,
    };
    let says = |known: &[&str]| known.iter().any(|known| message.contains(known));
    match kind {
        DatabaseErrorKind::ReadOnlyTransaction => Meaning::Away,
        DatabaseErrorKind::SerializationFailure => Meaning::LostRace,
        _ if says(&["deadlock detected"]) => Meaning::LostRace,
        _ if says(&AWAY) => Meaning::Away,
        _ => Meaning::Fault,
    }
}

/// Tells a fault of ours from a server that went away, of which it says this and that, and in its own language.
fn explain(conn: &mut Conn, error: Error) -> Error {
    if let Conn::Postgres(link) = conn
        && *error.kind() == Kind::Internal
        && !link.answers()
    {
        return Error::unavailable("database", error.private().unwrap_or_default());
    }
    error
}

fn transaction<T>(conn: &mut Conn, work: impl Fn(&mut Conn) -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        let outcome = begin(conn).map_err(Error::from).and_then(|()| work(conn)).and_then(|value| {
            on_backend!(conn, |c| commit(c))?;
            Ok(value)
        });
        let error = match outcome {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        // If this fails too, the connection is not used again.
        drop(on_backend!(conn, |c| rollback(c)));
        if !error.is_passing() || tries == TRIES {
            return Err(error);
        }
        tries += 1;
    }
}

fn begin(conn: &mut Conn) -> QueryResult<()> {
    match conn {
        Conn::Sqlite(conn) => sqlite::begin(conn),
        Conn::Postgres(link) => postgres::begin(&mut link.conn),
    }
}

/// Begins a transaction that holds up nobody and reads one state of the database.
fn begin_snapshot(conn: &mut Conn) -> QueryResult<()> {
    match conn {
        Conn::Sqlite(conn) => sqlite::begin_snapshot(conn),
        Conn::Postgres(link) => postgres::begin_snapshot(&mut link.conn),
    }
}

fn commit<C: Connection>(conn: &mut C) -> QueryResult<()> {
    C::TransactionManager::commit_transaction(conn)
}

fn rollback<C: Connection>(conn: &mut C) -> QueryResult<()> {
    C::TransactionManager::rollback_transaction(conn)
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;

    use super::*;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let meant = |kind, message: &str| meaning(&DatabaseError(kind, Box::new(message.to_owned())));
        for (kind, message, expected) in [
            (DatabaseErrorKind::SerializationFailure, "could not serialize access", Meaning::LostRace),
            (DatabaseErrorKind::Unknown, "deadlock detected", Meaning::LostRace),
            (DatabaseErrorKind::ReadOnlyTransaction, "cannot execute INSERT", Meaning::Away),
            (DatabaseErrorKind::Unknown, "canceling statement due to statement timeout", Meaning::Away),
            (DatabaseErrorKind::Unknown, "could not extend file: No space left on device", Meaning::Away),
            (DatabaseErrorKind::Unknown, "database is locked", Meaning::Away),
            (DatabaseErrorKind::UniqueViolation, "duplicate key value", Meaning::Fault),
            (DatabaseErrorKind::Unknown, "relation does not exist", Meaning::Fault),
        ] {
            assert_eq!(meant(kind, message), expected, "{message}");
        }
        assert_eq!(meaning(&BrokenTransactionManager), Meaning::Away);
        assert_eq!(meaning(&diesel::result::Error::NotFound), Meaning::Fault);
    }

    async fn on_sqlite(directory: &Path) -> Db {
        let place = Place::Sqlite(directory.join("store.db"));
        Db::open(place, true, Handle::current(), None).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_database_that_is_dropped_after_a_write_is_closed() {
        for _ in 0..50 {
            let directory = tempfile::tempdir().unwrap();
            let db = on_sqlite(directory.path()).await;
            db.write("nothing", |_| Ok(())).await.unwrap();
            drop(db);
            let left = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
            assert_eq!(
                left.collect::<Vec<_>>(),
                ["store.db"],
                "SQLite removes its log with the last connection"
            );
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_write_is_told_when_it_is_done_while_others_are_still_in_line() {
        use std::sync::mpsc;
        let directory = tempfile::tempdir().unwrap();
        let db = on_sqlite(directory.path()).await;
        let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
        let write = |gate: mpsc::Receiver<()>| {
            let (db, gate, begun) = (db.clone(), std::sync::Mutex::new(gate), begun.clone());
            tokio::spawn(async move {
                db.write("gated", move |_| {
                    begun.send(()).unwrap();
                    gate.lock().unwrap().recv().unwrap();
                    Ok(())
                })
                .await
            })
        };
        let ((go, first_gate), (open, second_gate)) = (mpsc::channel(), mpsc::channel());
        let first = write(first_gate);
        has_begun.recv().await.unwrap();
        let second = write(second_gate);
        while db.queue.is_empty() {
            tokio::task::yield_now().await;
        }
        go.send(()).unwrap();
        timeout(Duration::from_secs(30), first)
            .await
            .expect("told before the second is done")
            .unwrap()
            .unwrap();
        open.send(()).unwrap();
        second.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_new_connection_to_a_deleted_database_fails_and_makes_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let db = on_sqlite(directory.path()).await;
        let fill =
            |conn: &mut Conn| Ok(on_backend!(conn, |c| c.batch_execute("CREATE TABLE rows (id INTEGER)"))?);
        db.write("fill", fill).await.unwrap();
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let error = db.read(|_| Ok(())).await.unwrap_err();
        assert!(error.private().unwrap().contains("opening the database"), "{error:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
