//! The form of a line of the log: time, level, module, message, and the fields as `name=value`.
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

/// Formats events; spans are not used here.
pub(super) struct Lines {
    /// Whether the level has a colour, for a terminal.
    pub(super) colored: bool,
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
        // Those of libraries that log in another manner say in their fields where they are from.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        write_time(&mut writer)?;
        let (name, color) = level(*metadata.level());
        if self.colored {
            write!(writer, " \x1b[{color}m{name}\x1b[0m ")?;
        } else {
            writer.write_char(' ')?;
            writer.write_str(name)?;
            writer.write_char(' ')?;
        }
        writer.write_str(metadata.target())?;
        writer.write_char(':')?;
        let mut fields = Fields { writer: &mut writer, outcome: Ok(()) };
        event.record(&mut fields);
        fields.outcome?;
        writer.write_char('\n')
    }
}

thread_local! {
    /// The last second that was written, since the epoch, and how.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// Writes the time in UTC to the microsecond (RFC 3339). What a second has in common is made once.
fn write_time(writer: &mut Writer<'_>) -> fmt::Result {
    #[expect(
        clippy::disallowed_methods,
        reason = "the log has the time of the system, whatever clock the service has"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if now.as_secs() != *second || text.is_empty() {
            let seconds = i64::try_from(now.as_secs()).unwrap_or_default();
            let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
            *text = time.format("%Y-%m-%dT%H:%M:%S.").to_string();
            *second = now.as_secs();
        }
        writer.write_str(text)
    })?;
    write!(writer, "{:06}Z", now.subsec_micros())
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
struct Fields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    outcome: fmt::Result,
}

impl Fields<'_, '_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let name = field.name();
        // Of these, [`Lines`] has made the module.
        if self.outcome.is_err() || name.starts_with("log.") {
            return;
        }
        self.outcome = (|| {
            self.writer.write_char(' ')?;
            if name != "message" {
                self.writer.write_str(name)?;
                self.writer.write_char('=')?;
            }
            value(self.writer)
        })();
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, |writer| {
            if value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
                writer.write_char('"')?;
                writer.write_str(value)?;
                return writer.write_char('"');
            }
            write!(writer, "{value:?}")
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |writer| write!(writer, "{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |writer| write!(OneLine(writer), "{value:?}"));
    }
}

/// Escapes what would end the line, or command a terminal.
struct OneLine<'a, 'w>(&'a mut Writer<'w>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !text.chars().any(char::is_control) {
            return self.0.write_str(text);
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

    #[test]
    fn a_line_has_all_fields_and_no_text_breaks_out_of_its_quotes() {
        let kept = Kept::default();
        let writer = kept.clone();
        let log = tracing_subscriber::fmt()
            .event_format(Lines { colored: false })
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(log, || {
            let (plain, nobody) = ("/keys/a-b", None::<&str>);
            tracing::warn!(plain, status = 404_u16, nobody, spoilt = "a\"b\\c\nd e\u{1b}", "refused");
            tracing::info!(method = %"GET\r", "answered {}", "1\n2");
        });
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.split_once('Z').unwrap().1).collect();
        assert_eq!(
            lines,
            [
                r#"  WARN hook_keys::cli::lines::tests: refused plain="/keys/a-b" status=404 spoilt="a\"b\\c\nd e\u{1b}""#,
                "  INFO hook_keys::cli::lines::tests: answered 1\\n2 method=GET\\r",
            ]
        );
    }
}
