//! `hook-keys serve`, and what it shares with `dev`.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use clap::Args;

use super::log::LogWriter;
use super::running::{Hangups, Stops, allow_files, until_stopped};
use super::{Location, log, out};
use crate::app::{App, Base, Files, Parts, Purpose};
use crate::config::{Layers, Settings};
use crate::error::{Error, Result};
use crate::http;

#[derive(Args)]
pub(super) struct Serve {
    #[command(flatten)]
    location: Location,
    #[command(flatten)]
    overrides: Overrides,
    /// Refuse to start when a migration is pending, instead of applying it.
    #[arg(long)]
    no_migrate: bool,
}

/// Flags that overrule settings.
#[derive(Args)]
pub(super) struct Overrides {
    /// Address and port to serve on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Key pairs to keep ready.
    #[arg(long, value_name = "N")]
    pool_size: Option<u32>,
    /// What to log: error, warn, info, debug, trace, or directives.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

impl Overrides {
    /// Checks the settings with these flags on top, and starts the log, to be held until the end.
    pub(super) fn settle(&self, layers: Layers) -> Result<(Settings, LogWriter)> {
        let layers = self.apply(layers)?;
        let settings = layers.check()?;
        let log = log::start(&settings.log, settings.log_format)?;
        for name in layers.unknown_variables() {
            tracing::warn!(name, "this variable looks like a setting but is none");
        }
        Ok((settings, log))
    }

    fn apply(&self, mut layers: Layers) -> Result<Layers> {
        if let Some(listen) = &self.listen {
            layers = layers.with_flag("listen", listen.as_str())?;
        }
        if let Some(size) = self.pool_size {
            layers = layers.with_flag("pool_size", i64::from(size))?;
        }
        if let Some(log) = &self.log {
            layers = layers.with_flag("log", log.as_str())?;
        }
        Ok(layers)
    }
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode> {
        let (settings, _log) = self.overrides.settle(self.location.data_layers()?)?;
        serve(
            &settings,
            !self.no_migrate,
            || Ok(()),
            async |_| Ok(()),
            |address, ()| {
                let scheme = if settings.tls.is_some() { "https" } else { "http" };
                out::line(format!("hook-keys {} serves {scheme}://{address}", env!("CARGO_PKG_VERSION")))
            },
        )
    }
}

/// Serves until a signal. `begin` runs once the port is known to be free, and nothing is written before it;
/// what it returns is held until the start is over. Without `migrate`, a database that lacks migrations is refused.
/// `prepare` runs on the migrated database; `announce` gets
/// the real address and what `prepare` returned.
pub(super) fn serve<G, T>(
    settings: &Settings,
    migrate: bool,
    begin: impl FnOnce() -> Result<G>,
    prepare: impl AsyncFnOnce(&Base) -> Result<T>,
    announce: impl FnOnce(SocketAddr, T) -> Result<()>,
) -> Result<ExitCode> {
    actix_web::rt::System::new().block_on(async {
        let hangups = Hangups::listen()?;
        allow_files(settings.limits.connections);
        let listener = TcpListener::bind(settings.listen).map_err(|error| {
            Error::setup(format!(
                "{} cannot be listened on: {error}; choose another --listen",
                settings.listen
            ))
        })?;
        let address =
            listener.local_addr().map_err(|error| Error::internal("the listener's address", error))?;
        let metrics = settings.metrics_listen.map(listen_for_metrics).transpose()?;
        let start = begin()?;
        // Before the database is touched: a migration cannot be taken back.
        let files = Files::read(settings)?;
        let base = Base::open(settings, Parts::default(), Purpose::Serve { migrate }).await?;
        let prepared = prepare(&base).await?;
        let app = Arc::new(App::build(settings, &files, base).await?);
        drop(start);
        if let Some((_, certificate)) = &files.tls {
            tracing::info!("TLS with the certificate with the {certificate}");
        }
        let server = http::server(Arc::clone(&app), listener)?;
        let metrics = metrics.map(|listener| tell_metrics(&app, listener)).transpose()?;
        let stops = Stops::listen()?;
        announce(address, prepared)?;
        let outcome = until_stopped(server, &app, hangups, stops, settings.shutdown.grace).await;
        if let Some(metrics) = metrics {
            metrics.stop(false).await;
        }
        outcome
    })
}

fn listen_for_metrics(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        Error::setup(format!("metrics.listen: {address} cannot be listened on: {error}; choose another one"))
    })
}

/// Tells metrics until what is returned is stopped.
#[expect(
    clippy::disallowed_methods,
    reason = "a server beside the first one, on the thread that awaits that one"
)]
fn tell_metrics(app: &Arc<App>, listener: TcpListener) -> Result<ServerHandle> {
    let address = listener.local_addr().map_err(|error| Error::internal("the listener's address", error))?;
    let server = http::metrics::server(Arc::clone(app), listener)?;
    let handle = server.handle();
    actix_web::rt::spawn(server);
    tracing::info!("metrics are told on http://{address}/metrics");
    Ok(handle)
}
