//! The real binary, in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::Client;

/// The binary with an environment in which no setting is set.
pub fn hook_keys() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hook-keys"));
    command.env_clear().env("RUST_BACKTRACE", "0").stdin(Stdio::null());
    command
}

/// Runs a command to its end on a data directory.
pub fn on(data_dir: &Path, arguments: &[&str]) -> Output {
    hook_keys().args(arguments).arg("--data-dir").arg(data_dir).output().unwrap()
}

/// What a command that must succeed printed.
#[track_caller]
pub fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The complaint of a command that must fail with exit code 1.
#[track_caller]
pub fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A running `hook-keys dev`, killed when dropped.
pub struct Dev {
    pub base: String,
    pub token: String,
    /// What it printed when it was ready.
    pub greeting: String,
    /// Where its log goes.
    pub log: PathBuf,
    child: Child,
}

impl Dev {
    /// Starts it on a free port and waits until it is ready.
    pub fn start(data_dir: &Path, more: &[&str]) -> Self {
        Self::start_in(data_dir, more, &[])
    }

    /// The same, with settings as variables.
    pub fn start_in(data_dir: &Path, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let log = data_dir.with_extension("log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut child = hook_keys()
            .args(["dev", "--listen", "127.0.0.1:0", "--pool-size", "4", "--data-dir"])
            .arg(data_dir)
            .args(more)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !greeting.contains("curl ") {
            let read = lines.read_line(&mut greeting).unwrap();
            assert!(read > 0, "it ended early: {}", std::fs::read_to_string(&log).unwrap());
        }
        let after = |label: &str| {
            let line = greeting.lines().find(|line| line.trim().starts_with(label)).unwrap();
            line.trim().strip_prefix(label).unwrap().trim().to_owned()
        };
        Self { base: after("Base URL"), token: after("API token"), greeting: greeting.clone(), log, child }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.base, Some(&format!("SSWS {}", self.token)))
    }

    pub fn log_text(&self) -> String {
        let mut text = String::new();
        std::fs::File::open(&self.log).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// Ends it as a crash would: no handler runs.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end and returns its exit code.
    pub fn terminate(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
