//! The commands on a PostgreSQL server of the test's own, as an operator would set it up.

mod faults;
mod history;
mod passwords;
mod restarts;
mod roles;
mod tls;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::harness::PostgresServer;
use crate::harness::process::hook_keys;

/// A settings file with a master key: this URL, and these settings of the section `postgres`.
fn settings(directory: &Path, url: &str, postgres: &[(&str, &str)]) -> PathBuf {
    let (file, key) = (directory.join("hook-keys.toml"), directory.join("master.key"));
    std::fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    // All the patience there is, if the test has no other: the machine may be busy.
    let patient = ("timeout", "60s");
    let patient = Some(&patient).filter(|_| postgres.iter().all(|(name, _)| *name != "timeout"));
    let lines = postgres.iter().chain(patient).map(|(name, value)| format!("{name} = \"{value}\"\n"));
    let text = format!(
        "database_url = \"{url}\"\nmaster_key_file = \"{}\"\n[postgres]\n{}",
        key.display(),
        lines.collect::<String>()
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// Runs a command to its end.
fn run(config: &Path, arguments: &[&str]) -> Output {
    hook_keys().args(arguments).arg("--config").arg(config).output().unwrap()
}

/// A role that may log in, and a database of the same name that belongs to it.
fn make_role(server: &PostgresServer, name: &str, password: &str) {
    server.sql(&format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"));
    server.sql(&format!("CREATE DATABASE {name} OWNER {name}"));
}

/// The URL of the role's own database.
fn url(server: &PostgresServer, role: &str) -> String {
    format!("postgres://{role}@127.0.0.1:{}/{role}", server.port())
}
