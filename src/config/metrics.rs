//! The section `metrics`.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::error::{Error, Result};

#[derive(Deserialize)]
pub(super) struct RawMetrics {
    listen: String,
}

impl RawMetrics {
    /// The address and port to tell metrics on, if any.
    pub(super) fn check(&self) -> Result<Option<SocketAddr>> {
        if self.listen.is_empty() {
            return Ok(None);
        }
        let address = self.listen.parse().map_err(|_| {
            Error::setup(format!(
                "metrics.listen: {:?} is not an address and port such as 127.0.0.1:9464; leave it empty for none",
                self.listen
            ))
        })?;
        Ok(Some(address))
    }
}
