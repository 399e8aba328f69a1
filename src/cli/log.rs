//! The log of a server: lines are collected in memory, and a thread of their own writes them to standard error. So no
//! request waits for a disk, or for whoever reads the log.

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;

use super::lines::Lines;
use crate::app::QUIET;
use crate::config::LogFormat;
use crate::error::{Error, Result};

/// How long lines are collected before they are written together.
const PAUSE: Duration = Duration::from_millis(10);

/// How many bytes may wait while nobody reads the log. What comes then is lost, and counted.
const MOST: usize = 8 * 1024 * 1024;

/// Where lines are put. Cheap to clone.
#[derive(Clone)]
pub(super) struct Log(Arc<Shared>);

/// Writes what is left when it is dropped.
pub(super) struct LogWriter {
    log: Log,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    lost: u64,
    ended: bool,
}

/// One line on its way.
pub(super) struct Line<'a>(&'a Shared);

/// Sends the log to standard error, filtered as the settings say, for as long as what is returned is there.
pub(super) fn start(filter: &str, format: LogFormat) -> Result<LogWriter> {
    let filter = self::filter(filter)?;
    let (log, writer) = Log::start(io::stderr())?;
    tracing_subscriber::fmt()
        // Otherwise a line that cannot be written is complained of with eprintln!, which panics.
        .log_internal_errors(false)
        .event_format(match format {
            LogFormat::Human => Lines::Human { colored: io::stderr().is_terminal() },
            LogFormat::Json => Lines::Json,
        })
        .with_env_filter(filter)
        .with_writer(log)
        .init();
    Ok(writer)
}

/// Reads a log filter. A lone word must be a level: the library would take a misspelt one for a module's
/// name and log nothing else.
pub(super) fn filter(text: &str) -> Result<EnvFilter> {
    let refused = |why: String| Error::setup(format!("log: {text:?} is not a log filter: {why}"));
    let is_level = |part: &str| !part.trim().is_empty() && part.trim().parse::<LevelFilter>().is_ok();
    let lone = text.split(',').find(|part| !part.contains('=') && !is_level(part));
    if let Some(word) = lone {
        return Err(refused(format!("{word:?} is none of error, warn, info, debug and trace")));
    }
    let filter: EnvFilter = text.parse().map_err(|error: ParseError| refused(error.to_string()))?;
    let quiet = QUIET.parse().map_err(|error| Error::internal("the log filter", error))?;
    Ok(filter.add_directive(quiet))
}

impl Log {
    /// A log that is written to `out`.
    pub(super) fn start(out: impl Write + Send + 'static) -> Result<(Self, LogWriter)> {
        let log = Self(Arc::default());
        let shared = Arc::clone(&log.0);
        let thread = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || shared.write_until_ended(out))
            .map_err(|error| Error::internal("starting the log", error))?;
        Ok((log.clone(), LogWriter { log, thread }))
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.log.0.lock().ended = true;
        self.log.0.changed.notify_one();
        // Whoever does not read the log does not keep the process from ending.
        for _ in 0..100 {
            if self.thread.is_finished() {
                return;
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_until_ended(&self, mut out: impl Write) {
        let idle = |waiting: &mut Waiting| waiting.text.is_empty() && waiting.lost == 0 && !waiting.ended;
        let mut ended = false;
        while !ended {
            drop(self.changed.wait_while(self.lock(), idle));
            thread::sleep(PAUSE);
            let taken = std::mem::take(&mut *self.lock());
            ended = taken.ended;
            // A log that cannot be written has nowhere to say so.
            drop(out.write_all(&taken.text));
            if taken.lost > 0 {
                drop(writeln!(out, "{} lines of the log are lost: it was read too slowly", taken.lost));
            }
        }
    }
}

impl Write for Line<'_> {
    /// Takes one line, whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        let wake = waiting.text.is_empty();
        if waiting.text.len() + line.len() > MOST {
            waiting.lost += 1;
        } else {
            waiting.text.extend_from_slice(line);
        }
        drop(waiting);
        if wake {
            self.0.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes what is written, but only when it is let.
    struct Slow(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Slow, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (let_it, lets) = mpsc::channel();
        let written = Arc::default();
        (Slow(lets, Arc::clone(&written)), let_it, written)
    }

    fn line(log: &Log, text: &str) {
        log.make_writer().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn lines_come_in_order_and_none_is_missing_at_the_end() {
        let (out, let_it, written) = slow();
        let (log, writer) = Log::start(out).unwrap();
        let numbers: Vec<_> = (0..1000).map(|number| format!("{number}\n")).collect();
        for number in &numbers {
            line(&log, number);
        }
        drop(let_it);
        drop(writer);
        assert_eq!(String::from_utf8(written.lock().unwrap().clone()).unwrap(), numbers.concat());
    }

    #[test]
    fn while_nobody_reads_nobody_waits_and_what_is_lost_is_told() {
        let (out, let_it, written) = slow();
        let (log, writer) = Log::start(out).unwrap();
        let text = "x".repeat(MOST / 4 - 1) + "\n";
        for _ in 0..20 {
            line(&log, &text);
        }
        drop(let_it);
        drop(writer);
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let told = written
            .lines()
            .find_map(|line| line.strip_suffix(" lines of the log are lost: it was read too slowly"));
        let kept = written.lines().filter(|line| line.starts_with('x')).count();
        assert_eq!(kept + told.unwrap().parse::<usize>().unwrap(), 20);
    }
}
