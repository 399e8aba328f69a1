//! Access tokens of inline hooks, kept until shortly before they expire.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;

use crate::domain::ids::InlineHookId;
use crate::domain::secret::Secret;
use crate::domain::{Clock, Timestamp};
use crate::outbound::token::AccessToken;

/// A token is no longer used this long before it expires, or in the last tenth of its life if that is
/// shorter: it must still be good when the service looks at it.
const MARGIN: Duration = Duration::from_secs(30);

/// Longer lifetimes are cut to this, which also keeps dates from overflowing.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// With this many slots, those without a good token are cleared away.
const SWEEP_AT: usize = 1000;

/// What a token was got for. When anything about the channel changes, so does this, and the token is not used.
pub type Fingerprint = [u8; 32];

/// The cache. One slot a hook, and at most one exchange at a time for each.
#[derive(Default)]
pub struct AccessTokens(Mutex<HashMap<InlineHookId, Slot>>);

type Slot = Arc<AsyncMutex<Option<Cached>>>;

struct Cached {
    fingerprint: Fingerprint,
    token: Secret,
    until: Timestamp,
}

impl AccessTokens {
    /// The hook's token, from the cache or by `exchange`. Who comes while an exchange is under way waits for
    /// it. A token without a lifetime is used once.
    pub async fn get<E>(
        &self,
        hook: &InlineHookId,
        fingerprint: Fingerprint,
        clock: &dyn Clock,
        exchange: impl Future<Output = Result<AccessToken, E>>,
    ) -> Result<Secret, E> {
        let slot = self.slot(hook, clock.now());
        let mut cached = slot.lock().await;
        if let Some(cached) = &*cached
            && cached.fingerprint == fingerprint
            && clock.now() < cached.until
        {
            return Ok(cached.token.clone());
        }
        *cached = None;
        let AccessToken { value, lifetime } = exchange.await?;
        if let Some(lifetime) = lifetime {
            let lifetime = lifetime.min(LONGEST);
            let useful = lifetime.saturating_sub(MARGIN.min(lifetime / 10));
            *cached = Some(Cached { fingerprint, token: value.clone(), until: clock.now() + useful });
        }
        Ok(value)
    }

    fn slot(&self, hook: &InlineHookId, now: Timestamp) -> Slot {
        let mut slots = self.lock();
        if slots.len() >= SWEEP_AT && !slots.contains_key(hook) {
            // Hooks of deleted orgs leave their slots behind.
            slots.retain(|_, slot| {
                slot.try_lock().map_or(true, |cached| cached.as_ref().is_some_and(|c| now < c.until))
            });
        }
        Arc::clone(slots.entry(hook.clone()).or_default())
    }

    /// Drops the hook's token: the hook is gone.
    pub fn forget(&self, hook: &InlineHookId) {
        self.lock().remove(hook);
    }

    /// Drops a token that the service would not take, unless a newer one has taken its place.
    pub fn refused(&self, hook: &InlineHookId, token: Option<&Secret>) {
        let slot = self.lock().get(hook).cloned();
        // A slot that is locked is getting a new token at this moment.
        let Some(mut cached) = slot.as_ref().and_then(|slot| slot.try_lock().ok()) else { return };
        if cached.as_ref().map(|cached| cached.token.reveal()) == token.map(Secret::reveal) {
            *cached = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<InlineHookId, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
