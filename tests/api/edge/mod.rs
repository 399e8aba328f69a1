//! The edge of the service: TLS, what connections may cost, and how it stops.

mod limits;
mod measure;
mod stopping;
mod tls;
pub mod wire;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::harness::Database;
use crate::harness::process::{Serve, hook_keys, stdout};

/// A directory with a database, a master key and settings.
struct Site {
    database: Database,
    directory: tempfile::TempDir,
}

impl Site {
    fn new(settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let site = Self { database: Database::create(directory.path()), directory };
        std::fs::write(site.file("master.key"), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        chmod(&site.file("master.key"), 0o600);
        site.set(settings);
        site
    }

    /// Gives it other settings. Sections need their headings.
    fn set(&self, settings: &str) {
        let text = format!(
            "database_url = \"{}\"\nmaster_key_file = \"{}\"\n{settings}\n",
            self.database.url(),
            self.file("master.key").display(),
        );
        std::fs::write(self.config(), text).unwrap();
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.file("hook-keys.toml")
    }

    fn start(&self) -> Serve {
        Serve::start(&self.config(), &[])
    }

    /// Runs a command on it.
    fn run(&self, arguments: &[&str]) -> std::process::Output {
        hook_keys().args(arguments).arg("--config").arg(self.config()).output().unwrap()
    }

    /// Makes an org and returns a token that may do everything in it.
    fn token(&self) -> String {
        stdout(&self.run(&["org", "create", "acme"]));
        let told =
            stdout(&self.run(&["token", "create", "--org", "acme", "--name", "test", "--permission", "all"]));
        told.split_whitespace().find(|word| word.starts_with("00")).unwrap().to_owned()
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
