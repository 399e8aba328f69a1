//! A PostgreSQL server of a test's own, for tests that stop it or tell it whom to let in.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use super::database;

/// A running server, stopped and removed when dropped.
pub struct PostgresServer {
    directory: tempfile::TempDir,
    url: String,
}

impl PostgresServer {
    /// Makes a cluster and starts it with these settings, each as `name=value`.
    pub fn start(settings: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("hook-keys-postgres").tempdir().unwrap();
        // Run by root, the server has a user of its own, who must get there.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut server = Self { directory, url: String::new() };
        server.url = server.started(settings);
        server
    }

    /// Where its superuser gets in without a password, until the test says otherwise.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port, which stays the same.
    pub fn port(&self) -> &str {
        self.url.rsplit([':', '/']).nth(1).unwrap()
    }

    /// The process that all its others are children of.
    pub fn pid(&self) -> i32 {
        let file = self.directory.path().join("data/postmaster.pid");
        std::fs::read_to_string(file).unwrap().lines().next().unwrap().parse().unwrap()
    }

    /// Stops it: `fast`, or `immediate`, which is a crash.
    pub fn stop(&self, mode: &str) {
        self.script("stop", &[mode]);
    }

    /// Starts it after a stop, with these settings on top of the earlier ones.
    pub fn start_again(&self, settings: &[&str]) {
        assert_eq!(self.started(settings), self.url);
    }

    fn started(&self, settings: &[&str]) -> String {
        self.script("start", settings).trim().to_owned()
    }

    /// Writes a file into its data directory; the next start reads it.
    pub fn put(&self, name: &str, text: &str) {
        let data = self.directory.path().join("data");
        let (file, owner) = (data.join(name), std::fs::metadata(&data).unwrap());
        std::fs::write(&file, text).unwrap();
        std::os::unix::fs::chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Runs SQL as the superuser and returns the first column of what it answers.
    pub fn sql(&self, statements: &str) -> Vec<String> {
        database::run(&self.url, statements)
    }

    fn script(&self, command: &str, more: &[&str]) -> String {
        let output = self.try_script(command, more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn try_script(&self, command: &str, more: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres");
        Command::new(script).arg(command).arg(self.directory.path()).args(more).output().unwrap()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.try_script("stop", &["immediate"]);
    }
}
