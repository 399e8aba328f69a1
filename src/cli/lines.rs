//! The form of a line of the log: time, level, module, message, and the fields as `name=value`. For programs it is
//! another one ([`json`]).
//!
//! The library's own form, made for every purpose, took a twentieth of the time of a read. Text stands in quotes, and
//! whatever could be taken for the end of it, or of the line, is escaped.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::json;

/// Formats events; spans are not used here.
pub(super) enum Lines {
    /// For people.
    Human {
        /// Whether the level has a colour, for a terminal.
        colored: bool,
    },
    /// For programs.
    Json,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // Taken out: what is shown may write a line itself while it is shown. A thread that ends may have none left.
        let mut scratch = SCRATCH.try_with(RefCell::take).unwrap_or_default();
        scratch.line.clear();
        let outcome = self.compose(&mut scratch, event).and_then(|()| writer.write_str(&scratch.line));
        drop(SCRATCH.try_with(|place| place.replace(scratch)));
        outcome
    }
}

impl Lines {
    fn compose(&self, scratch: &mut Scratch, event: &Event<'_>) -> fmt::Result {
        // Those of libraries that log in another manner say in their fields where they are from.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        let Scratch { line, second } = scratch;
        let Self::Human { colored } = *self else {
            let write_time = |line: &mut String| write_time(line, second);
            json::compose(line, write_time, *metadata.level(), metadata.target(), event);
            return Ok(());
        };
        write_time(line, second);
        let (name, color) = level(*metadata.level());
        if colored {
            write!(line, " \x1b[{color}m{name}\x1b[0m ")?;
        } else {
            line.push(' ');
            line.push_str(name);
            line.push(' ');
        }
        line.push_str(metadata.target());
        line.push(':');
        let mut fields = Fields { line, outcome: Ok(()) };
        event.record(&mut fields);
        fields.outcome?;
        line.push('\n');
        Ok(())
    }
}

/// What a thread needs to make a line, and keeps.
#[derive(Default)]
struct Scratch {
    /// Each piece of a line would cost a call of the writer.
    line: String,
    /// The last second that was written, since the epoch, and how.
    second: (u64, String),
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Writes the time in UTC to the microsecond (RFC 3339). What a second has in common is made once.
fn write_time(line: &mut String, (second, text): &mut (u64, String)) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the log has the time of the system, whatever clock the service has"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if now.as_secs() != *second || text.is_empty() {
        let seconds = i64::try_from(now.as_secs()).unwrap_or_default();
        let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        *text = time.format("%Y-%m-%dT%H:%M:%S.").to_string();
        *second = now.as_secs();
    }
    line.push_str(text);
    // With a digit in front, so that there are zeros.
    let mut digits = itoa::Buffer::new();
    line.push_str(digits.format(1_000_000 + now.subsec_micros()).get(1..).unwrap_or_default());
    line.push('Z');
}

/// Its name, of five characters, and its colour on a terminal.
fn level(level: Level) -> (&'static str, u8) {
    match level {
        Level::ERROR => ("ERROR", 31),
        Level::WARN => (" WARN", 33),
        Level::INFO => (" INFO", 32),
        Level::DEBUG => ("DEBUG", 34),
        Level::TRACE => ("TRACE", 35),
    }
}

/// Writes fields one after the other. The message has no name.
struct Fields<'a> {
    line: &'a mut String,
    outcome: fmt::Result,
}

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut String) -> fmt::Result) {
        let name = field.name();
        // Of these, [`Lines`] has made the module. The route is for programs: people see the path.
        if self.outcome.is_err() || name.starts_with("log.") || name == "route" {
            return;
        }
        self.line.push(' ');
        if name != "message" {
            self.line.push_str(name);
            self.line.push('=');
        }
        self.outcome = value(self.line);
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, |line| {
            if is_plain(value) {
                line.push('"');
                line.push_str(value);
                line.push('"');
                return Ok(());
            }
            write!(line, "{value:?}")
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |line| {
            line.push_str(itoa::Buffer::new().format(value));
            Ok(())
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |line| write!(OneLine(line), "{value:?}"));
    }
}

/// Whether a text can stand in quotes as it is. All bytes are looked at, which is quicker than to ask after each
/// whether to go on.
pub(super) fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    text.bytes().fold(true, |all, byte| all & plain(byte))
}

/// Escapes what would end the line, or command a terminal.
struct OneLine<'a>(&'a mut String);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.chars().any(char::is_control) {
            self.0.push_str(text);
            return Ok(());
        }
        text.chars().try_for_each(|character| match character {
            character if character.is_control() => write!(self.0, "{}", character.escape_debug()),
            character => self.0.write_char(character),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines of some events, without their times.
    fn lines(form: Lines) -> Vec<String> {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = tracing_subscriber::fmt().event_format(form).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(log, || {
            let (plain, nobody) = ("/keys/a-b", None::<&str>);
            let spoilt = "a\"b\\c\nd e\u{1b}\u{e9}";
            tracing::warn!(plain, status = 404_u16, nobody, spoilt, route = "/keys/{key}", "refused");
            tracing::info!(method = %"GET\r", level = -1, fine = true, "answered {}", "1\n\"2\"");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.split_once('Z').unwrap().1.to_owned()).collect()
    }

    #[test]
    fn a_line_has_all_fields_and_no_text_breaks_out_of_its_quotes() {
        assert_eq!(
            lines(Lines::Human { colored: false }),
            [
                "  WARN hook_keys::cli::lines::tests: refused plain=\"/keys/a-b\" status=404 \
                 spoilt=\"a\\\"b\\\\c\\nd e\\u{1b}\u{e9}\"",
                "  INFO hook_keys::cli::lines::tests: answered 1\\n\"2\" method=GET\\r level=-1 fine=true",
            ]
        );
    }

    #[test]
    fn for_programs_a_line_is_one_flat_object_that_every_reader_of_json_reads() {
        let read = |line: &String| -> serde_json::Value {
            serde_json::from_str(&format!("{{\"time\":\"{line}")).unwrap()
        };
        let target = "hook_keys::cli::lines::tests";
        assert_eq!(
            lines(Lines::Json).iter().map(read).collect::<Vec<_>>(),
            [
                serde_json::json!({
                    "time": "", "level": "WARN", "target": target, "message": "refused", "plain": "/keys/a-b",
                    "status": 404, "spoilt": "a\"b\\c\nd e\u{1b}\u{e9}", "route": "/keys/{key}",
                }),
                serde_json::json!({
                    "time": "", "level": "INFO", "target": target, "message": "answered 1\n\"2\"",
                    "method": "GET\r", "_level": -1, "fine": true,
                }),
            ]
        );
    }
}
