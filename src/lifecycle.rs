//! What runs beside the requests, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, Result};
use crate::service::{Tasks, Tokens};

/// How often uses of tokens are written down.
const FLUSH_EVERY: Duration = Duration::from_secs(5);

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

/// Starts the recurring tasks. They end with the runtime.
pub fn start_recurring(background: &Background, tokens: Tokens) {
    background.handle().spawn(async move {
        let mut ticks = tokio::time::interval(FLUSH_EVERY);
        loop {
            ticks.tick().await;
            flush(&tokens).await;
        }
    });
}

/// Waits for the writes under way and writes down what is still in memory.
pub async fn finish(tasks: &Tasks, tokens: &Tokens) {
    tasks.drain().await;
    flush(tokens).await;
}

async fn flush(tokens: &Tokens) {
    if let Err(error) = tokens.flush_uses().await {
        tracing::warn!(cause = error.private(), "the last uses of tokens could not be written down");
    }
}
