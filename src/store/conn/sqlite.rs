//! SQLite: one file, one writer, as many readers as there are connections.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::result::Error::DatabaseError;
use diesel::sql_types::Text;
use diesel::{Connection, QueryResult, QueryableByName, RunQueryDsl, SqliteConnection};

use crate::error::{Error, Result};

/// For other processes, such as the command line, that hold the write lock.
const TIMEOUT: &str = "PRAGMA busy_timeout = 10000;";

/// Settings of the connections of a pool. FULL: a commit that was acknowledged outlives a power cut.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                       PRAGMA secure_delete = ON;";

/// What a connection must not write.
const QUERY_ONLY: &str = "PRAGMA query_only = ON;";

/// How long an opening is tried again: as long as the time-out of the connections.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);

/// Opens a connection for a pool. From here on the file is one of ours: this switches it to WAL.
pub(super) fn establish(path: &Path, read_only: bool) -> Result<SqliteConnection> {
    let mut conn = connect(path)?;
    patiently(|| conn.batch_execute(PRAGMAS))?;
    if read_only {
        conn.batch_execute(QUERY_ONLY)?;
    }
    Ok(conn)
}

/// Begins a transaction that takes the write lock at once.
pub(super) fn begin(conn: &mut SqliteConnection) -> QueryResult<()> {
    diesel::connection::AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")
}

/// Begins a transaction that reads one state of the database, and holds up no writer.
pub(super) fn begin_snapshot(conn: &mut SqliteConnection) -> QueryResult<()> {
    diesel::connection::AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN")
}

/// A connection that changes nothing, to any SQLite file, whoever made it. Only what a killed process left half
/// done is brought to its end, as every reader of SQLite does.
pub(super) fn look(path: &Path) -> Result<SqliteConnection> {
    let connected = connect(path).and_then(|mut conn| {
        conn.batch_execute(QUERY_ONLY)?;
        // The first read tells whether the file is a database at all.
        patiently(|| conn.batch_execute("SELECT count(*) FROM sqlite_master;"))?;
        Ok(conn)
    });
    connected.map_err(|error| unopened(path, &error))
}

/// A connection to a file that nobody changes: it makes no file beside it, and asks for no right to write there.
pub(super) fn open_unchanging(path: &Path) -> Result<SqliteConnection> {
    let connected = connect_by(path, "mode=ro&immutable=1").and_then(|mut conn| {
        // What its schema says is another hand's, perhaps.
        conn.batch_execute("PRAGMA trusted_schema = OFF;")?;
        Ok(conn)
    });
    connected.map_err(|error| unopened(path, &error))
}

/// A connection to a file that is its own, and that need not outlive it.
pub(super) fn open_scratch(path: &Path) -> Result<SqliteConnection> {
    let mut conn = connect(path)?;
    conn.batch_execute("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON;")?;
    Ok(conn)
}

/// Merges the log of a file that nobody has open, and lets it have none from here on.
pub(super) fn finish(path: &Path, application: i32) -> Result<()> {
    let mut conn = connect(path)?;
    let mode: Mode = diesel::sql_query("PRAGMA journal_mode = DELETE").get_result(&mut conn)?;
    if mode.journal_mode != "delete" {
        return Err(Error::internal("finishing a file", format_args!("journal mode {}", mode.journal_mode)));
    }
    conn.batch_execute(&format!("PRAGMA synchronous = FULL; PRAGMA application_id = {application};"))?;
    Ok(())
}

#[derive(QueryableByName)]
struct Mode {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

/// Makes sure there is a file that nobody else may read; SQLite gives its WAL the same mode.
pub(super) fn prepare_file(path: &Path, create: bool) -> Result<()> {
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

/// Tells the operator which file could not be opened.
pub(super) fn unopened(path: &Path, error: &Error) -> Error {
    let cause = error.private().unwrap_or_default();
    Error::setup(format!("the database {} cannot be opened: {cause}", path.display()))
}

/// Connects to a file that is there. The URI says that SQLite must not make one: a database that was deleted
/// under a server would come back empty, and readable for everyone.
fn connect(path: &Path) -> Result<SqliteConnection> {
    connect_by(path, "mode=rw")
}

fn connect_by(path: &Path, how: &str) -> Result<SqliteConnection> {
    let failed = |cause: String| Error::internal("opening the database", cause);
    let path = std::path::absolute(path).map_err(|error| failed(error.to_string()))?;
    let path = path.to_str().ok_or_else(|| failed("its path is not valid UTF-8".to_owned()))?;
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let mut conn = SqliteConnection::establish(&format!("file://{path}?{how}"))
        .map_err(|error| failed(error.to_string()))?;
    conn.batch_execute(TIMEOUT)?;
    Ok(conn)
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
