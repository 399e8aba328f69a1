//! A line of the log for programs: one JSON object, flat, its fields named as in the form for people.

use std::fmt::{self, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::lines::is_plain;

/// What a line says of itself. A field of a library that is called the same gets an underscore.
const OWN: [&str; 3] = ["time", "level", "target"];

/// Writes an event of `target`; `line` is empty, and `write_time` writes the time.
pub(super) fn compose(
    line: &mut String,
    write_time: impl FnOnce(&mut String),
    level: Level,
    target: &str,
    event: &Event<'_>,
) {
    line.push_str("{\"time\":\"");
    write_time(line);
    line.push_str("\",\"level\":\"");
    line.push_str(level.as_str());
    line.push_str("\",\"target\":");
    quote(line, target);
    event.record(&mut Members(line));
    line.push_str("}\n");
}

/// Writes fields as members, one after the other.
struct Members<'a>(&'a mut String);

impl Members<'_> {
    fn put(&mut self, field: &Field, value: impl FnOnce(&mut String)) {
        let name = field.name();
        // Of these, the target was made.
        if name.starts_with("log.") {
            return;
        }
        self.0.push_str(if OWN.contains(&name) { ",\"_" } else { ",\"" });
        // A name in the source, which may hold anything that is no quotation mark.
        self.0.push_str(name);
        self.0.push_str("\":");
        value(self.0);
    }

    fn put_number(&mut self, field: &Field, number: impl itoa::Integer) {
        self.put(field, |line| line.push_str(itoa::Buffer::new().format(number)));
    }
}

impl Visit for Members<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, |line| quote(line, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put_number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put_number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, |line| line.push_str(if value { "true" } else { "false" }));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |line| {
            line.push('"');
            // What cannot be shown is cut off; the line stays what it is.
            let _ = write!(Escaped(line), "{value:?}");
            line.push('"');
        });
    }
}

/// Writes a text in quotes.
fn quote(line: &mut String, text: &str) {
    line.push('"');
    if is_plain(text) {
        line.push_str(text);
    } else {
        let _ = Escaped(line).write_str(text);
    }
    line.push('"');
}

/// Escapes what cannot stand within the quotes of JSON (RFC 8259 §7).
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| match character {
            '"' => self.0.write_str("\\\""),
            '\\' => self.0.write_str("\\\\"),
            '\n' => self.0.write_str("\\n"),
            // Those beyond ASCII need not be escaped, but may command a terminal.
            character if character.is_control() => write!(self.0, "\\u{:04x}", u32::from(character)),
            character => self.0.write_char(character),
        })
    }
}
