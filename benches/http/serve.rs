//! Servers in processes of their own: they end with the value that stands for them.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::plan::REST;

/// The unit in which Linux tells programs of processor time, whatever it counts in itself.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server is at rest when it has used less than this share of a core for some of these spans.
const RESTING_SHARE: f64 = 0.05;
const RESTING_SPAN: Duration = Duration::from_millis(500);
const RESTING_SPANS: usize = 3;

/// How long a server may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(15);

pub(crate) struct Server {
    /// Host and port.
    pub(crate) address: String,
    child: Child,
    log: PathBuf,
    /// Kept open: whoever prints into a closed pipe is ended.
    _printed: BufReader<ChildStdout>,
}

/// Processor time of a process in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Server {
    /// Starts a server that prints `serves http://ADDRESS` when it is ready, without any of our environment. Its
    /// log goes to a file.
    pub(crate) fn start(program: &Path, arguments: &[&str], log: PathBuf) -> Result<Self> {
        let mut command = Command::new(program);
        command.env_clear().args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(File::create(&log)?).spawn()?;
        let printed = child.stdout.take().map(BufReader::new);
        let mut guard = Unready(Some(child));
        let mut printed = printed.ok_or("a child without standard output")?;
        let mut line = String::new();
        printed.read_line(&mut line)?;
        let address = line.trim().rsplit_once("http://").map(|(_, address)| address.to_owned());
        let address = address.ok_or_else(|| {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            format!("{} did not start: {line}{said}", program.display())
        })?;
        let child = guard.0.take().ok_or("a child that is gone")?;
        Ok(Self { address, child, log, _printed: printed })
    }

    /// Waits until nothing goes on in it any more: its pool is full and no request is left.
    pub(crate) fn rest(&self) -> Result<()> {
        let deadline = Instant::now() + REST;
        let mut resting = 0;
        while resting < RESTING_SPANS {
            let before = self.cpu()?.total();
            sleep(RESTING_SPAN);
            let used = self.cpu()?.total() - before;
            resting = if used <= RESTING_SHARE * RESTING_SPAN.as_secs_f64() { resting + 1 } else { 0 };
            if Instant::now() > deadline {
                return Err("a server did not come to rest".into());
            }
        }
        Ok(())
    }

    /// What it has used of the processor so far.
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is the program's name, which may hold anything: fields are counted from its end.
        let fields: Vec<_> = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let seconds = |field: usize| -> Result<f64> {
            let ticks: f64 = fields.get(field).ok_or("a short line in /proc")?.parse()?;
            Ok(ticks / TICKS_PER_SECOND)
        };
        Ok(Cpu { user: seconds(11)?, system: seconds(12)? })
    }

    /// Its resident memory, in MB of a million bytes.
    pub(crate) fn resident(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmRSS")?.parse()?;
        Ok(kib * 1024.0 / 1e6)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked first: a server that ends by itself leaves its database in order.
        if kill_process(Pid::from_child(&self.child), Signal::TERM).is_ok() {
            let deadline = Instant::now() + FAREWELL;
            while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
                sleep(Duration::from_millis(10));
            }
        }
        drop(self.child.kill());
        drop(self.child.wait());
        // One line a request: the logs of a whole run would fill a disk.
        drop(std::fs::remove_file(&self.log));
    }
}

/// A child that has not said where it serves; ended if it never does.
struct Unready(Option<Child>);

impl Drop for Unready {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Cpu {
    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}
