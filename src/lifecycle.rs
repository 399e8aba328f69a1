//! What runs beside the requests, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;

use crate::cache::{Refresher, forget_old_changes};
use crate::error::{Error, Result};
use crate::service::{Audit, Sealer, Tasks, Tokens};

/// How often uses of tokens are written down.
const FLUSH_EVERY: Duration = Duration::from_secs(5);

/// How often the keyring is looked at, beside when it is needed.
const LEARN_EVERY: Duration = Duration::from_secs(2);

/// The runtime of everything that is not an HTTP worker: database closures, writes, recurring tasks.
///
/// It is multi-threaded and its own, because an actix worker's runtime has one thread and ends with its
/// worker.
#[derive(Debug)]
pub struct Background {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Background {
    /// Starts it.
    pub fn start() -> Result<Arc<Self>> {
        let runtime = Builder::new_multi_thread()
            .thread_name("background")
            .enable_all()
            .build()
            .map_err(|error| Error::internal("starting the background runtime", error))?;
        let handle = runtime.handle().clone();
        Ok(Arc::new(Self { runtime: Some(runtime), handle }))
    }

    /// A handle to run things on it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Waiting here would panic inside another runtime; `finish` has waited for what matters.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Tasks that go on until they are stopped.
#[derive(Debug)]
pub struct Recurring([AbortHandle; 5]);

impl Recurring {
    /// Starts them.
    #[must_use]
    pub fn start(
        background: &Background,
        tokens: Tokens,
        audit: Audit,
        keyring: Arc<Sealer>,
        refresher: Refresher,
    ) -> Self {
        let runtime = background.handle();
        let forget = runtime.spawn(forget_old_changes(tokens.db.clone())).abort_handle();
        let follow = runtime.spawn(refresher.run()).abort_handle();
        let shorten = runtime.spawn(audit.keep_short()).abort_handle();
        let db = tokens.db.clone();
        let learn = runtime.spawn(async move {
            let mut ticks = tokio::time::interval(LEARN_EVERY);
            loop {
                ticks.tick().await;
                keyring.keep_up(&db).await;
            }
        });
        let flush = runtime.spawn(async move {
            let mut ticks = tokio::time::interval(FLUSH_EVERY);
            loop {
                ticks.tick().await;
                flush(&tokens).await;
                tokens.limits.forget(tokens.clock.now());
            }
        });
        Self([forget, follow, shorten, learn.abort_handle(), flush.abort_handle()])
    }

    /// Whether the task that follows the database is still there.
    #[must_use]
    pub fn follows(&self) -> bool {
        let [_, follow, ..] = &self.0;
        !follow.is_finished()
    }

    /// Waits for the writes under way, writes down what is still in memory, and stops.
    pub async fn finish(&self, tasks: &Tasks, tokens: &Tokens) {
        tasks.drain().await;
        flush(tokens).await;
        self.0.iter().for_each(AbortHandle::abort);
    }
}

async fn flush(tokens: &Tokens) {
    if let Err(error) = tokens.flush_uses().await {
        tracing::warn!(cause = error.private(), "the last uses of tokens could not be written down");
    }
}
