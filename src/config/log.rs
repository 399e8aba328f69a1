//! The setting `log_format`.

use crate::error::{Error, Result};

/// The form of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, module, message, and the fields as `name=value`.
    Human,
    /// For programs: a JSON object.
    Json,
}

impl LogFormat {
    pub(super) fn parse(text: &str) -> Result<Self> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(Error::setup(format!("log_format: {text:?} is neither human nor json"))),
        }
    }
}
