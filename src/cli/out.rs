//! How commands speak: results to standard output, all else to standard error. A reader that has gone is no
//! error; a result that could not be written is.

use std::io::{self, Write as _};

use chrono::SecondsFormat;
use serde::Serialize;

use crate::domain::Timestamp;
use crate::error::{Error, Result};

/// Prints one line of the result.
pub(super) fn line(text: impl AsRef<str>) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{}", text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::setup(format!("the result could not be written to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a remark that is not part of the result.
pub(super) fn remark(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

/// Prints an error. The operator at the terminal also sees its private half.
pub(super) fn complain(error: &Error) {
    match error.private() {
        None => remark(format!("hook-keys: {error}")),
        Some(cause) => remark(format!("hook-keys: {error}: {cause}")),
    }
}

/// Prints a result for a script.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Error::internal("printing JSON", error))?;
    line(text)
}

/// A moment as commands show it (RFC 3339, UTC, to the second).
pub(super) fn moment(moment: Timestamp) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Prints rows in columns under their titles.
pub(super) fn table<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> Result<()> {
    let mut widths = titles.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        line(padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    print(titles)?;
    rows.iter().try_for_each(|row| print(row.each_ref().map(String::as_str)))
}
