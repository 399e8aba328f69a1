//! The HTTP side: translates requests into calls of services, and results into answers.

mod address;
pub mod error;
pub mod extract;
pub mod health;
pub mod kong;
pub mod metrics;
pub mod observe;
pub mod okta;
mod quota;
pub mod representation;
pub mod routes;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{HttpServer, web};
use percent_encoding::percent_decode_str;

use crate::app::App;
use crate::error::{Error, Result};

/// Where Okta's paths begin.
const OKTA: &str = "/api/";

/// The APIs that are served. They differ in the shape of failures, in common headers and in credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// Okta's, under `/api/`.
    Okta,
    /// Kong's, everywhere else.
    Kong,
}

impl Api {
    /// The API that a path belongs to. A letter may come percent-encoded: the router takes it for the same.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path.starts_with(OKTA) {
            return Self::Okta;
        }
        let start = percent_decode_str(path).take(OKTA.len());
        if start.eq(OKTA.bytes()) { Self::Okta } else { Self::Kong }
    }
}

/// How long an idle connection is kept: longer than load balancers and clients keep theirs, so that it is they
/// who close it, and no request meets a connection that is just being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A server on `listener`, which ends on SIGINT or SIGTERM when `signals` is set. It runs when awaited.
pub fn server(app: Arc<App>, listener: TcpListener, signals: bool) -> Result<Server> {
    let drain = app.drain.as_secs();
    let app = web::Data::from(app);
    let server = HttpServer::new(move || {
        let observer = app.requests.as_ref().map(|requests| requests.observer());
        actix_web::App::new()
            .app_data(app.clone())
            .app_data(observer)
            .wrap_fn(observe::observe)
            .configure(routes::configure)
            .default_service(web::to(error::unknown_path))
    });
    let server = server.shutdown_timeout(drain).keep_alive(KEEP_ALIVE);
    let server = if signals { server } else { server.disable_signals() };
    let bound = server.listen(listener).map_err(|error| Error::internal("starting the server", error))?;
    Ok(bound.run())
}
