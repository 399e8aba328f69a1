//! A server that runs: the signals it gets, and how it ends.

use std::future::poll_fn;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix_web::dev::Server;
use futures_util::future::{Either, select};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::notify;
use crate::app::App;
use crate::error::{Error, Result};

/// Files that are open beside connections: the database, the log, calls of hooks.
const OTHER_FILES: usize = 256;

/// SIGHUP. From the moment this is made, it no longer ends the process.
pub(super) struct Hangups(Signal);

impl Hangups {
    pub(super) fn listen() -> Result<Self> {
        listen(SignalKind::hangup()).map(Self)
    }

    /// Reads the files of TLS again at each one.
    async fn reload(&mut self, app: &App) {
        while self.0.recv().await.is_some() {
            notify::reloading();
            match app.tls.as_ref().map(|tls| tls.reload()) {
                None => tracing::info!("SIGHUP: there is nothing to read again, since there is no TLS"),
                Some(Ok(certificate)) => {
                    tracing::info!("SIGHUP: new connections get the certificate with the {certificate}");
                }
                Some(Err(error)) => {
                    let cause = error.private();
                    tracing::error!(%error, cause, "SIGHUP: certificate, key and authorities stay as they were");
                }
            }
            notify::ready();
        }
    }
}

/// SIGTERM and SIGINT. From the moment this is made, they end the process in good order.
pub(super) struct Stops([(&'static str, u8, Signal); 2]);

impl Stops {
    pub(super) fn listen() -> Result<Self> {
        Ok(Self([
            ("SIGTERM", 15, listen(SignalKind::terminate())?),
            ("SIGINT", 2, listen(SignalKind::interrupt())?),
        ]))
    }

    /// The next one, by name and number.
    async fn next(&mut self) -> (&'static str, u8) {
        poll_fn(|cx| {
            for (name, number, signal) in &mut self.0 {
                if signal.poll_recv(cx).is_ready() {
                    return Poll::Ready((*name, *number));
                }
            }
            Poll::Pending
        })
        .await
    }
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|error| Error::internal("listening for signals", error))
}

/// Runs a server until a signal ends it. At the first one it becomes not ready, for `grace` accepts connections still,
/// and then finishes what is under way. A second one ends it at once: the exit code is then 128 and its number.
pub(super) async fn until_stopped(
    server: Server,
    app: &Arc<App>,
    mut hangups: Hangups,
    mut stops: Stops,
    grace: Duration,
) -> Result<ExitCode> {
    let handle = server.handle();
    let mut server = pin!(server);
    notify::ready();
    let (first, _) = {
        let reloading = pin!(hangups.reload(app));
        let running = select(server.as_mut(), reloading);
        match select(running, pin!(stops.next())).await {
            Either::Right((signal, _)) => signal,
            Either::Left((Either::Left((outcome, _)), _)) => {
                app.finish().await;
                return outcome.map_err(failed).map(|()| ExitCode::SUCCESS);
            }
            Either::Left((Either::Right(_), _)) => return Err(Error::internal("serving", "SIGHUP is gone")),
        }
    };
    let seconds = grace.as_secs_f64();
    tracing::info!("{first}: stopping; connections are accepted for {seconds} more seconds");
    app.begin_stop();
    notify::stopping();
    let ending = async {
        sleep(grace).await;
        drop(handle.stop(true));
        let outcome = server.await.map_err(failed);
        app.finish().await;
        outcome
    };
    match select(pin!(ending), pin!(stops.next())).await {
        Either::Left((outcome, _)) => {
            tracing::info!("stopped");
            outcome.map(|()| ExitCode::SUCCESS)
        }
        Either::Right(((second, number), _)) => {
            tracing::warn!("{second}: ended at once, with requests under way");
            Ok(ExitCode::from(128 + number))
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::internal("serving", error)
}

/// Lets the process open as many files as it may, and tells if that is less than the connections it should have.
pub(super) fn allow_files(connections: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let allowed =
        if current != maximum && setrlimit(Resource::Nofile, raised).is_ok() { maximum } else { current };
    let wanted = connections + OTHER_FILES;
    if let Some(allowed) =
        allowed.filter(|allowed| usize::try_from(*allowed).is_ok_and(|allowed| allowed < wanted))
    {
        tracing::warn!(
            "the process may open {allowed} files, which is too few for limits.connections = {connections}: \
             raise `ulimit -n` to {wanted}"
        );
    }
}
