//! How commands speak: results to standard output, all else to standard error. A closed pipe is no error.

use std::io::Write as _;

use chrono::SecondsFormat;
use serde::Serialize;

use crate::domain::Timestamp;
use crate::error::{Error, Result};

/// Prints one line of the result.
pub(super) fn line(text: impl AsRef<str>) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{}", text.as_ref()).and_then(|()| stdout.flush());
}

/// Prints a remark that is not part of the result.
pub(super) fn remark(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
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
    line(text);
    Ok(())
}

/// A moment as commands show it (RFC 3339, UTC, to the second).
pub(super) fn moment(moment: Timestamp) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Prints rows in columns under their titles.
pub(super) fn table<const N: usize>(titles: [&str; N], rows: &[[String; N]]) {
    let mut widths = titles.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        line(padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    print(titles);
    for row in rows {
        print(row.each_ref().map(String::as_str));
    }
}
