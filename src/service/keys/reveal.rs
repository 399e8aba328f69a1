//! Showing private halves: to whom, and with a row in the audit trail.

use super::Keys;
use crate::domain::audit::{Actor, EventType, Target};
use crate::domain::key::Sight;
use crate::error::{Error, Result};
use crate::store::keys::Stored;
use crate::store::{self, Conn};

impl Keys {
    /// Adds the row of private halves that are about to be shown. If that fails, none may be.
    pub(super) async fn reveal(&self, revealer: Option<Actor>, keys: Vec<Target>) -> Result<()> {
        let Some(actor) = revealer.filter(|_| !keys.is_empty()) else { return Ok(()) };
        let event = actor.done(EventType::KeyRevealed, keys);
        let insert = move |conn: &mut Conn| store::audit::insert(conn, &event);
        let written = self.db.write("record_reveal", insert).await;
        written.map_err(|error| Error::unavailable("the audit trail", error.private().unwrap_or_default()))
    }
}

/// How much of a key is shown to whoever asks.
pub(super) fn sight_of(revealer: Option<&Actor>) -> Sight {
    if revealer.is_some() { Sight::Private } else { Sight::Public }
}

/// The key, as the audit trail knows it.
pub(super) fn audited(key: &Stored) -> Target {
    Target::key(key.id.to_string(), &key.kid, key.name.as_deref())
}

/// The same of a key with a private half, which a revealer sees.
pub(super) fn sealed(key: &Stored) -> Option<Target> {
    key.material.private.as_ref().map(|_| audited(key))
}
