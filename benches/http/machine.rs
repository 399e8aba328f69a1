//! What the figures were taken on: the machine, and the versions of everything that takes part.

use std::path::Path;
use std::process::Command;

use diesel::prelude::*;
use diesel::sql_types::Text;
use hook_keys::domain::clock::{Clock as _, SystemClock};

use crate::Result;
use crate::engine::sql;
use crate::measure::Bench;

/// Facts by their names, in the order of the report.
pub(crate) struct Machine {
    pub(crate) facts: Vec<(&'static str, String)>,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    text: String,
}

impl Machine {
    pub(crate) fn look(bench: &Bench) -> Result<Self> {
        let info = std::fs::read_to_string("/proc/cpuinfo")?;
        let cores = std::thread::available_parallelism()?;
        let memory = std::fs::read_to_string("/proc/meminfo")?;
        let memory: f64 = field(&memory, "MemTotal").trim_end_matches(" kB").parse()?;
        let facts = vec![
            ("Date", SystemClock.now().format("%Y-%m-%d").to_string()),
            ("Commit", commit()?),
            ("Processor", format!("{}, {cores} cores for this run", field(&info, "model name"))),
            ("Memory", format!("{:.0} GiB", memory / 1024.0 / 1024.0)),
            ("Kernel", format!("Linux {}", std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim())),
            ("Disk of all databases", disk(&bench.work)?),
            ("Rust", first_line("rustc", &["--version"])?),
            ("SQLite", format!("{} (bundled)", sqlite()?)),
            ("PostgreSQL", sql(&bench.postgres, "SHOW server_version")?.unwrap_or_default()),
            ("PostgreSQL's fsync", sql(&bench.postgres, "SHOW fsync")?.unwrap_or_default()),
            ("Load generator", wrk()?),
        ];
        Ok(Self { facts })
    }
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim())
}

/// The report itself does not count: it is written after this look.
fn commit() -> Result<String> {
    let commit = first_line("git", &["describe", "--always", "--tags", "--abbrev=12"])?;
    let changed = first_line(
        "git",
        &["status", "--porcelain", "--", ".", ":!docs/BENCHMARKS.md", ":!docs/benchmarks.svg"],
    )?;
    Ok(if changed.is_empty() { commit } else { format!("{commit}, with changes that are not committed") })
}

fn disk(work: &Path) -> Result<String> {
    let output = Command::new("df").args(["--output=fstype,source"]).arg(work).output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut words = text.lines().nth(1).unwrap_or_default().split_whitespace();
    Ok(format!("{} on {}", words.next().unwrap_or("unknown"), words.next().unwrap_or("unknown")))
}

fn sqlite() -> Result<String> {
    let mut conn = SqliteConnection::establish(":memory:")?;
    let line: Line = diesel::sql_query("SELECT sqlite_version() AS text").get_result(&mut conn)?;
    Ok(line.text)
}

/// wrk prints its version and fails.
fn wrk() -> Result<String> {
    let output = Command::new("wrk").arg("-v").output()?;
    let text = String::from_utf8(output.stdout)?;
    let version: Vec<_> = text.split_whitespace().take(2).collect();
    Ok(version.join(" "))
}

fn first_line(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        return Err(format!("{program} {arguments:?} failed").into());
    }
    Ok(String::from_utf8(output.stdout)?.lines().next().unwrap_or_default().to_owned())
}
