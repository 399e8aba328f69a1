//! How long a large copy takes, and how much memory.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{Binary, Text};
use hook_keys::crypto::SystemEntropy;
use hook_keys::seal::{Keyring, MasterKey, Place, WrappedTerm};

use super::target;
use crate::harness::keys::{ec_jwk, public};
use crate::harness::process::{Dev, hook_keys};

const KEYS: usize = 100_000;

#[derive(QueryableByName)]
struct Wrapped {
    #[diesel(sql_type = Binary)]
    wrapped: Vec<u8>,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    text: String,
}

/// Makes a data directory with many keys, all the same pair, each sealed for its row.
pub fn fill(data: &Path, keys: usize) {
    Dev::start(data, &[]).kill();
    let mut conn = SqliteConnection::establish(&data.join("hook-keys.db").to_string_lossy()).unwrap();
    let terms: Vec<Wrapped> = diesel::sql_query("SELECT wrapped FROM keyring").load(&mut conn).unwrap();
    let orgs: Vec<Line> = diesel::sql_query("SELECT id AS text FROM orgs").load(&mut conn).unwrap();
    let master = std::fs::read_to_string(data.join("master.key")).unwrap();
    let master = MasterKey::parse(master.trim(), "the test").unwrap();
    let terms: Vec<_> =
        terms.into_iter().map(|Wrapped { wrapped }| WrappedTerm { term: 1, wrapped }).collect();
    let keyring = Keyring::unwrap(&master, &terms).unwrap();
    let (org, entropy) = (&orgs[0].text, SystemEntropy::new());
    let (private, shown) = (ec_jwk("k").to_string(), public(ec_jwk("k")).to_string());
    diesel::sql_query("BEGIN").execute(&mut conn).unwrap();
    for number in 0..keys {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let place = Place { table: "keys", column: "private_key", row: &id, org };
        diesel::sql_query(
            "INSERT INTO keys (id, org_id, kid, jwk, private_key, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, 0, 0)",
        )
        .bind::<Text, _>(&id)
        .bind::<Text, _>(org)
        .bind::<Text, _>(&id)
        .bind::<Text, _>(&shown)
        .bind::<Binary, _>(keyring.seal(&place, private.as_bytes(), &entropy).unwrap())
        .execute(&mut conn)
        .unwrap();
    }
    diesel::sql_query("COMMIT").execute(&mut conn).unwrap();
}

#[test]
#[ignore = "measures; scripts/test --long runs it"]
fn a_hundred_thousand_keys_are_copied_in_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fill(&data, KEYS);
    let (_directory, target) = target();
    let (copied, peak) = timed(&data, &["copy", "--to", &target.url()]);
    let (verified, _) = timed(&data, &["keyring", "verify"]);
    eprintln!("{KEYS} keys: {copied:?}, of which {verified:?} to open them; {peak} kB at most");
    assert!(peak < 100_000, "{peak} kB");
}

/// Runs a command that opens all keys: how long it takes, and the most memory that it has, in kB.
fn timed(data: &Path, arguments: &[&str]) -> (Duration, u64) {
    let start = Instant::now();
    let mut command = hook_keys();
    command.args(arguments).arg("--data-dir").arg(data).stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let waiting = std::thread::spawn(move || child.wait_with_output().unwrap());
    let mut peak = 0;
    while !waiting.is_finished() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = peak.max(line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap()));
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = waiting.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with(&format!("{KEYS} sound, 0 broken\n")), "{text}");
    (start.elapsed(), peak)
}
