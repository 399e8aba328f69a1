//! Load by wrk: the table of requests that its script sends, and the line that it answers with.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Result;
use crate::serve::Server;

/// What wrk runs.
const SCRIPT: &str = include_str!("load.lua");

/// One request. `{n}` in the body becomes text that never comes twice.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) token: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn get(path: impl Into<String>, token: &str) -> Self {
        Self { method: "GET", path: path.into(), token: token.to_owned(), body: String::new() }
    }

    pub(crate) fn with_body(method: &'static str, path: impl Into<String>, token: &str, body: &str) -> Self {
        Self { method, path: path.into(), token: token.to_owned(), body: body.to_owned() }
    }
}

/// In which order the requests of a table are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Any of them, each as likely as another.
    Random,
    /// A thread for each connection, and a request of its own for each thread.
    Own,
}

/// A load that can be put on any server, again and again.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    script: PathBuf,
    table: PathBuf,
    connections: u32,
    order: Order,
    /// Milliseconds between an answer and the next request of a connection.
    delay: Option<u32>,
}

/// What came of a load that had no failure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) requests: f64,
    pub(crate) seconds: f64,
    /// What one in a hundred answers takes longer than, in milliseconds.
    pub(crate) p99: f64,
}

/// A load that is under way; it ends when this is dropped.
pub(crate) struct Running(Option<Child>);

impl Load {
    /// Writes the table to `work`.
    pub(crate) fn new(work: &Path, name: &str, requests: &[Request], connections: u32) -> Result<Self> {
        let (script, table) = (work.join("load.lua"), work.join(format!("{name}.tsv")));
        std::fs::write(&script, SCRIPT)?;
        let mut text = String::new();
        for Request { method, path, token, body } in requests {
            writeln!(text, "{method}\t{path}\t{token}\t{body}")?;
        }
        std::fs::write(&table, text)?;
        Ok(Self { script, table, connections, order: Order::Random, delay: None })
    }

    /// The same, but each connection has a request of the table for its own.
    pub(crate) fn of_own_requests(self) -> Self {
        Self { order: Order::Own, ..self }
    }

    /// The same with so many milliseconds between an answer and the next request of a connection.
    pub(crate) fn with_delay(self, delay: u32) -> Self {
        Self { delay: Some(delay), ..self }
    }

    /// Runs it to its end. `salt` tells it apart from other runs on the same database.
    pub(crate) fn run(&self, server: &Server, seconds: u64, salt: &str) -> Result<Outcome> {
        self.start(server, seconds, salt)?.finish()
    }

    pub(crate) fn start(&self, server: &Server, seconds: u64, salt: &str) -> Result<Running> {
        let threads = if self.order == Order::Own { self.connections } else { 1 };
        let order = if self.order == Order::Own { "own" } else { "random" };
        let mut command = Command::new("wrk");
        command
            .args(["-t", &threads.to_string(), "-c", &self.connections.to_string()])
            // Answers that take longer count as failures; wrk's own 2 seconds are few when key pairs are made.
            .args(["-d", &format!("{seconds}s"), "--timeout", "10s", "-s"])
            .arg(&self.script)
            .arg(format!("http://{}", server.address))
            .arg(format!("table={}", self.table.display()))
            .args([format!("order={order}"), format!("salt={salt}")])
            .args(self.delay.map(|delay| format!("delay={delay}")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(Running(Some(command.spawn()?)))
    }
}

impl Running {
    /// What came of it; an error if one request failed.
    pub(crate) fn finish(mut self) -> Result<Outcome> {
        let child = self.0.take().ok_or("this load has ended before")?;
        let output = child.wait_with_output()?;
        let (text, complaints) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let told = || format!("wrk ended with {}:\n{text}{complaints}", output.status);
        let line = text.lines().find_map(|line| line.strip_prefix("outcome "));
        let line = line.filter(|_| output.status.success()).ok_or_else(told)?;
        let numbers = line.split(' ').map(|pair| {
            let (name, number) = pair.split_once('=').ok_or_else(told)?;
            Ok((name, number.parse()?))
        });
        let numbers = numbers.collect::<Result<HashMap<&str, f64>>>()?;
        let number = |name| numbers.get(name).copied().ok_or_else(told);
        for failure in ["status", "connect", "read", "write", "timeout"] {
            if number(failure)? > 0.0 {
                return Err(format!("requests failed ({failure}):\n{text}{complaints}").into());
            }
        }
        if number("requests")? < 1.0 {
            return Err(format!("no request was answered:\n{text}{complaints}").into());
        }
        Ok(Outcome {
            requests: number("requests")?,
            seconds: number("duration_us")? / 1e6,
            p99: number("p99_us")? / 1e3,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Outcome {
    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests / self.seconds
    }
}
