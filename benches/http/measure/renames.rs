//! Renames, against commits of SQLite alone.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use super::creates::count;
use super::{Bench, Data, Tuning};
use crate::Result;
use crate::engine::Engine;
use crate::load::{Load, Request};
use crate::plan::CONNECTIONS;
use crate::rounds::Rounds;
use crate::row::{Row, Section, Target, Unit};
use crate::serve::Server;

diesel::table! {
    things (id) {
        id -> BigInt,
        name -> Text,
    }
}

pub(super) fn measure(bench: &Bench, all: &[Data]) -> Result<Section> {
    let mut rows = Vec::new();
    for data in all {
        let (server, load) = renaming(bench, data)?;
        let rename = |round| Ok(load.run(&server, bench.plan.seconds, &format!("renamed-{round}"))?.rate());
        let what = format!("rename, {}", data.engine.name());
        rows.push(match data.engine {
            Engine::Sqlite => {
                let mut raw = Commits::new(bench)?;
                let span = Duration::from_secs(bench.plan.seconds);
                let rounds = Rounds::interleave(bench.plan.rounds, rename, |_| raw.run(span))?;
                Row::ratio(what, &rounds, Unit::PerSecond, Some(Target::AtLeast(0.50)))
            }
            Engine::Postgres => {
                let rates = (0..bench.plan.rounds).map(rename).collect::<Result<Vec<_>>>()?;
                Row::median(what, &rates, Unit::PerSecond, None)
            }
        });
    }
    Ok(Section {
        title: "Renames".to_owned(),
        how: format!(
            "Renames per second by {CONNECTIONS} clients, each of a key of its own and to a new name each time. The \
             reference is SQLite alone on the same disk: one thread, one table of two columns, and for each commit \
             `BEGIN IMMEDIATE`, an update of one row by its key, and `COMMIT`, with `journal_mode = WAL` and \
             `synchronous = FULL` as the service has them. Renames that come together share a commit in the service; that is \
             the point of it, and the reference has nobody to share with."
        ),
        rows,
        notes: Vec::new(),
    })
}

fn renaming(bench: &Bench, data: &Data) -> Result<(Server, Load)> {
    let server = bench.serve_at_rest(&data.written, &Tuning::default())?;
    let org = data.written.first()?;
    let clients = CONNECTIONS as usize;
    let requests: Vec<_> = org
        .keys
        .iter()
        .take(clients)
        .map(|key| {
            let path = format!("/api/v1/hook-keys/{}", key.id);
            Request::with_body("PUT", path, &org.token, r#"{"name":"{n}"}"#)
        })
        .collect();
    let load = Load::new(&bench.work, "rename", &requests, CONNECTIONS)?.of_own_requests();
    load.run(&server, bench.plan.warm_up, "renamed-warm-up")?;
    Ok((server, load))
}

/// SQLite alone.
struct Commits {
    conn: SqliteConnection,
    number: usize,
}

impl Commits {
    fn new(bench: &Bench) -> Result<Self> {
        let path = bench.work.join("commits.db");
        let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
        conn.batch_execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
             INSERT INTO things (id, name) VALUES (1, '');",
        )?;
        let mut commits = Self { conn, number: 0 };
        commits.run(Duration::from_secs(bench.plan.warm_up))?;
        Ok(commits)
    }

    /// Commits a second.
    fn run(&mut self, span: Duration) -> Result<f64> {
        let (start, first) = (Instant::now(), self.number);
        while start.elapsed() < span {
            self.number += 1;
            self.conn.batch_execute("BEGIN IMMEDIATE")?;
            diesel::update(things::table.find(1))
                .set(things::name.eq(format!("name {}", self.number)))
                .execute(&mut self.conn)?;
            self.conn.batch_execute("COMMIT")?;
        }
        Ok(count(self.number - first) / start.elapsed().as_secs_f64())
    }
}
