//! Connections and transactions.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use diesel::connection::{SimpleConnection, TransactionManager};
use diesel::result::Error::DatabaseError;
use diesel::{Connection, QueryResult, SqliteConnection};
use tokio::runtime::Handle;

use crate::error::{Error, Result};

/// A database connection.
pub type Conn = SqliteConnection;

/// Connections for reads. More would not be faster: SQLite reads are short and take no lock.
const READERS: usize = 4;

/// For other processes, such as the command line, that hold the write lock.
const TIMEOUT: &str = "PRAGMA busy_timeout = 10000;";

/// Settings of the connections of a [`Db`]. FULL: a commit that was acknowledged outlives a power cut.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                       PRAGMA secure_delete = ON;";

/// What a connection must not write.
const QUERY_ONLY: &str = "PRAGMA query_only = ON;";

/// How long an opening is tried again: as long as the time-out of the connections.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// The database: one connection that writes, a few that read, all used on a blocking pool.
#[derive(Clone)]
pub struct Db {
    path: PathBuf,
    runtime: Handle,
    readers: managed::Pool<Manager>,
    writer: managed::Pool<Manager>,
}

impl Db {
    /// Opens the SQLite file at `path` and changes nothing in it yet. With `create`, a missing one is made with
    /// mode 0600, and empty. Closures run on the blocking threads of `runtime`.
    pub async fn open(path: &Path, create: bool, runtime: Handle) -> Result<Self> {
        prepare_file(path, create)?;
        let pool = |query_only, size| {
            let manager = Manager { path: path.to_owned(), query_only, runtime: runtime.clone() };
            managed::Pool::builder(manager)
                .max_size(size)
                .build()
                .map_err(|error| Error::internal("database pool", error))
        };
        let (readers, writer) = (pool(true, READERS)?, pool(false, 1)?);
        let db = Self { path: path.to_owned(), readers, writer, runtime };
        db.look(|_| Ok(())).await?;
        Ok(db)
    }

    /// Runs `work` on the database as it lies there, on a connection of its own that changes nothing.
    pub(super) async fn look<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        let path = self.path.clone();
        self.blocking(move || look(&path, work)).await
    }

    /// Opens the connection that writes, so that a database that cannot be written is found out now. From here
    /// on the file is one of ours: this switches it to WAL.
    pub(super) async fn settle(&self) -> Result<()> {
        take(&self.writer).await.map(drop).map_err(|error| unopened(&self.path, &error))
    }

    /// Runs `work` on a connection that cannot write.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T> + Send + 'static,
    {
        let mut conn = take(&self.readers).await?;
        self.blocking(move || work(&mut conn)).await
    }

    /// Runs `work` as one transaction that takes the write lock at its start; an error rolls it back. `name`
    /// goes to the log. `work` may be run again, so it must have no effect outside the database.
    pub async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Conn) -> Result<T> + Send + 'static,
    {
        let mut conn = take(&self.writer).await?;
        #[expect(clippy::disallowed_methods, reason = "the one place that opens transactions")]
        let outcome = self.blocking(move || conn.immediate_transaction(work)).await;
        outcome.map_err(|error| error.within(name))
    }

    /// Closes every connection, the writing one last: SQLite then merges its log into the database file.
    pub fn close(&self) {
        self.readers.close();
        self.writer.close();
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let outcome = self.runtime.spawn_blocking(work).await;
        outcome.unwrap_or_else(|fault| Err(Error::internal("database closure", fault)))
    }
}

async fn take(pool: &managed::Pool<Manager>) -> Result<managed::Object<Manager>> {
    pool.get().await.map_err(|error| match error {
        managed::PoolError::Backend(error) => error,
        other => Error::internal("database pool", other),
    })
}

/// Runs `work` on a connection of its own that changes nothing, in any SQLite file, whoever made it. Only what
/// a killed process left half done is brought to its end, as every reader of SQLite does.
pub(super) fn look<T>(path: &Path, work: impl FnOnce(&mut Conn) -> Result<T>) -> Result<T> {
    let connected = connect(path).and_then(|mut conn| {
        conn.batch_execute(QUERY_ONLY)?;
        // The first read tells whether the file is a database at all.
        patiently(|| conn.batch_execute("SELECT count(*) FROM sqlite_master;"))?;
        Ok(conn)
    });
    work(&mut connected.map_err(|error| unopened(path, &error))?)
}

/// Makes sure there is a file that nobody else may read; SQLite gives its WAL the same mode.
fn prepare_file(path: &Path, create: bool) -> Result<()> {
    let opened = std::fs::OpenOptions::new().read(true).write(true).create(create).mode(0o600).open(path);
    match opened {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !create => Err(Error::setup(format!(
            "there is no database at {}: `hook-keys migrate` makes one, and so does the server's first start",
            path.display()
        ))),
        Err(error) => Err(Error::setup(format!("the database {} cannot be opened: {error}", path.display()))),
    }
}

/// Connects to a file that is there. The URI says that SQLite must not make one: a database that was deleted
/// under a server would come back empty, and readable for everyone.
fn connect(path: &Path) -> Result<Conn> {
    let failed = |cause: String| Error::internal("opening the database", cause);
    let path = std::path::absolute(path).map_err(|error| failed(error.to_string()))?;
    let path = path.to_str().ok_or_else(|| failed("its path is not valid UTF-8".to_owned()))?;
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let mut conn =
        Conn::establish(&format!("file://{path}?mode=rw")).map_err(|error| failed(error.to_string()))?;
    conn.batch_execute(TIMEOUT)?;
    Ok(conn)
}

fn unopened(path: &Path, error: &Error) -> Error {
    let cause = error.private().unwrap_or_default();
    Error::setup(format!("the database {} cannot be opened: {cause}", path.display()))
}

/// Repeats what another process is in the way of. The first opening of a new database needs this: SQLite does
/// not apply the time-out of a connection to its switch to WAL.
fn patiently<T>(mut work: impl FnMut() -> QueryResult<T>) -> QueryResult<T> {
    let start = Instant::now();
    loop {
        match work() {
            // Diesel hands on SQLite's text for SQLITE_BUSY, but not its number.
            Err(DatabaseError(_, info))
                if info.message() == "database is locked" && start.elapsed() < PATIENCE =>
            {
                std::thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
}

struct Manager {
    path: PathBuf,
    query_only: bool,
    runtime: Handle,
}

impl Manager {
    fn establish(path: &Path, query_only: bool) -> Result<Conn> {
        let mut conn = connect(path)?;
        patiently(|| conn.batch_execute(PRAGMAS))?;
        if query_only {
            conn.batch_execute(QUERY_ONLY)?;
        }
        Ok(conn)
    }
}

impl managed::Manager for Manager {
    type Type = Conn;
    type Error = Error;

    async fn create(&self) -> Result<Conn> {
        let (path, query_only) = (self.path.clone(), self.query_only);
        let opening = self.runtime.spawn_blocking(move || Self::establish(&path, query_only));
        opening.await.unwrap_or_else(|fault| Err(Error::internal("opening the database", fault)))
    }

    async fn recycle(&self, conn: &mut Conn, _: &Metrics) -> RecycleResult<Error> {
        // A closure that panicked inside a transaction leaves the connection in it.
        if <Conn as Connection>::TransactionManager::is_broken_transaction_manager(conn) {
            return Err(RecycleError::message("left inside a transaction"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_connection_to_a_deleted_database_fails_and_makes_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let db = Db::open(&path, true, Handle::current()).await.unwrap();
        db.write("fill", |conn| Ok(conn.batch_execute("CREATE TABLE rows (id INTEGER)")?)).await.unwrap();
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let error = db.read(|_| Ok(())).await.unwrap_err();
        assert!(error.private().unwrap().contains("opening the database"), "{error:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
