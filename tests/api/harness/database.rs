//! The database of one server: a SQLite file, or, where `HOOK_KEYS_TEST_POSTGRES` names a PostgreSQL server, a schema
//! of its own there.

use std::path::{Path, PathBuf};

use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};
use tokio_postgres::{NoTls, SimpleQueryMessage};

const FILE: &str = "test.db";

/// Where a test's data is.
pub enum Database {
    Sqlite(PathBuf),
    Postgres { url: String, schema: String },
}

impl Database {
    /// A new database; a SQLite file in `directory`.
    pub fn create(directory: &Path) -> Self {
        match std::env::var("HOOK_KEYS_TEST_POSTGRES") {
            Err(_) => Self::Sqlite(directory.join(FILE)),
            Ok(url) => {
                // The random part of the directory's name.
                let name = directory.file_name().unwrap().to_string_lossy().replace(['.', '-'], "_");
                let schema = format!("test_{}", name.to_lowercase());
                run(&url, &format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}"));
                Self::Postgres { url, schema }
            }
        }
    }

    /// As the setting `database_url` has it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres { url, schema } => format!("{url}?options=-csearch_path%3D{schema}"),
        }
    }

    /// Runs SQL, as another hand would.
    pub fn sql(&self, statement: &str) {
        match self {
            Self::Sqlite(path) => sql(path, statement),
            Self::Postgres { .. } => drop(run(&self.url(), statement)),
        }
    }

    /// The texts that a query finds, in its one column, which it calls `text`.
    pub fn texts(&self, query: &str) -> Vec<String> {
        match self {
            Self::Sqlite(path) => texts(path, query),
            Self::Postgres { .. } => run(&self.url(), query),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Postgres { url, schema } = self {
            run(url, &format!("DROP SCHEMA {schema} CASCADE"));
        }
    }
}

/// Runs SQL on a SQLite file, as another hand would.
pub fn sql(database: &Path, statement: &str) {
    let mut conn = SqliteConnection::establish(&database.to_string_lossy()).unwrap();
    for statement in ["PRAGMA busy_timeout = 10000", "PRAGMA foreign_keys = ON", statement] {
        diesel::sql_query(statement).execute(&mut conn).unwrap();
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    text: String,
}

/// The texts that a query finds in a SQLite file.
pub fn texts(database: &Path, query: &str) -> Vec<String> {
    let mut conn = SqliteConnection::establish(&database.to_string_lossy()).unwrap();
    let lines: Vec<Line> = diesel::sql_query(query).load(&mut conn).unwrap();
    lines.into_iter().map(|line| line.text).collect()
}

/// Runs SQL on a PostgreSQL server and returns the first column of what it answers. On a thread of its own, because
/// tests call this from where they may not block.
pub fn run(url: &str, statements: &str) -> Vec<String> {
    let (url, statements) = (url.to_owned(), statements.to_owned());
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
            tokio::spawn(connection);
            let answer = client.simple_query(&statements).await.unwrap();
            let first = |message| match message {
                SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
                _ => None,
            };
            answer.into_iter().filter_map(first).collect()
        })
    };
    std::thread::spawn(work).join().unwrap()
}
