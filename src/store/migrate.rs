//! Migrations, embedded in the binary.

use std::path::Path;

use diesel::backend::Backend;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::conn::{Conn, Db, look, on_backend};
use super::{backup, lacks_right};
use crate::error::{Error, Result};

/// For SQLite. Each step has a twin of the same name below.
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// For PostgreSQL.
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Where Diesel keeps the versions that were applied.
const HISTORY: &str = "__diesel_schema_migrations";

/// What the oldest version is that may run.
const FLOOR: &str = "schema_floor";

/// How a schema differs from this version's.
pub(super) struct Difference {
    /// Names of the migrations that the database lacks, oldest first.
    pub(super) missing: Vec<String>,
    /// The version of a migration that a newer hook-keys has made, if there is one.
    pub(super) newer: Option<String>,
}

/// Names of the migrations that the database still lacks, oldest first. Changes nothing. Refuses a database
/// that is another program's, or that a newer version has migrated so that this one cannot run on it.
pub async fn pending(db: &Db) -> Result<Vec<String>> {
    Ok(db.look(difference).await?.missing)
}

/// Applies what the database lacks, all or nothing, and returns the names of these migrations. Of two
/// processes that start at once one waits for the write lock, for as long as a connection waits for it, and
/// then finds nothing missing.
pub async fn run(db: &Db) -> Result<Vec<String>> {
    // Before the file is changed in any way.
    let missing = pending(db).await?;
    db.settle().await?;
    if missing.is_empty() {
        // Without the right to write, for which it might have to wait.
        return Ok(missing);
    }
    db.write("migrate", |conn| {
        let Difference { missing, .. } = difference(conn)?;
        if missing.is_empty() {
            // Not even asked for: Diesel would make the table of its history, which a role may not be allowed to.
            return Ok(missing);
        }
        match conn {
            Conn::Sqlite(conn) => conn.run_pending_migrations(SQLITE).map(drop),
            Conn::Postgres(link) => link.conn.run_pending_migrations(POSTGRES).map(drop),
        }
        .map_err(failed)?;
        Ok(missing)
    })
    .await
}

/// Refuses a database that lacks a migration.
pub async fn require_current(db: &Db) -> Result<()> {
    match pending(db).await?.as_slice() {
        [] => db.settle().await,
        missing => Err(Error::setup(format!(
            "the database lacks {} migration(s): run `hook-keys migrate` or start the server once",
            missing.len()
        ))),
    }
}

/// Refuses a database to which a newer version has added what this one knows nothing of, and so would leave behind.
pub async fn require_nothing_newer(db: &Db) -> Result<()> {
    match db.look(difference).await?.newer {
        None => Ok(()),
        Some(version) => Err(Error::setup(format!(
            "the database was migrated by a newer hook-keys (it has migration {version}), which may keep there what \
             {} {} does not know of: use that newer version",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
        ))),
    }
}

/// Whether the database at `path`, whatever its schema, holds data keys that only its master key can open.
/// Changes nothing.
pub fn holds_keyring(path: &Path) -> Result<bool> {
    let conn = &mut look(path)?;
    if !tables(conn)?.iter().any(|name| name == "keyring") {
        return Ok(false);
    }
    Ok(!texts(conn, "SELECT 'one' AS text FROM keyring LIMIT 1")?.is_empty())
}

fn difference(conn: &mut Conn) -> Result<Difference> {
    if backup::is_marked(conn)? {
        return Err(Error::setup(
            "the database is a backup, which would be none any more once it was changed: put it into a database \
             with `hook-keys restore FILE`",
        ));
    }
    let found = compare(conn)?;
    if let Some(version) = &found.newer {
        // A newer version has added something that this one need not know, or removed something that it does.
        let floor = if tables(conn)?.iter().any(|name| name == FLOOR) {
            texts(conn, "SELECT version AS text FROM schema_floor")?
        } else {
            Vec::new()
        };
        let known = known(conn)?;
        let is_known = |version: &String| known.iter().any(|(known, _)| known == version);
        if floor.is_empty() || !floor.iter().all(is_known) {
            return Err(Error::setup(format!(
                "the database was migrated by a newer hook-keys (it has migration {version}, which {} {} does \
                 not know): start that newer version, or restore a backup",
                env!("CARGO_PKG_NAME"),
                env!("CARGO_PKG_VERSION"),
            )));
        }
    }
    Ok(found)
}

/// The same of any database, whether or not this version could run on it.
pub(super) fn compare(conn: &mut Conn) -> Result<Difference> {
    let known = known(conn)?;
    let tables = tables(conn)?;
    // Diesel's own functions would make the table.
    let applied = if tables.iter().any(|name| name == HISTORY) {
        texts(conn, "SELECT version AS text FROM __diesel_schema_migrations ORDER BY version")?
    } else {
        Vec::new()
    };
    let is_known = |version: &String| known.iter().any(|(known, _)| known == version);
    if !applied.iter().any(is_known) && tables.iter().any(|name| name != HISTORY) {
        return Err(Error::setup(
            "the database belongs to another program: it has tables that hook-keys did not make, and hook-keys \
             must have a database or a schema of its own",
        ));
    }
    let newer = applied.iter().find(|version| !is_known(version)).cloned();
    let lacks = known.into_iter().filter(|(version, _)| !applied.contains(version));
    Ok(Difference { missing: lacks.map(|(_, name)| name).collect(), newer })
}

/// Brings a SQLite file that nobody else uses to this version's schema.
pub(super) fn bring_up(conn: &mut SqliteConnection) -> Result<()> {
    conn.run_pending_migrations(SQLITE).map(drop).map_err(failed)
}

fn known(conn: &Conn) -> Result<Vec<(String, String)>> {
    match conn {
        Conn::Sqlite(_) => versions::<Sqlite>(&SQLITE),
        Conn::Postgres(_) => versions::<Pg>(&POSTGRES),
    }
}

/// Version and name of every migration, oldest first.
fn versions<B: Backend>(source: &EmbeddedMigrations) -> Result<Vec<(String, String)>> {
    let migrations: Vec<Box<dyn Migration<B>>> = source.migrations().map_err(failed)?;
    let names = migrations.iter().map(Migration::name);
    let mut all: Vec<_> = names.map(|name| (name.version().to_string(), name.to_string())).collect();
    all.sort_unstable();
    Ok(all)
}

/// The names of all tables and views that are not the database's own.
pub(super) fn tables(conn: &mut Conn) -> Result<Vec<String>> {
    let query = match conn {
        Conn::Sqlite(_) => {
            "SELECT name AS text FROM sqlite_master
             WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        }
        Conn::Postgres(_) => {
            // Not from information_schema, which hides what the role may not read.
            "SELECT relname::text AS text FROM pg_class JOIN pg_namespace s ON s.oid = relnamespace
             WHERE nspname = current_schema() AND relkind IN ('r', 'p', 'v', 'm', 'f')"
        }
    };
    texts(conn, query)
}

fn texts(conn: &mut Conn, sql: &str) -> Result<Vec<String>> {
    let lines: Vec<Line> = on_backend!(conn, |c| diesel::sql_query(sql).load(c))?;
    Ok(lines.into_iter().map(|line| line.text).collect())
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    text: String,
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    if error.to_string().contains("no schema has been selected") {
        return Error::setup(
            "database_url: the search_path of this role names no schema that is there: make the schema, or name one \
             with ?options=-csearch_path%3Dname",
        );
    }
    lacks_right(&error.to_string()).unwrap_or_else(|| Error::internal("migrating the database", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Conn {
        Conn::Sqlite(SqliteConnection::establish(":memory:").unwrap())
    }

    fn migrate(conn: &mut Conn) {
        let Conn::Sqlite(conn) = conn else { unreachable!() };
        conn.run_pending_migrations(SQLITE).unwrap();
    }

    fn objects(conn: &mut Conn) -> Vec<String> {
        texts(conn, "SELECT sql AS text FROM sqlite_master WHERE sql IS NOT NULL ORDER BY sql").unwrap()
    }

    #[test]
    fn every_migration_can_be_undone_and_done_again() {
        let mut conn = memory();
        migrate(&mut conn);
        let before = objects(&mut conn);
        let Conn::Sqlite(sqlite) = &mut conn else { unreachable!() };
        sqlite.revert_all_migrations(SQLITE).unwrap();
        assert_eq!(objects(&mut conn).len(), 2, "the history of migrations and SQLite's own sequence remain");
        migrate(&mut conn);
        assert_eq!(objects(&mut conn), before);
    }

    #[test]
    fn both_databases_get_the_same_tables() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let names = |of: &str| {
            let entries = std::fs::read_dir(root.join(of)).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names("sqlite"), names("postgres"));
        for name in names("sqlite") {
            for file in ["up.sql", "down.sql"] {
                let read = |of: &str| std::fs::read_to_string(root.join(of).join(&name).join(file)).unwrap();
                let translated = read("postgres")
                    .replace(
                        "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
                        "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
                    )
                    .replace(" COLLATE \"C\"", "")
                    .replace("BYTEA", "BLOB");
                assert_eq!(translated, read("sqlite"), "{name:?}/{file}");
            }
        }
    }

    #[test]
    fn the_schema_file_tells_the_tables_as_they_are() {
        let mut conn = memory();
        migrate(&mut conn);
        let columns = texts(
            &mut conn,
            "SELECT m.name || '.' || c.name || ' ' || c.type || iif(c.\"notnull\", '', '?') AS text
             FROM sqlite_master m, pragma_table_info(m.name) c
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE '\\_\\_%' ESCAPE '\\'",
        )
        .unwrap();
        let mut actual: Vec<_> = columns
            .iter()
            .map(|column| match column.strip_suffix(".seq INTEGER") {
                Some(table) => format!("{table}.seq BIGINT"),
                None => column.replace("changes.rev INTEGER", "changes.rev BIGINT"),
            })
            .collect();
        actual.sort();
        let mut declared = declared_columns(include_str!("schema.rs"));
        declared.sort();
        assert_eq!(actual, declared);
    }

    fn declared_columns(source: &str) -> Vec<String> {
        let mut table = "";
        let mut columns = Vec::new();
        for line in source.lines().map(str::trim) {
            if let Some((name, _)) = line.split_once(" (") {
                table = name;
            } else if let Some((column, kind)) = line.trim_end_matches(',').split_once(" -> ") {
                let (kind, optional) = match kind.strip_prefix("Nullable<") {
                    Some(kind) => (kind.trim_end_matches('>'), "?"),
                    None => (kind, ""),
                };
                let kind = kind.to_uppercase().replace("BINARY", "BLOB");
                columns.push(format!("{table}.{column} {kind}{optional}"));
            }
        }
        columns
    }
}
