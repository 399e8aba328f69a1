//! API tokens: who may call, and what they may do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;

use super::RateLimits;
use super::audit::Operator;
use crate::cache::{Cache, Known};
use crate::crypto::digest::sha256;
use crate::domain::audit::EventType;
use crate::domain::clock::later;
use crate::domain::ids::{OrgId, TokenId};
use crate::domain::key::Sight;
use crate::domain::permission::{Grant, Permission};
use crate::domain::text::DisplayName;
use crate::domain::token::{ApiToken, Expiry, State, Token};
use crate::domain::window::Quota;
use crate::domain::{Clock, Entropy, Timestamp};
use crate::error::{Error, Kind, Result};
use crate::store::tokens::Digest;
use crate::store::{self, Conn, Db};

/// A use is recorded when the one on record is older than this, so that a busy token costs one small write
/// a minute and not one a request.
const USE_RESOLUTION: TimeDelta = TimeDelta::minutes(1);

/// The use cases of tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids and tokens.
    pub entropy: Arc<dyn Entropy>,
    /// Uses that wait for [`Tokens::flush_uses`].
    pub uses: Arc<Uses>,
    /// Tokens that were looked up before.
    pub cache: Arc<Cache>,
    /// Who makes and revokes tokens.
    pub operator: Operator,
    /// How often tokens may be used, and addresses come with wrong ones.
    pub limits: Arc<RateLimits>,
    /// The idle expiry of tokens made without an expiry of their own.
    pub default_idle: Duration,
}

/// Who calls: the live token that proved it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller {
    known: Arc<Known>,
    quota: Option<Quota>,
}

impl Deref for Caller {
    type Target = Token;

    fn deref(&self) -> &Token {
        &self.known.token
    }
}

impl Caller {
    /// What is left of the requests that the token may make, if that is limited. This one is counted.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        self.quota
    }

    /// How much of a key the caller may see.
    #[must_use]
    pub fn sight(&self) -> Sight {
        if self.grant.allows(Permission::KeysReveal) { Sight::Private } else { Sight::Public }
    }
}

/// Why somebody with a token is not let in.
#[derive(Debug)]
pub struct NotLoggedIn {
    /// Why.
    pub error: Error,
    /// What is left of the failed log-ins from there, if they are limited and this was one.
    pub quota: Option<Quota>,
}

/// The last use of each token that was used since the start, one entry a token.
#[derive(Debug, Default)]
pub struct Uses(Mutex<HashMap<TokenId, Use>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Use {
    at: Timestamp,
    written: bool,
}

impl Uses {
    fn lock(&self) -> MutexGuard<'_, HashMap<TokenId, Use>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tokens {
    /// Makes a token and returns its secret, for the only time.
    pub async fn create(
        &self,
        org: OrgId,
        name: DisplayName,
        grant: Grant,
        expires_in: Option<Duration>,
    ) -> Result<(Token, ApiToken)> {
        let secret = ApiToken::generate(&*self.entropy)?;
        let token = self.store(&secret, org, name, grant, expires_in).await?;
        Ok((token, secret))
    }

    /// Makes a token of a secret that the caller has drawn and put away.
    pub async fn store(
        &self,
        secret: &ApiToken,
        org: OrgId,
        name: DisplayName,
        grant: Grant,
        expires_in: Option<Duration>,
    ) -> Result<Token> {
        let now = self.clock.now();
        let token = Token {
            id: TokenId::generate(&*self.entropy)?,
            org,
            name: name.as_str().to_owned(),
            grant,
            expiry: expires_in.map_or(Expiry::Idle(self.default_idle), |span| Expiry::At(later(now, span))),
            created: now,
            last_used: None,
            revoked: None,
        };
        let origin = self.operator.origin(&*self.clock, &*self.entropy)?;
        let created = origin.done(0, Some(&token.org), EventType::TokenCreated, vec![(&token).into()]);
        let (digest, stored) = (digest(secret), token.clone());
        let store = move |conn: &mut Conn| {
            store::tokens::insert(conn, &stored, &digest)?;
            store::audit::insert(conn, &created)
        };
        self.db.write("create_token", store).await?;
        Ok(token)
    }

    /// Whose token this is, if that is remembered and it is live. If not, [`Tokens::authenticate`] knows better.
    #[must_use]
    pub fn recall(&self, secret: &ApiToken) -> Option<Caller> {
        self.admit(self.cache.remembered_token(&digest(secret))?)
    }

    /// Whose token this is, by the database. Unknown, expired and revoked tokens are one and the same error.
    pub async fn authenticate(&self, secret: &ApiToken) -> Result<Caller> {
        self.find(digest(secret)).await
    }

    /// The same for a request from the client address `from`. One with too many failed log-ins is turned away before
    /// the database is asked, unless the token was good a moment ago.
    pub async fn log_in(&self, secret: &ApiToken, from: Option<IpAddr>) -> Result<Caller, NotLoggedIn> {
        let digest = digest(secret);
        if let Some(quota) = self.limits.exhausted(from, &digest, self.clock.now()) {
            return Err(NotLoggedIn { error: Error::new(Kind::TooManyRequests), quota: Some(quota) });
        }
        match self.find(digest).await {
            Err(error) if *error.kind() == Kind::BadCredentials => {
                self.limits.disown(&digest);
                Err(self.turn_away(from, error))
            }
            outcome => outcome.map_err(|error| NotLoggedIn { error, quota: None }),
        }
    }

    /// Counts a failed log-in from the client address `from`. What the caller is told is `error`, or that this was one
    /// too many.
    #[must_use]
    pub fn turn_away(&self, from: Option<IpAddr>, error: Error) -> NotLoggedIn {
        let quota = self.limits.failure(from, self.clock.now());
        let refused = quota.is_some_and(|quota| !quota.granted);
        NotLoggedIn { error: if refused { Error::new(Kind::TooManyRequests) } else { error }, quota }
    }

    async fn find(&self, digest: Digest) -> Result<Caller> {
        // Even if it is remembered and has expired: another process may have recorded a use, which is not among the
        // changes.
        let window = || self.limits.window(digest);
        let known = self.cache.read_token(&self.db, digest, window).await?;
        known.and_then(|known| self.admit(known)).ok_or_else(|| Error::new(Kind::BadCredentials))
    }

    /// Lets a live token's owner in, and remembers and counts the use.
    fn admit(&self, known: Arc<Known>) -> Option<Caller> {
        let token = &known.token;
        let now = self.clock.now();
        // A use stays here after it was written, so that this sees it even if the row was read before.
        let mut uses = self.uses.lock();
        let last_used = token.last_used.max(uses.get(&token.id).map(|last| last.at));
        if token.state_after(last_used, now) != State::Live {
            return None;
        }
        if last_used.is_none_or(|last| now - last >= USE_RESOLUTION) {
            uses.insert(token.id.clone(), Use { at: now, written: false });
        }
        drop(uses);
        let quota = self.limits.request(&known.window, now);
        Some(Caller { known, quota })
    }

    /// All tokens in creation order, of one org or of every org.
    pub async fn list(&self, org: Option<OrgId>) -> Result<Vec<Token>> {
        self.db.read(move |conn| store::tokens::list(conn, org.as_ref())).await
    }

    /// How many tokens of all orgs end within `span` from now if they are not used any more.
    pub async fn ending_within(&self, span: Duration) -> Result<u64> {
        let now = self.clock.now();
        let until = later(now, span);
        let count = self.db.read(move |conn| store::tokens::count_ending(conn, now, until)).await?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Revokes a token at once and for good.
    pub async fn revoke(&self, id: TokenId) -> Result<()> {
        let origin = self.operator.origin(&*self.clock, &*self.entropy)?;
        let revoke = move |conn: &mut Conn| {
            let Some(token) = store::tokens::find(conn, &id)? else {
                return Err(Error::invalid(
                    "token",
                    format_args!("there is no token {id}: `hook-keys token list` shows all"),
                ));
            };
            store::tokens::revoke(conn, &id, origin.at)?;
            if token.revoked.is_some() {
                return Ok(());
            }
            let target = vec![(&token).into()];
            let revoked = origin.done(0, Some(&token.org), EventType::TokenRevoked, target);
            store::audit::insert(conn, &revoked)
        };
        self.db.write("revoke_token", revoke).await
    }

    /// Writes the uses since the last flush, all in one transaction. Uses that could not be written stay.
    pub async fn flush_uses(&self) -> Result<()> {
        let mut pending = self.uses.lock().clone();
        pending.retain(|_, last| !last.written);
        if pending.is_empty() {
            return Ok(());
        }
        let writing = pending.clone();
        self.db
            .write("record_token_uses", move |conn| {
                writing.iter().try_for_each(|(id, last)| store::tokens::record_use(conn, id, last.at))
            })
            .await?;
        let mut uses = self.uses.lock();
        for (id, written) in pending {
            // A later use that came in the meantime waits for the next flush.
            if let Some(last) = uses.get_mut(&id).filter(|last| **last == written) {
                last.written = true;
            }
        }
        Ok(())
    }
}

fn digest(secret: &ApiToken) -> Digest {
    sha256(secret.reveal().as_bytes())
}
