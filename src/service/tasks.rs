//! Work that outlives the request that asked for it.

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use crate::error::{Error, Result};

/// Runs writes and calls in tasks of their own, so that a client that hangs up changes nothing, and lets the
/// end of the process wait for them.
#[derive(Debug, Clone)]
pub struct Tasks {
    runtime: Handle,
    tracker: TaskTracker,
}

impl Tasks {
    /// Tasks on `runtime`, which must not be a worker's.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, tracker: TaskTracker::new() }
    }

    /// Runs `work` to its end, whether or not the caller stays to see it.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let outcome = self.tracker.spawn_on(work, &self.runtime).await;
        outcome.unwrap_or_else(|fault| Err(Error::internal("task", fault)))
    }

    /// Runs `work`, which computes for longer than a worker may be kept, on a thread that may block.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let outcome = self.runtime.spawn_blocking(work).await;
        outcome.unwrap_or_else(|fault| Err(Error::internal("blocking task", fault)))
    }

    /// Waits until every task that was started has ended.
    pub async fn drain(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
