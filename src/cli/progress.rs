//! What is shown while a command takes long: on standard error, if that is a terminal, and nowhere else. Cursor and
//! terminal stay as they are, so that a command may be ended at any moment.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::service::Report;

/// Work that is done sooner shows nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often a spinner moves.
const TURN: Duration = Duration::from_millis(100);

/// Shows how much is done, until it is dropped.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar with a word for the work.
    pub(super) fn new(work: &'static str) -> Self {
        let bar = ProgressBar::new(0).with_style(style("{msg} [{bar:40}] {pos}/{len}, {eta} left"));
        Self(bar.with_message(work))
    }

    /// What the work tells its progress to.
    pub(super) fn report(&self) -> Report {
        let bar = self.0.clone();
        Arc::new(move |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Waits for work that cannot tell how far it is.
pub(super) async fn spin<T>(name: &'static str, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Ok(outcome) = tokio::time::timeout(PATIENCE, &mut work).await {
        return outcome;
    }
    let spinner = Bar(ProgressBar::new_spinner().with_style(style("{spinner} {msg} {elapsed}")));
    spinner.0.set_message(name);
    spinner.0.enable_steady_tick(TURN);
    work.await
}

/// Plain ASCII, which every terminal shows.
fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("=> ").tick_chars("|/-\\ ")
}
