//! Migrations, embedded in the binary.

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::conn::{Conn, Db};
use crate::error::{Error, Result};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Names of the migrations that the database still lacks, oldest first. Refuses a database that a newer
/// version has migrated.
pub async fn pending(db: &Db) -> Result<Vec<String>> {
    db.bare(missing).await
}

/// Applies what the database lacks, all or nothing, and returns the names of these migrations. Of two
/// processes that start at once one waits for the write lock, for as long as a connection waits for it, and
/// then finds nothing missing.
pub async fn run(db: &Db) -> Result<Vec<String>> {
    db.write("migrate", |conn| {
        let missing = missing(conn)?;
        conn.run_pending_migrations(MIGRATIONS).map_err(failed)?;
        Ok(missing)
    })
    .await
}

/// Refuses a database that is not exactly at this version.
pub async fn require_current(db: &Db) -> Result<()> {
    match pending(db).await?.as_slice() {
        [] => Ok(()),
        missing => Err(Error::setup(format!(
            "the database lacks {} migration(s): run `hook-keys migrate` or start the server once",
            missing.len()
        ))),
    }
}

fn missing(conn: &mut Conn) -> Result<Vec<String>> {
    refuse_newer(conn)?;
    let pending = conn.pending_migrations(MIGRATIONS).map_err(failed)?;
    Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
}

fn refuse_newer(conn: &mut Conn) -> Result<()> {
    let known = diesel::migration::MigrationSource::<diesel::sqlite::Sqlite>::migrations(&MIGRATIONS)
        .map_err(failed)?;
    let known: Vec<_> = known.iter().map(|migration| migration.name().version()).collect();
    let applied = conn.applied_migrations().map_err(failed)?;
    match applied.iter().find(|version| !known.contains(version)) {
        None => Ok(()),
        Some(version) => Err(Error::setup(format!(
            "the database was migrated by a newer hook-keys (it has migration {version}, which {} {} does \
             not know): start that newer version, or restore a backup",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
        ))),
    }
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::internal("migrating the database", error)
}

#[cfg(test)]
mod tests {
    use diesel::prelude::*;
    use diesel::sql_types::Text;

    use super::*;

    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        text: String,
    }

    fn lines(conn: &mut Conn, sql: &str) -> Vec<String> {
        diesel::sql_query(sql).load::<Line>(conn).unwrap().into_iter().map(|line| line.text).collect()
    }

    fn objects(conn: &mut Conn) -> Vec<String> {
        lines(conn, "SELECT sql AS text FROM sqlite_master WHERE sql IS NOT NULL ORDER BY sql")
    }

    #[test]
    fn every_migration_can_be_undone_and_done_again() {
        let mut conn = Conn::establish(":memory:").unwrap();
        conn.run_pending_migrations(MIGRATIONS).unwrap();
        let before = objects(&mut conn);
        conn.revert_all_migrations(MIGRATIONS).unwrap();
        assert_eq!(objects(&mut conn).len(), 2, "the history of migrations and SQLite's own sequence remain");
        conn.run_pending_migrations(MIGRATIONS).unwrap();
        assert_eq!(objects(&mut conn), before);
    }

    #[test]
    fn the_schema_file_tells_the_tables_as_they_are() {
        let mut conn = Conn::establish(":memory:").unwrap();
        conn.run_pending_migrations(MIGRATIONS).unwrap();
        let columns = lines(
            &mut conn,
            "SELECT m.name || '.' || c.name || ' ' || c.type || iif(c.\"notnull\", '', '?') AS text
             FROM sqlite_master m, pragma_table_info(m.name) c
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE '\\_\\_%' ESCAPE '\\'",
        );
        let mut actual: Vec<_> = columns
            .iter()
            .map(|column| match column.strip_suffix(".seq INTEGER") {
                Some(table) => format!("{table}.seq BIGINT"),
                None => column.clone(),
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
