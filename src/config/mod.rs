//! Settings. [`layers`] puts their sources together; here they are checked.
//!
//! The sample file is the single list of settings: its keys are the keys there are, its values the
//! defaults. Whatever is not in it is refused.

mod audit;
mod database_url;
pub mod layers;
mod log;
mod metrics;
mod rate_limits;
mod server;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

pub use layers::{CONFIG_VARIABLE, Layers, MASTER_KEY_VARIABLE, SAMPLE, Source};
pub use log::LogFormat;
pub use rate_limits::RateLimitSettings;
pub use server::{Limits, ShutdownSettings, TlsSettings};

use metrics::RawMetrics;
use rate_limits::RawRateLimits;

/// More ready key pairs than any load needs: they take 20 minutes of a core to make.
const LARGEST_POOL: u32 = 10_000;

/// The shortest idle expiry: uses are recorded to the minute, so that much less would end tokens in use.
const SHORTEST_IDLE: Duration = Duration::from_secs(60 * 60);

/// The longest span of an expiry: longer than any installation lives.
const LONGEST_SPAN: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Between a load on the database that nobody wants and a lag that nobody expects.
const POLL_INTERVALS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(2);

/// How other forms of SQLite's and Diesel's URLs go on after `sqlite:`. As paths they would name odd files.
const NO_PATHS: [&str; 3] = ["//", "file:", ":memory:"];

/// All settings, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address and port to serve on.
    pub listen: SocketAddr,
    /// What TLS needs; `None` serves plain HTTP.
    pub tls: Option<TlsSettings>,
    /// What one connection and one request may cost.
    pub limits: Limits,
    /// How the server stops.
    pub shutdown: ShutdownSettings,
    /// Where the data is.
    pub database: DatabaseSettings,
    /// Where the master key comes from, if anywhere.
    pub master_key: MasterKeySource,
    /// Key pairs to keep ready.
    pub pool_size: u32,
    /// The log filter.
    pub log: String,
    /// The form of a line of the log.
    pub log_format: LogFormat,
    /// Proxies whose word about where a request comes from is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Where clients reach the service, without a slash at the end; `None` takes it from each request.
    pub public_url: Option<String>,
    /// Most hook keys of an org without a limit of its own.
    pub hook_keys_per_org: u32,
    /// Most inline hooks of an org.
    pub inline_hooks_per_org: u32,
    /// How long a request's body may take to arrive.
    pub body_timeout: Duration,
    /// The smallest RSA modulus of keys that users bring, in bits.
    pub min_rsa_bits: u32,
    /// What to remember of the database.
    pub cache: CacheSettings,
    /// Address and port to tell metrics on, if any.
    pub metrics_listen: Option<SocketAddr>,
    /// How often clients may come.
    pub rate_limits: RateLimitSettings,
    /// Where and how inline hooks may be called.
    pub outbound: OutboundSettings,
    /// How long rows of the audit trail are kept; `None` for ever.
    pub audit_retention: Option<Duration>,
    /// Idle expiry of tokens made without an expiry of their own.
    pub token_idle_expiry: Duration,
}

/// Where the data is.
#[derive(Debug, Clone)]
pub enum DatabaseSettings {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(PostgresSettings),
}

/// A PostgreSQL server and how to reach it.
#[derive(Clone)]
pub struct PostgresSettings {
    /// `postgres://user@host:5432/database`, perhaps with a password.
    pub url: Zeroizing<String>,
    /// The file that holds the password.
    pub password_file: Option<PathBuf>,
    /// Certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate that proves this client, and its private key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Most connections of this process.
    pub connections: u32,
    /// What connecting may take, and what a request may wait for the database.
    pub timeout: Duration,
}

impl DatabaseSettings {
    /// What a request may wait for the database, if that is limited.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(settings) => Some(settings.timeout),
        }
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresSettings(..)")
    }
}

/// What to remember of the database.
#[derive(Debug, Clone)]
pub struct CacheSettings {
    /// Most rows to remember.
    pub max_rows: u32,
    /// How often to look for what other processes have written.
    pub poll_interval: Duration,
}

/// Where and how inline hooks may be called.
#[derive(Debug, Clone)]
pub struct OutboundSettings {
    /// Ranges that may be called although they are not public.
    pub allow: Vec<IpNet>,
    /// Whether these ranges may also be called over plain HTTP.
    pub allow_http: bool,
    /// Certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// What one attempt may take.
    pub timeout: Duration,
    /// Most calls of hooks at once.
    pub concurrency: u32,
}

/// Where the master key comes from.
#[derive(Clone)]
pub enum MasterKeySource {
    /// Nowhere: commands that need it refuse to run.
    Missing,
    /// A file.
    File(PathBuf),
    /// The environment variable's value.
    Variable(Zeroizing<String>),
}

impl fmt::Debug for MasterKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("Missing"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Variable(_) => f.write_str("Variable(..)"),
        }
    }
}

#[derive(Deserialize)]
struct Raw {
    listen: String,
    database_url: String,
    master_key_file: String,
    public_url: String,
    trusted_proxies: Vec<String>,
    pool_size: i64,
    log: String,
    log_format: String,
    tls: server::RawTls,
    shutdown: server::RawShutdown,
    postgres: RawPostgres,
    cache: RawCache,
    limits: RawLimits,
    rate_limits: RawRateLimits,
    metrics: RawMetrics,
    keys: RawKeys,
    tokens: RawTokens,
    audit: audit::RawAudit,
    outbound: RawOutbound,
}

#[derive(Deserialize)]
struct RawPostgres {
    password_file: String,
    ca_file: String,
    cert_file: String,
    key_file: String,
    connections: i64,
    timeout: String,
}

#[derive(Deserialize)]
struct RawCache {
    max_rows: i64,
    poll_interval: String,
}

#[derive(Deserialize)]
struct RawLimits {
    hook_keys_per_org: i64,
    inline_hooks_per_org: i64,
    body_timeout: String,
    #[serde(flatten)]
    server: server::RawServerLimits,
}

#[derive(Deserialize)]
struct RawKeys {
    min_rsa_bits: i64,
}

#[derive(Deserialize)]
struct RawTokens {
    idle_expiry: String,
}

#[derive(Deserialize)]
struct RawOutbound {
    allow: Vec<String>,
    allow_http: bool,
    ca_file: String,
    timeout: String,
    concurrency: i64,
}

impl Layers {
    /// Checks everything.
    pub fn check(&self) -> Result<Settings> {
        let raw: Raw = self
            .values
            .clone()
            .try_into()
            .map_err(|error| Error::setup(format!("the settings are not valid: {}", error.message())))?;
        let listen = raw.listen.parse().map_err(|_| {
            Error::setup(format!(
                "listen: {:?} is not an address and port such as 127.0.0.1:8080",
                raw.listen
            ))
        })?;
        let database = database(&raw.database_url, raw.postgres)?;
        let master_key = match (raw.master_key_file.as_str(), &self.master_key) {
            ("", None) => MasterKeySource::Missing,
            ("", Some(key)) => MasterKeySource::Variable(key.clone()),
            (path, None) => MasterKeySource::File(path.into()),
            (path, Some(_)) => {
                return Err(Error::setup(format!(
                    "there are two master keys: give either master_key_file ({path}) \
                     or the variable {MASTER_KEY_VARIABLE}"
                )));
            }
        };
        Ok(Settings {
            listen,
            tls: raw.tls.check()?,
            limits: raw.limits.server.check()?,
            shutdown: raw.shutdown.check()?,
            database,
            master_key,
            pool_size: count("pool_size", raw.pool_size, LARGEST_POOL)?,
            log: raw.log,
            log_format: LogFormat::parse(&raw.log_format)?,
            hook_keys_per_org: count("limits.hook_keys_per_org", raw.limits.hook_keys_per_org, u32::MAX)?,
            inline_hooks_per_org: count(
                "limits.inline_hooks_per_org",
                raw.limits.inline_hooks_per_org,
                u32::MAX,
            )?,
            body_timeout: parse_timeout("limits.body_timeout", &raw.limits.body_timeout)?,
            min_rsa_bits: min_rsa_bits(raw.keys.min_rsa_bits)?,
            public_url: parse_public_url(&raw.public_url)?,
            trusted_proxies: parse_ranges("trusted_proxies", &raw.trusted_proxies)?,
            cache: CacheSettings {
                max_rows: count("cache.max_rows", raw.cache.max_rows, 10_000_000)?,
                poll_interval: poll_interval(&raw.cache.poll_interval)?,
            },
            rate_limits: raw.rate_limits.check()?,
            metrics_listen: raw.metrics.check()?,
            outbound: OutboundSettings {
                allow: parse_ranges("outbound.allow", &raw.outbound.allow)?,
                allow_http: raw.outbound.allow_http,
                ca_file: Some(raw.outbound.ca_file).filter(|path| !path.is_empty()).map(PathBuf::from),
                timeout: parse_timeout("outbound.timeout", &raw.outbound.timeout)?,
                concurrency: match count("outbound.concurrency", raw.outbound.concurrency, 10_000)? {
                    0 => return Err(Error::setup("outbound.concurrency: use at least 1")),
                    most => most,
                },
            },
            audit_retention: audit::retention(&raw.audit.retention)?,
            token_idle_expiry: idle_expiry(&raw.tokens.idle_expiry)?,
        })
    }
}

fn database(url: &str, postgres: RawPostgres) -> Result<DatabaseSettings> {
    // Checked in any case: a slip should show before the day on which the setting is needed.
    let postgres = postgres_settings(url, postgres)?;
    if database_url::is_postgres(url) {
        return match database_url::without_password(url) {
            Some(_) => Ok(DatabaseSettings::Postgres(postgres)),
            None if ["sslrootcert=", "sslcert=", "sslkey="].iter().any(|name| url.contains(name)) => {
                Err(Error::setup(
                    "database_url: give certificates as postgres.ca_file, postgres.cert_file and postgres.key_file",
                ))
            }
            None => Err(Error::setup(
                "database_url: use postgres://user@host:5432/database, and write @ : / ? & % in a name or a \
                 password as %40 %3A %2F %3F %26 %25",
            )),
        };
    }
    match url.strip_prefix("sqlite:") {
        Some(path) if !NO_PATHS.iter().any(|start| path.starts_with(start)) && !path.is_empty() => {
            Ok(DatabaseSettings::Sqlite(path.into()))
        }
        _ => Err(Error::setup(
            "database_url: use `sqlite:` and the path of a file, or postgres://user@host:5432/database",
        )),
    }
}

fn postgres_settings(url: &str, raw: RawPostgres) -> Result<PostgresSettings> {
    let file = |path: String| Some(path).filter(|path| !path.is_empty()).map(PathBuf::from);
    let client = match (file(raw.cert_file), file(raw.key_file)) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((certificate, key)),
        _ => return Err(Error::setup("postgres.cert_file and postgres.key_file go together: give both")),
    };
    let connections = u32::try_from(raw.connections).ok().filter(|many| (4..=1000).contains(many));
    let connections = connections.ok_or_else(|| {
        Error::setup(format!("postgres.connections: {} is not between 4 and 1000", raw.connections))
    })?;
    Ok(PostgresSettings {
        url: Zeroizing::new(url.to_owned()),
        password_file: file(raw.password_file),
        ca_file: file(raw.ca_file),
        client,
        connections,
        timeout: parse_timeout("postgres.timeout", &raw.timeout)?,
    })
}

/// Reads a span of time such as `30d` or `12h`: at least a second, at most a hundred years.
pub fn parse_span(name: &str, text: &str) -> Result<Duration> {
    let span = humantime::parse_duration(text).ok();
    span.filter(|span| (Duration::from_secs(1)..=LONGEST_SPAN).contains(span)).ok_or_else(|| {
        Error::setup(format!(
            "{name}: {text:?} is not a span of time: write for example 90d, 12h or 15m, \
             at least 1s and at most 36500d"
        ))
    })
}

fn idle_expiry(text: &str) -> Result<Duration> {
    let span = parse_span("tokens.idle_expiry", text)?;
    if span >= SHORTEST_IDLE { Ok(span) } else { Err(Error::setup("tokens.idle_expiry: use at least 1h")) }
}

/// Reads a time limit such as `3s` or `500ms`: at most a minute.
fn parse_timeout(name: &str, text: &str) -> Result<Duration> {
    let limit = humantime::parse_duration(text).ok();
    let allowed = Duration::from_millis(1)..=Duration::from_secs(60);
    limit.filter(|limit| allowed.contains(limit)).ok_or_else(|| {
        Error::setup(format!(
            "{name}: {text:?} is not a time limit: write for example 3s, at least 1ms and at most 60s"
        ))
    })
}

fn poll_interval(text: &str) -> Result<Duration> {
    let interval = parse_timeout("cache.poll_interval", text)?;
    if POLL_INTERVALS.contains(&interval) {
        return Ok(interval);
    }
    Err(Error::setup("cache.poll_interval: use at least 10ms and at most 2s"))
}

/// From what Kong's own examples use, which nobody should, to the largest that is taken at all.
fn min_rsa_bits(value: i64) -> Result<u32> {
    let bits = u32::try_from(value).ok().filter(|bits| (512..=8192).contains(bits));
    bits.ok_or_else(|| Error::setup(format!("keys.min_rsa_bits: {value} is not between 512 and 8192")))
}

fn count(name: &str, value: i64, most: u32) -> Result<u32> {
    let count = u32::try_from(value).ok().filter(|count| *count <= most);
    count.ok_or_else(|| Error::setup(format!("{name}: {value} is not between 0 and {most}")))
}

fn parse_ranges(name: &str, ranges: &[String]) -> Result<Vec<IpNet>> {
    let range = |text: &String| {
        let address = || text.parse::<IpAddr>().map(IpNet::from).ok();
        text.parse().ok().or_else(address).ok_or_else(|| {
            Error::setup(format!("{name}: {text:?} is not an address range such as 10.1.2.0/24"))
        })
    };
    ranges.iter().map(range).collect()
}

/// A URL of scheme and host alone, or nothing.
fn parse_public_url(text: &str) -> Result<Option<String>> {
    if text.is_empty() {
        return Ok(None);
    }
    let trimmed = text.trim_end_matches('/');
    let url = url::Url::parse(trimmed).ok().filter(|url| {
        ["http", "https"].contains(&url.scheme())
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    });
    match url {
        Some(_) => Ok(Some(trimmed.to_owned())),
        None => {
            Err(Error::setup(format!("public_url: {text:?} is not a URL such as https://keys.example.com")))
        }
    }
}
