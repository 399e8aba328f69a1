//! How a read model keeps up with the writes of its own process.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Lets a write wait until the read model of this process knows of it, and tells the read model to look.
///
/// A write that is over has a number. The read model looks into the database, and then says up to which number it
/// has followed. While nobody follows, nobody waits.
#[derive(Debug)]
pub struct Follow {
    written: watch::Sender<u64>,
    followed: watch::Sender<u64>,
}

/// How long a write waits at most: for so long a read model counts that was not renewed.
pub const BLIND: Duration = Duration::from_secs(5);

/// More than any number: nobody is waited for.
const NOBODY: u64 = u64::MAX;

impl Default for Follow {
    fn default() -> Self {
        Self { written: watch::Sender::new(0), followed: watch::Sender::new(NOBODY) }
    }
}

impl Follow {
    /// Waits until what was committed before this call is known to the read model.
    pub(super) async fn catch_up(&self) {
        if *self.followed.borrow() == NOBODY {
            return;
        }
        let mut number = 0;
        self.written.send_modify(|written| {
            *written += 1;
            number = *written;
        });
        let mut followed = self.followed.subscribe();
        // Whichever way it ends: what was read before does not count any more.
        drop(timeout(BLIND, followed.wait_for(|followed| *followed >= number)).await);
    }

    /// Tells of writes that are over.
    #[must_use]
    pub fn written(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// Says that the read model knows of all writes up to this number.
    pub fn followed(&self, number: u64) {
        self.followed.send_replace(number);
    }

    /// Says that there is no read model for now, so nobody need wait for it.
    pub fn nobody_follows(&self) {
        self.followed.send_replace(NOBODY);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_write_waits_for_a_read_model_and_for_nobody_else() {
        let follow = Follow::default();
        assert!(follow.catch_up().now_or_never().is_some(), "nobody follows");
        let mut written = follow.written();
        follow.followed(*written.borrow_and_update());
        let mut first = Box::pin(follow.catch_up());
        assert!((&mut first).now_or_never().is_none());
        let seen = *written.borrow_and_update();
        let mut second = Box::pin(follow.catch_up());
        assert!((&mut second).now_or_never().is_none());
        follow.followed(seen);
        assert!(first.now_or_never().is_some());
        assert!((&mut second).now_or_never().is_none(), "it came after the look");
        follow.nobody_follows();
        assert!(second.now_or_never().is_some());
    }
}
