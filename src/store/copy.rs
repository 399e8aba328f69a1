//! All rows of one database, moved into another as they are. A test compares the tables here with `schema.rs`.

use diesel::dsl::count_star;
use diesel::prelude::*;

use super::conn::{Conn, Db, on_backend};
use super::migrate;
use super::schema::{api_tokens, audit_events, hook_keys, inline_hooks, key_sets, keyring, keys, orgs, tags};
use crate::error::{Error, Result};

/// Rows that are in memory at once. A key has some 100 kB at most.
const PAGE: i64 = 100;

/// How many rows a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// The table.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
}

/// Told of each batch how many rows it has.
type Copied<'a> = &'a mut dyn FnMut(u64);

/// One table, whatever its rows are.
struct Table {
    name: &'static str,
    #[cfg(test)]
    columns: &'static [(&'static str, &'static str)],
    count: fn(&mut Conn) -> Result<u64>,
    copy: fn(&mut Conn, &mut Conn, Copied<'_>) -> Result<()>,
}

/// A row of one table.
trait Row: Sized {
    /// What the rows are ordered by.
    type Key;

    const TABLE: &'static str;

    fn count(conn: &mut Conn) -> Result<u64>;

    /// The next rows, each with its place in the order.
    fn page(conn: &mut Conn, after: Option<&Self::Key>) -> Result<Vec<(Self::Key, Self)>>;

    fn insert(conn: &mut Conn, rows: &[Self]) -> Result<()>;

    /// The columns with their texts.
    fn texts(&self) -> Vec<(&'static str, &str)>;
}

/// Declares the tables, their rows, and the columns by which the rows are ordered. A `seq` is drawn anew: it says
/// nothing but the order, in which the rows are inserted.
macro_rules! tables {
    ($($table:ident as $row:ident by $order:ident: $key:ty { $($column:ident: $kind:ty,)* })*) => {
        const TABLES: &[Table] = &[$(Table {
            name: stringify!($table),
            #[cfg(test)]
            columns: &[$((stringify!($column), stringify!($kind))),*],
            count: $row::count,
            copy: copy::<$row>,
        }),*];

        $(
            #[derive(Queryable, Selectable, Insertable)]
            #[diesel(table_name = $table, treat_none_as_default_value = false)]
            struct $row {
                $($column: $kind,)*
            }

            impl Row for $row {
                type Key = $key;

                const TABLE: &'static str = stringify!($table);

                fn count(conn: &mut Conn) -> Result<u64> {
                    let rows: i64 = on_backend!(conn, |c| $table::table.select(count_star()).first(c))?;
                    Ok(rows.unsigned_abs())
                }

                fn page(conn: &mut Conn, after: Option<&$key>) -> Result<Vec<($key, Self)>> {
                    Ok(on_backend!(conn, |c| {
                        let columns = ($table::$order, Self::as_select());
                        let mut query = $table::table.select(columns).into_boxed();
                        if let Some(after) = after {
                            query = query.filter($table::$order.gt(after));
                        }
                        query.order($table::$order).limit(PAGE).load(c)
                    })?)
                }

                fn insert(conn: &mut Conn, rows: &[Self]) -> Result<()> {
                    on_backend!(conn, |c| diesel::insert_into($table::table).values(rows).execute(c))?;
                    Ok(())
                }

                fn texts(&self) -> Vec<(&'static str, &str)> {
                    let cells = [$((stringify!($column), self.$column.text())),*];
                    cells.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
                }
            }
        )*
    };
}

// In this order: a row comes after those it refers to.
tables! {
    orgs as OrgRow by id: String {
        id: String,
        name: String,
        hook_key_limit: Option<i64>,
        created_ms: i64,
    }
    keyring as TermRow by term: i32 {
        term: i32,
        wrapped: Vec<u8>,
        created_ms: i64,
    }
    api_tokens as TokenRow by seq: i64 {
        id: String,
        org_id: String,
        name: String,
        digest: Vec<u8>,
        permissions: String,
        created_ms: i64,
        last_used_ms: Option<i64>,
        idle_ms: Option<i64>,
        expires_ms: Option<i64>,
        revoked_ms: Option<i64>,
    }
    hook_keys as HookKeyRow by seq: i64 {
        id: String,
        org_id: String,
        key_id: String,
        name: String,
        modulus: String,
        private_key: Vec<u8>,
        created_ms: i64,
        updated_ms: i64,
    }
    inline_hooks as InlineHookRow by seq: i64 {
        id: String,
        org_id: String,
        name: String,
        status: String,
        kind: String,
        version: String,
        channel: String,
        headers: Option<Vec<u8>>,
        secret: Option<Vec<u8>>,
        hook_key_id: Option<String>,
        created_ms: i64,
        updated_ms: i64,
    }
    key_sets as KeySetRow by seq: i64 {
        id: String,
        org_id: String,
        name: Option<String>,
        tags: Option<String>,
        created_ms: i64,
        updated_ms: i64,
    }
    keys as KeyRow by seq: i64 {
        id: String,
        org_id: String,
        set_id: Option<String>,
        name: Option<String>,
        kid: String,
        jwk: Option<String>,
        pem_public: Option<String>,
        pem_reference: Option<String>,
        private_key: Option<Vec<u8>>,
        tags: Option<String>,
        created_ms: i64,
        updated_ms: i64,
    }
    tags as TagRow by seq: i64 {
        org_id: String,
        key_id: Option<String>,
        set_id: Option<String>,
        tag: String,
    }
    audit_events as AuditEventRow by seq: i64 {
        id: String,
        org_id: Option<String>,
        at_ms: i64,
        kind: String,
        outcome: String,
        reason: Option<String>,
        actor: String,
        actor_id: Option<String>,
        actor_name: String,
        address: Option<String>,
        request_id: Option<String>,
        targets: String,
    }
}

/// A value that may be a text.
trait Cell {
    fn text(&self) -> Option<&str> {
        None
    }
}

impl Cell for i32 {}
impl Cell for i64 {}
impl Cell for Vec<u8> {}

impl Cell for String {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl<T: Cell> Cell for Option<T> {
    fn text(&self) -> Option<&str> {
        self.as_ref().and_then(T::text)
    }
}

/// What each table holds. A database that lacks a table holds nothing there. Changes nothing.
pub async fn held(db: &Db) -> Result<Vec<Count>> {
    db.look(|conn| {
        let there = migrate::tables(conn)?;
        TABLES
            .iter()
            .filter(|table| there.iter().any(|name| name == table.name))
            .map(|table| of(table, conn))
            .collect()
    })
    .await
}

/// What each table holds, in a database at this version's schema.
pub fn counts(conn: &mut Conn) -> Result<Vec<Count>> {
    TABLES.iter().map(|table| of(table, conn)).collect()
}

fn of(table: &Table, conn: &mut Conn) -> Result<Count> {
    Ok(Count { table: table.name, rows: (table.count)(conn)? })
}

/// Inserts all rows of `from` into `into`, whose tables must be empty. `copied` is told of each batch how many
/// rows it has.
pub fn rows(from: &mut Conn, into: &mut Conn, mut copied: impl FnMut(u64)) -> Result<()> {
    TABLES.iter().try_for_each(|table| (table.copy)(from, into, &mut copied))
}

fn copy<R: Row>(from: &mut Conn, into: &mut Conn, copied: Copied<'_>) -> Result<()> {
    let mut after = None;
    loop {
        let page = R::page(from, after.as_ref()).map_err(|error| error.within(R::TABLE).about("source"))?;
        let (mut keys, rows): (Vec<_>, Vec<_>) = page.into_iter().unzip();
        after = keys.pop();
        if after.is_none() {
            return Ok(());
        }
        if matches!(into, Conn::Postgres(_)) {
            rows.iter().try_for_each(without_nul)?;
        }
        R::insert(into, &rows).map_err(|error| error.within(R::TABLE).about("target"))?;
        copied(rows.len() as u64);
    }
}

/// Refuses a text that PostgreSQL cannot store. Nothing that comes in by the API has one, but SQLite takes it from
/// another hand.
fn without_nul<R: Row>(row: &R) -> Result<()> {
    let texts = row.texts();
    let Some((column, _)) = texts.iter().find(|(_, text)| text.contains('\0')) else { return Ok(()) };
    // A tag has no id of its own.
    let named = ["id", "key_id", "set_id"];
    let id = named.iter().find_map(|name| texts.iter().find(|(column, _)| column == name));
    let table = R::TABLE;
    Err(Error::setup(format!(
        "source: {table}.{column} of {} holds the character U+0000, which PostgreSQL cannot store: change it or \
         delete the row, and copy again",
        id.map_or("a row", |(_, id)| id)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `table.column: type` of every column but `seq`.
    fn declared(source: &str) -> Vec<String> {
        let mut table = "";
        let mut columns = Vec::new();
        for line in source.lines().map(str::trim) {
            if let Some((name, _)) = line.split_once(" (") {
                table = name;
            } else if let Some((column, kind)) = line.trim_end_matches(',').split_once(" -> ") {
                let kind = kind
                    .replace("Nullable", "Option")
                    .replace("Text", "String")
                    .replace("Binary", "Vec<u8>")
                    .replace("BigInt", "i64")
                    .replace("Integer", "i32");
                columns.push(format!("{table}.{column}: {kind}"));
            }
        }
        columns.retain(|column| !column.ends_with(".seq: i64"));
        // What a process has yet to see, and what a version must know: both are the database's own.
        columns.retain(|column| !column.starts_with("changes.") && !column.starts_with("schema_floor."));
        columns.sort();
        columns
    }

    #[test]
    fn every_column_of_every_table_is_copied() {
        let mut copied: Vec<_> = TABLES
            .iter()
            .flat_map(|table| {
                table.columns.iter().map(|(column, kind)| format!("{}.{column}: {kind}", table.name))
            })
            .collect();
        copied.sort();
        assert_eq!(copied, declared(include_str!("schema.rs")));
    }

    #[test]
    fn a_text_that_postgresql_cannot_store_is_told_with_its_place() {
        let mut tag = TagRow {
            org_id: "00o1".to_owned(),
            key_id: None,
            set_id: Some("s1".to_owned()),
            tag: "a".to_owned(),
        };
        without_nul(&tag).unwrap();
        tag.tag.push('\0');
        let refused = without_nul(&tag).unwrap_err().to_string();
        assert!(refused.contains("tags.tag of s1 holds the character U+0000"), "{refused}");
    }
}
