//! The real `openssl`, in a directory of its own.

use std::io::ErrorKind;
use std::process::{Command, Output};

pub struct Openssl {
    directory: tempfile::TempDir,
}

impl Openssl {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// Writes a file for commands to read.
    pub fn file(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// Runs `openssl` with these arguments, which blanks divide, and returns what it prints.
    #[track_caller]
    pub fn run(&self, arguments: &str) -> String {
        let output = self.output(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A new private key as PKCS#8, kept in `key.pem`. `kind` is what `genpkey` takes behind `-algorithm`.
    pub fn generate(&self, kind: &str) -> String {
        self.run(&format!("genpkey -algorithm {kind} -out key.pem"));
        self.run("pkey -in key.pem")
    }

    /// Fails the test unless openssl reads both halves, finds them sound, and makes the one of the other.
    #[track_caller]
    pub fn check(&self, private: &str, public: &str) {
        self.file("private.pem", private);
        self.run("pkey -in private.pem -check -noout");
        assert_eq!(self.run("pkey -in private.pem -pubout"), public);
        self.check_public(public);
    }

    #[track_caller]
    pub fn check_public(&self, public: &str) {
        self.file("public.pem", public);
        self.run("pkey -pubin -in public.pem -pubcheck -noout");
    }

    /// What a file holds that a command has written.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    /// Runs `openssl` without a word about how that goes.
    pub fn output(&self, arguments: &str) -> Output {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(self.directory.path());
        command.output().unwrap_or_else(|error| match error.kind() {
            ErrorKind::NotFound => panic!("these tests need openssl: scripts/test installs it"),
            _ => panic!("openssl: {error}"),
        })
    }
}

/// What `genpkey` takes behind `-algorithm` for each kind of key that the service stores.
pub const KINDS: [&str; 6] = [
    "RSA -pkeyopt rsa_keygen_bits:2048",
    "EC -pkeyopt ec_paramgen_curve:P-256",
    "EC -pkeyopt ec_paramgen_curve:P-384",
    "EC -pkeyopt ec_paramgen_curve:P-521",
    "ED25519",
    "X25519",
];
