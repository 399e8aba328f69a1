//! The real binary, in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use hook_keys::crypto::SystemEntropy;
use hook_keys::domain::Entropy as _;
use rustix::process::{Pid, Signal};

use super::{Client, PATIENCE, cache_rows};

/// Most tests make few key pairs. To have some ready would take longer than all else that their servers do.
const NO_POOL: (&str, &str) = ("HOOK_KEYS_POOL_SIZE", "0");

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
    process: Process,
}

impl Dev {
    /// Starts it on a free port and waits until it is ready.
    pub fn start(data_dir: &Path, more: &[&str]) -> Self {
        Self::start_in(data_dir, more, &[])
    }

    /// The same, with settings as variables.
    pub fn start_in(data_dir: &Path, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = hook_keys();
        command
            .args(["dev", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(more)
            .env(NO_POOL.0, NO_POOL.1)
            .envs(cache_rows())
            .envs(variables.iter().copied());
        let log = data_dir.with_extension("log");
        let mut process = Process::start(command, log.clone());
        let greeting = process.printed_until("curl ");
        let after = |label: &str| {
            let line = greeting.lines().find(|line| line.trim().starts_with(label)).unwrap();
            line.trim().strip_prefix(label).unwrap().trim().to_owned()
        };
        Self { base: after("Base URL"), token: after("API token"), greeting: greeting.clone(), log, process }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.base, Some(&format!("SSWS {}", self.token)))
    }

    /// Its log, up to now.
    pub fn log_text(&self) -> String {
        self.process.log_up_to_now(&self.base)
    }

    /// Ends it as a crash would: no handler runs.
    pub fn kill(self) {
        self.process.kill();
    }

    /// Asks it to end and returns its exit code.
    pub fn terminate(self) -> Option<i32> {
        self.process.terminate()
    }
}

/// An address whose port is below those that the system hands out: nobody takes it while a test has its node down.
fn free_address() -> String {
    loop {
        let mut random = [0; 2];
        SystemEntropy::new().fill(&mut random).unwrap();
        let address = format!("127.0.0.1:{}", 10_000 + u16::from_le_bytes(random) % 10_000);
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// A running `hook-keys serve`, killed when dropped.
pub struct Serve {
    pub base: String,
    process: Process,
}

impl Serve {
    /// Starts it on a free port, with a settings file and more arguments, and waits until it is ready.
    pub fn start(config: &Path, more: &[&str]) -> Self {
        Self::start_on(&free_address(), config, more)
    }

    /// The same on an address of the test's choice, such as that of one that was killed.
    pub fn start_on(listen: &str, config: &Path, more: &[&str]) -> Self {
        Self::start_in(listen, config, more, &[])
    }

    /// The same with variables.
    pub fn start_in(listen: &str, config: &Path, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = hook_keys();
        command.args(["serve", "--listen", listen, "--config"]).arg(config).args(more);
        command.env(NO_POOL.0, NO_POOL.1).envs(cache_rows()).envs(variables.iter().copied());
        // One each: a test may start several on the same settings.
        let log =
            tempfile::Builder::new().prefix("serve").suffix(".log").tempfile_in(config.parent().unwrap());
        let (_, log) = log.unwrap().keep().unwrap();
        let mut process = Process::start(command, log);
        let line = process.printed_until("serves http");
        let base = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { base, process }
    }

    /// For `start_on`.
    pub fn address(&self) -> &str {
        self.base.rsplit('/').next().unwrap()
    }

    pub fn client(&self, token: &str) -> Client {
        Client::new(&self.base, Some(&format!("SSWS {token}")))
    }

    /// Its log, up to now.
    pub fn log_text(&self) -> String {
        self.process.log_up_to_now(&self.base)
    }

    /// Ends it as a crash would: no handler runs.
    pub fn kill(self) {
        self.process.kill();
    }

    /// Asks it to end and returns its exit code.
    pub fn terminate(self) -> Option<i32> {
        self.process.terminate()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Its exit code, once it ends; `None` if a signal has ended it.
    pub fn ended(mut self) -> Option<i32> {
        self.process.child.wait().unwrap().code()
    }

    /// Waits until its log holds this text `times` times, and returns the log.
    pub fn logged(&self, text: &str, times: usize) -> String {
        let begun = Instant::now();
        loop {
            let log = self.process.log_text();
            if log.matches(text).count() >= times {
                return log;
            }
            assert!(begun.elapsed() < PATIENCE, "{text:?} is not logged {times} times: {log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A process that prints a line when it is ready and then goes on. Its log goes to a file.
struct Process {
    child: Child,
    printed: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Process {
    fn start(mut command: Command, log: PathBuf) -> Self {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let printed = BufReader::new(child.stdout.take().unwrap());
        Self { child, printed, log }
    }

    /// What it has printed by the end of the line with `sign` in it.
    fn printed_until(&mut self, sign: &str) -> String {
        let mut text = String::new();
        while !text.contains(sign) {
            let read = self.printed.read_line(&mut text).unwrap();
            assert!(read > 0, "it ended early: {}", self.log_text());
        }
        text
    }

    fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The log with everything that was answered before. Its lines are written a moment after the answers, in order.
    fn log_up_to_now(&self, base: &str) -> String {
        let mut random = [0; 8];
        SystemEntropy::new().fill(&mut random).unwrap();
        let path = format!("/log-up-to-{}", u64::from_le_bytes(random));
        let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: log\r\nConnection: close\r\n\r\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        let begun = Instant::now();
        loop {
            let text = self.log_text();
            if text.contains(&path) {
                return text;
            }
            assert!(begun.elapsed() < PATIENCE, "{path} is not logged");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
