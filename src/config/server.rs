//! Settings of the listener: TLS, what a connection may cost, and how the server stops.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::parse_timeout;
use crate::error::{Error, Result};

/// From what an ordinary request has to what the HTTP parser holds of a head.
const HEAD_BYTES: RangeInclusive<i64> = 1024..=128 * 1024;

/// From what every operation can do with to what a process can hold of many at once.
const BODY_BYTES: RangeInclusive<i64> = 1024..=64 * 1024 * 1024;

/// The parser of JSON itself stops at 128.
const JSON_DEPTHS: RangeInclusive<i64> = 4..=127;

/// One at least, and no more than there are ports.
const CONNECTIONS: RangeInclusive<i64> = 1..=65_535;

/// How long an idle connection may be kept.
const IDLE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60 * 60);

/// How long a stopping server may go on: longer than any supervisor waits.
const LONGEST_STOP: Duration = Duration::from_secs(10 * 60);

/// Which files TLS needs.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// The certificate and those between it and its authority, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// Who must have signed the certificates of clients; `None` asks them for none.
    pub client_ca_file: Option<PathBuf>,
}

/// What one connection and one request may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes of a request line and its headers.
    pub header_bytes: usize,
    /// Most bytes of a request's body.
    pub body_bytes: usize,
    /// Most levels of nesting in JSON.
    pub json_depth: usize,
    /// Most connections at once.
    pub connections: usize,
    /// How long a handshake may take, and the request line and the headers from their first byte on.
    pub head_timeout: Duration,
    /// How long a client may take to receive an answer once it has stopped to take it at once.
    pub answer_timeout: Duration,
    /// How long a connection is kept without a request.
    pub keep_alive: Duration,
}

/// How the server stops.
#[derive(Debug, Clone, Copy)]
pub struct ShutdownSettings {
    /// How long it goes on accepting connections, while `/readyz` says that it will stop.
    pub grace: Duration,
    /// How long requests under way may then take, at least.
    pub timeout: Duration,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the members are settings")]
pub(super) struct RawTls {
    cert_file: String,
    key_file: String,
    client_ca_file: String,
}

#[derive(Deserialize)]
pub(super) struct RawServerLimits {
    header_bytes: i64,
    body_bytes: i64,
    json_depth: i64,
    connections: i64,
    head_timeout: String,
    answer_timeout: String,
    keep_alive: String,
}

#[derive(Deserialize)]
pub(super) struct RawShutdown {
    grace: String,
    timeout: String,
}

impl RawTls {
    pub(super) fn check(self) -> Result<Option<TlsSettings>> {
        let file = |path: String| Some(path).filter(|path| !path.is_empty()).map(PathBuf::from);
        match (file(self.cert_file), file(self.key_file), file(self.client_ca_file)) {
            (Some(cert_file), Some(key_file), client_ca_file) => {
                Ok(Some(TlsSettings { cert_file, key_file, client_ca_file }))
            }
            (None, None, None) => Ok(None),
            (None, None, Some(_)) => Err(Error::setup(
                "tls.client_ca_file: give tls.cert_file and tls.key_file too, or none of them",
            )),
            _ => Err(Error::setup("tls.cert_file and tls.key_file go together: give both")),
        }
    }
}

impl RawServerLimits {
    pub(super) fn check(&self) -> Result<Limits> {
        Ok(Limits {
            header_bytes: within("limits.header_bytes", self.header_bytes, &HEAD_BYTES)?,
            body_bytes: within("limits.body_bytes", self.body_bytes, &BODY_BYTES)?,
            json_depth: within("limits.json_depth", self.json_depth, &JSON_DEPTHS)?,
            connections: within("limits.connections", self.connections, &CONNECTIONS)?,
            head_timeout: parse_timeout("limits.head_timeout", &self.head_timeout)?,
            answer_timeout: parse_timeout("limits.answer_timeout", &self.answer_timeout)?,
            keep_alive: duration("limits.keep_alive", &self.keep_alive, &IDLE, "at least 1s and at most 1h")?,
        })
    }
}

impl RawShutdown {
    pub(super) fn check(&self) -> Result<ShutdownSettings> {
        let allowed = Duration::ZERO..=LONGEST_STOP;
        Ok(ShutdownSettings {
            grace: duration("shutdown.grace", &self.grace, &allowed, "at most 10m")?,
            timeout: duration("shutdown.timeout", &self.timeout, &allowed, "at most 10m")?,
        })
    }
}

fn within(name: &str, value: i64, allowed: &RangeInclusive<i64>) -> Result<usize> {
    let value =
        Some(value).filter(|value| allowed.contains(value)).and_then(|value| usize::try_from(value).ok());
    value.ok_or_else(|| {
        Error::setup(format!("{name}: use a number between {} and {}", allowed.start(), allowed.end()))
    })
}

fn duration(name: &str, text: &str, allowed: &RangeInclusive<Duration>, words: &str) -> Result<Duration> {
    let duration = humantime::parse_duration(text).ok().filter(|duration| allowed.contains(duration));
    duration.ok_or_else(|| {
        Error::setup(format!("{name}: {text:?} is not such a time: write for example 10s, {words}"))
    })
}
