//! The server: connections, each with its TLS and its times, and the application on top.
//!
//! It is put together like actix-web's `HttpServer`, which has no place for [`Connection`].

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_server::Server;
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::web;
use tokio::net::TcpStream;

use super::connection::{Connection, Times};
use super::wire::Wire;
use super::{error, observe, routes};
use crate::app::App;
use crate::error::{Error, Result};

/// How long the rest of a body that nobody wants is read before the connection is closed.
const LINGER: Duration = Duration::from_secs(1);

/// The address that is served on, for links in answers to who names no host.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub SocketAddr);

/// A server on `listener`. It runs when awaited, until its handle stops it.
pub fn server(app: Arc<App>, listener: TcpListener) -> Result<Server> {
    let failed = |error| Error::internal("starting the server", error);
    let address = Address(listener.local_addr().map_err(failed)?);
    let (workers, connections) = shares(app.limits.connections);
    let builder = Server::build()
        .disable_signals()
        .workers(workers)
        .max_concurrent_connections(connections)
        .shutdown_timeout(app.drain.as_secs());
    let stopping = builder.graceful_shutdown_signal();
    let app = web::Data::from(app);
    let limits = app.limits;
    let times = Times { head: limits.head_timeout, answer: limits.answer_timeout, idle: limits.keep_alive };
    let bound = builder.listen("api", listener, move || {
        let shared = app.clone();
        let observer = app.requests.as_ref().map(|requests| requests.observer());
        let application = actix_web::App::new()
            .app_data(app.clone())
            .app_data(address)
            .app_data(observer)
            .wrap_fn(observe::observe)
            .configure(routes::configure)
            .default_service(web::to(error::unknown_path));
        let (draining, leaving) = (stopping.clone(), stopping.clone());
        let http = HttpService::build()
            // The connection has all the times, also those that actix-http has a part of.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(LINGER)
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .on_connect_ext(|connection: &Connection<Wire>, data| {
                data.insert(connection.pace());
            })
            .h1(map_config(application, |()| AppConfig::default()));
        fn_service(move |tcp: TcpStream| {
            let (app, leaving) = (shared.clone(), leaving.clone());
            async move {
                let peer = tcp.peer_addr().ok();
                let wire = Wire::open(tcp, app.tls.as_deref(), times.head, leaving.notified()).await;
                let connection = wire.map(|wire| Connection::new(wire, times));
                // Who did not get through the handshake is of no account.
                connection.map(|connection| (connection, peer)).ok_or(())
            }
        })
        .and_then(http.map_err(drop))
    });
    Ok(bound.map_err(failed)?.run())
}

/// How many workers there are, one a core at most, and how many of all connections each may have.
fn shares(connections: usize) -> (usize, usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = cores.min(connections).max(1);
    (workers, connections / workers)
}
