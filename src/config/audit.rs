//! The settings of the audit trail.

use std::time::Duration;

use serde::Deserialize;

use super::parse_span;
use crate::error::{Error, Result};

/// The word for no end.
const FOREVER: &str = "forever";

#[derive(Deserialize)]
pub(super) struct RawAudit {
    pub(super) retention: String,
}

/// How long rows are kept; `None` for ever.
pub(super) fn retention(text: &str) -> Result<Option<Duration>> {
    if text == FOREVER {
        return Ok(None);
    }
    // A slip of the hand, such as 0s, must not remove the whole trail.
    match parse_span("audit.retention", text) {
        Ok(span) if span >= Duration::from_secs(60 * 60) => Ok(Some(span)),
        _ => Err(Error::setup(format!(
            "audit.retention: {text:?} is not a span of time: write for example 90d or 12h, at least 1h and at most \
             36500d, or \"{FOREVER}\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_a_span_or_for_ever_and_never_nothing() {
        assert_eq!(retention("90d").unwrap(), Some(Duration::from_secs(90 * 24 * 60 * 60)));
        assert_eq!(retention("1h").unwrap(), Some(Duration::from_secs(60 * 60)));
        assert_eq!(retention("forever").unwrap(), None);
        for text in ["", "0", "0s", "0d", "59m", "90", "-1d", "40000d", "Forever", "never"] {
            let refused = retention(text).unwrap_err().to_string();
            assert!(refused.starts_with("audit.retention: ") && refused.contains("forever"), "{refused}");
        }
    }
}
