//! PostgreSQL, by a driver in Rust: no libpq, TLS by rustls.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::connection::TransactionManager;
use diesel::{Connection, QueryResult, RunQueryDsl};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, Result};

/// A connection that blocks its thread, so that one query text serves both databases.
type PgConn = AsyncConnectionWrapper<AsyncPgConnection>;

/// A connection, and the task that moves its bytes.
pub struct Link {
    pub(in crate::store) conn: PgConn,
    driver: JoinHandle<()>,
}

impl Link {
    /// What ends it, whoever uses it.
    pub(super) fn cut(&self) -> AbortHandle {
        self.driver.abort_handle()
    }

    /// Whether the server or the network has ended it, as far as is known.
    pub(super) fn is_lost(&self) -> bool {
        self.driver.is_finished()
    }

    /// The same, found out by asking. Not inside a transaction.
    pub(super) fn answers(&mut self) -> bool {
        diesel::sql_query("SELECT 1").execute(&mut self.conn).is_ok()
    }
}

/// How long a command may rest within a transaction: one that was stopped must not stop all others.
const IDLE: Duration = Duration::from_secs(60);

/// The first half of the name of the advisory lock that writers hold; the second is the schema, so that two
/// installations may share a database.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1751084907, hashtext(current_schema()))";

/// A directive for the log, whatever else it is told: below `info` the driver writes the values of statements there,
/// which are what stands in bodies, and digests of tokens.
pub const QUIET: &str = "tokio_postgres::query=info";

/// Where a PostgreSQL server is and how to reach it.
#[derive(Clone)]
pub struct Postgres {
    config: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
    patience: Duration,
    /// For messages: without the password.
    shown: String,
}

/// Files that TLS to the server needs.
#[derive(Debug, Clone, Default)]
pub struct TlsFiles {
    /// Certificates to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// The certificate that proves this client, and its private key.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    fn are_given(&self) -> bool {
        self.ca.is_some() || self.client.is_some()
    }
}

impl Postgres {
    /// Reads a URL such as `postgres://user@host:5432/database`. Outside this machine the connection is encrypted
    /// and the server's certificate verified, whatever the URL says. `patience` bounds connecting, and how
    /// long a silent server counts as there.
    pub fn parse(url: &str, password: Option<&str>, files: &TlsFiles, patience: Duration) -> Result<Self> {
        let mut config: tokio_postgres::Config = always_verified(url)
            .parse()
            .map_err(|_| Error::setup("database_url: use postgres://user@host:5432/database"))?;
        if let Some(password) = password {
            config.password(password);
        }
        // Each host gets its part of the time, so that one that is silent leaves some for the next.
        let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(1).max(1);
        config.connect_timeout(patience / hosts);
        config.tcp_user_timeout(patience);
        // In whole seconds: part of one would be none, which no system takes.
        let seconds = patience.max(Duration::from_secs(1));
        config.keepalives_idle(seconds);
        config.keepalives_interval(seconds);
        config.keepalives_retries(1);
        config.application_name(env!("CARGO_PKG_NAME"));
        if config.get_hosts().is_empty() {
            return Err(Error::setup(
                "database_url: it names no host: use postgres://user@host:5432/database",
            ));
        }
        let shown = shown(&config);
        // `hostaddr` says where to connect, whatever the host's name is.
        let local = config.get_hosts().iter().all(is_local)
            && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
        let tls = match config.get_ssl_mode() {
            SslMode::Disable if files.are_given() => {
                return Err(Error::setup(
                    "database_url: sslmode=disable and the certificates of the section postgres contradict each \
                     other: leave one of them out",
                ));
            }
            SslMode::Disable if local => None,
            SslMode::Disable => {
                return Err(Error::setup(format!(
                    "database_url: {shown} is on another machine, so sslmode=disable would send everything in clear: \
                     leave it out"
                )));
            }
            SslMode::Prefer if local && !files.are_given() => None,
            _ => {
                config.ssl_mode(SslMode::Require);
                Some(MakeRustlsConnect::new(client_config(files)?))
            }
        };
        Ok(Self { config, tls, patience, shown })
    }

    /// Opens a connection. It must run on the runtime that drives connections.
    pub(super) async fn open(&self, read_only: bool, limit: Option<Duration>) -> Result<Link> {
        let silent = |_| self.away("it did not answer in time");
        let deadline = Instant::now() + self.patience;
        let (conn, driver) = timeout_at(deadline, self.connect()).await.map_err(silent)??;
        let mut link = Link { conn: PgConn::from(conn), driver };
        let cut = link.cut();
        let preparing = tokio::task::spawn_blocking(move || {
            prepare(&mut link.conn, read_only, limit)?;
            Ok(link)
        });
        match timeout_at(deadline, preparing).await {
            Ok(outcome) => {
                outcome.unwrap_or_else(|fault| Err(Error::internal("opening the database", fault)))
            }
            Err(elapsed) => {
                cut.abort();
                Err(silent(elapsed))
            }
        }
    }

    async fn connect(&self) -> Result<(AsyncPgConnection, JoinHandle<()>)> {
        match &self.tls {
            None => self.connect_by(NoTls).await,
            Some(tls) => self.connect_by(tls.clone()).await,
        }
    }

    async fn connect_by<T>(&self, tls: T) -> Result<(AsyncPgConnection, JoinHandle<()>)>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let connected = self.config.connect(tls).await;
        let (client, connection) = connected.map_err(|error| {
            let refused = error.code().is_some_and(|code| code.code().starts_with("28"));
            let advice = if refused || causes(&error).ends_with("password missing") {
                " (the password is in postgres.password_file or, without that, in database_url)"
            } else {
                ""
            };
            self.away(&format!("{}{advice}", causes(&error)))
        })?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(cause = causes(&error), "a connection to PostgreSQL was lost");
            }
        });
        let opened = AsyncPgConnection::try_from(client).await;
        Ok((opened.map_err(|error| self.away(&error.to_string()))?, driver))
    }

    fn away(&self, cause: &str) -> Error {
        Error::unavailable(&self.shown, cause)
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({})", self.shown)
    }
}

/// Settings of a new connection. `limit` ends statements on the server too, and whoever holds up all writers. Without
/// one, whoever holds them up and does nothing is ended all the same.
fn prepare(conn: &mut PgConn, read_only: bool, limit: Option<Duration>) -> QueryResult<()> {
    let millis = limit.map_or(0, |limit| limit.as_millis());
    for setting in [
        format!("SET statement_timeout = {millis}"),
        format!("SET idle_in_transaction_session_timeout = {}", limit.unwrap_or(IDLE).as_millis()),
        "SET lock_timeout = 0".to_owned(),
        format!("SET default_transaction_read_only = {}", if read_only { "on" } else { "off" }),
    ] {
        diesel::sql_query(setting).execute(conn)?;
    }
    Ok(())
}

/// Begins a transaction that has the only right to write: whoever else writes waits. So what a transaction has
/// looked up stays true until it commits, as on SQLite.
pub(super) fn begin(conn: &mut PgConn) -> QueryResult<()> {
    <PgConn as Connection>::TransactionManager::begin_transaction(conn)?;
    diesel::sql_query(LOCK).execute(conn).map(drop)
}

/// Begins a transaction that only reads, all of it one state of the database.
pub(super) fn begin_snapshot(conn: &mut PgConn) -> QueryResult<()> {
    <PgConn as Connection>::TransactionManager::begin_transaction(conn)?;
    diesel::sql_query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(conn).map(drop)
}

/// The URL with the modes of other drivers that say what is done here in any case.
fn always_verified(url: &str) -> String {
    let Some((start, query)) = url.split_once('?') else { return url.to_owned() };
    let modes = ["sslmode=verify-full", "sslmode=verify-ca"];
    let pairs = query.split('&').map(|pair| if modes.contains(&pair) { "sslmode=require" } else { pair });
    format!("{start}?{}", pairs.collect::<Vec<_>>().join("&"))
}

fn shown(config: &tokio_postgres::Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    format!("PostgreSQL at {}", hosts.collect::<Vec<_>>().join(", "))
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
            name == "localhost" || address.is_ok_and(|address| address.is_loopback())
        }
    }
}

/// An error with its causes, which hold the reason.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

fn client_config(files: &TlsFiles) -> Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("TLS to PostgreSQL", error))?
        .with_root_certificates(roots(files.ca.as_deref())?);
    let Some((certificate, key)) = &files.client else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates("postgres.cert_file", certificate)?;
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("postgres.key_file", key, &error))?;
    builder.with_client_auth_cert(chain, private).map_err(|error| unusable("postgres.key_file", key, &error))
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // What cannot be read of the system's certificates shows when a connection fails for want of them.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in ca.map(|ca| certificates("postgres.ca_file", ca)).transpose()?.unwrap_or_default() {
        let added = roots.add(certificate);
        added.map_err(|error| unusable("postgres.ca_file", ca.unwrap_or(Path::new("")), &error))?;
    }
    Ok(roots)
}

fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable(setting, path, &"it holds no certificate in PEM form")),
        Err(error) => Err(unusable(setting, path, &error)),
    }
}

fn unusable(setting: &str, path: &Path, problem: &dyn fmt::Display) -> Error {
    Error::setup(format!("{setting}: {} cannot be used: {problem}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, files: &TlsFiles) -> Result<Postgres> {
        Postgres::parse(url, None, files, Duration::from_secs(1))
    }

    fn files(directory: &Path) -> TlsFiles {
        let certified = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap();
        let file = |name: &str, text: String| {
            std::fs::write(directory.join(name), text).unwrap();
            directory.join(name)
        };
        let certificate = file("certificate", certified.cert.pem());
        let key = file("key", certified.signing_key.serialize_pem());
        TlsFiles { ca: Some(certificate.clone()), client: Some((certificate, key)) }
    }

    #[test]
    fn only_what_stays_on_this_machine_may_go_in_clear() {
        for url in [
            "postgres://u@127.0.0.1/d",
            "postgres://u@127.8.9.1:5433,localhost/d",
            "postgres://u@[::1]/d",
            "postgres://u@%2Fvar%2Frun%2Fpostgresql/d",
            "postgres:///d?host=/var/run/postgresql",
            "postgres://u@db.example/d?host=localhost&hostaddr=127.0.0.1,127.0.0.1",
        ] {
            let local = !url.contains("db.example");
            assert_eq!(parse(url, &TlsFiles::default()).unwrap().tls.is_none(), local, "{url}");
            let disabled = format!("{url}{}sslmode=disable", if url.contains('?') { '&' } else { '?' });
            assert_eq!(parse(&disabled, &TlsFiles::default()).is_ok(), local, "{disabled}");
        }
        for url in [
            "postgres://u@db.example/d",
            "postgres://u@localhost.example/d",
            "postgres://u@192.0.2.1/d",
            "postgres://u@127.0.0.1,192.0.2.1/d",
            "postgres://u@localhost/d?hostaddr=192.0.2.1",
            "postgres://u@[::2]/d",
        ] {
            for mode in ["prefer", "require", "verify-ca", "verify-full"] {
                let url = format!("{url}{}sslmode={mode}", if url.contains('?') { '&' } else { '?' });
                let server = parse(&url, &TlsFiles::default()).unwrap();
                assert!(server.tls.is_some(), "{url}");
                assert_eq!(server.config.get_ssl_mode(), SslMode::Require, "{url}");
            }
            let url = format!("{url}{}sslmode=disable", if url.contains('?') { '&' } else { '?' });
            let refused = parse(&url, &TlsFiles::default()).unwrap_err().to_string();
            assert!(refused.contains("on another machine"), "{url}: {refused}");
        }
    }

    #[test]
    fn on_this_machine_tls_is_used_when_it_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path());
        let server = parse("postgres://u@localhost/d", &files).unwrap();
        assert!(server.tls.is_some() && server.config.get_ssl_mode() == SslMode::Require);
        let server = parse("postgres://u@localhost/d?sslmode=require", &TlsFiles::default()).unwrap();
        assert!(server.tls.is_some() && server.config.get_ssl_mode() == SslMode::Require);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused_by_its_setting() {
        let directory = tempfile::tempdir().unwrap();
        let good = files(directory.path());
        let (certificate, key) = good.client.clone().unwrap();
        let missing = directory.path().join("missing");
        let empty = directory.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        let another = directory.path().join("another");
        std::fs::write(&another, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let refused = |files: TlsFiles, setting: &str| {
            let refused = parse("postgres://u@localhost/d?sslmode=require", &files).unwrap_err().to_string();
            assert!(refused.starts_with(setting) && refused.contains("cannot be used"), "{refused}");
        };
        for bad in [&missing, &empty, &key] {
            refused(TlsFiles { ca: Some(bad.clone()), client: None }, "postgres.ca_file: ");
            let client = Some((bad.clone(), key.clone()));
            refused(TlsFiles { ca: None, client }, "postgres.cert_file: ");
        }
        for bad in [&missing, &empty, &certificate, &another] {
            let client = Some((certificate.clone(), bad.clone()));
            refused(TlsFiles { ca: None, client }, "postgres.key_file: ");
        }
    }

    #[test]
    fn a_url_that_is_none_or_names_no_host_is_refused_and_not_repeated() {
        for url in ["postgres://u:secret@h:port/d", "postgres://u:secret@/d", "postgres:///d?password=secret"]
        {
            let refused = parse(url, &TlsFiles::default()).unwrap_err().to_string();
            assert!(refused.starts_with("database_url: ") && !refused.contains("secret"), "{refused}");
        }
        let server = Postgres::parse(
            "postgres://u:secret@h/d",
            Some("secret"),
            &TlsFiles::default(),
            Duration::from_secs(1),
        );
        assert_eq!(format!("{:?}", server.unwrap()), "Postgres(PostgreSQL at h)");
    }
}
