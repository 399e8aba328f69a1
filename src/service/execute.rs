//! Calling an inline hook: get an access token where the channel takes one, call the service, read its answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::IgnoredAny;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::access_tokens::Fingerprint;
use super::calls::{ANSWERED, Calls, HOOK, REFUSED, TOKEN, outcome_of};
use super::inline_hooks::{InlineHooks, stored};
use super::sealing::place;
use crate::crypto::digest::sha256;
use crate::crypto::rsa::RsaKeyPair;
use crate::domain::audit::{Actor, EventType, Target};
use crate::domain::channel::{Auth, Client};
use crate::domain::ids::{self, HookKeyId, InlineHookId, OrgId};
use crate::domain::inline_hook::{HookStatus, InlineHook};
use crate::domain::secret::Secret;
use crate::error::{Error, Kind, Result, Upstream};
use crate::jose::client_assertion;
use crate::outbound::token::{AccessToken, Proof, TokenRequest};
use crate::outbound::{Call, Fault, Outbound, Reply};
use crate::store::sealed::Column;
use crate::store::{self, Conn};

/// The use case of calling hooks. Cheap to clone.
#[derive(Clone)]
pub struct Execute {
    /// Where hooks are found.
    pub hooks: InlineHooks,
    /// How calls are made.
    pub outbound: Outbound,
    /// Places for calls that may be under way at once.
    pub places: Arc<Semaphore>,
    /// What one attempt may take: token and call together.
    pub budget: Duration,
    /// How calls went.
    pub calls: Arc<Calls>,
}

/// A hook with all that a call needs.
struct Prepared {
    hook: InlineHook,
    secret: Option<Secret>,
    /// The sealed private half and the `kid`, when the channel signs.
    key: Option<SealedKey>,
    fingerprint: Fingerprint,
    org: OrgId,
}

struct SealedKey {
    id: String,
    kid: String,
    blob: Vec<u8>,
}

/// The step of a call that failed, as its cause begins.
#[derive(Clone, Copy)]
enum Step {
    Token,
    Hook,
}

/// Why an attempt failed, and whether another one may help.
struct Failed {
    error: Error,
    transient: bool,
}

impl Execute {
    /// Waits for a place. Ask for one before the body is read: a caller who waits holds a connection then, and
    /// nothing else.
    pub async fn place(&self) -> Result<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.map_err(|error| Error::internal("executing a hook", error))
    }

    /// Calls the hook with `body` and returns the service's JSON answer, which is `{}` for an empty one.
    ///
    /// An attempt that timed out or met a status of 5xx is made once more, but never for token and telephony
    /// hooks (contract §6). The cause of a failure names the step and holds no secret.
    pub async fn execute(
        &self,
        place: OwnedSemaphorePermit,
        actor: &Actor,
        id: InlineHookId,
        body: Bytes,
    ) -> Result<Vec<u8>> {
        let (this, actor) = (self.clone(), actor.clone());
        self.hooks
            .tasks
            .run(async move {
                // Given back when the call has ended, not when the caller has gone.
                let _place = place;
                let prepared = this.prepare(actor.org.clone(), id).await?;
                let outcome = match this.attempt(&prepared, &body).await {
                    Err(failed) if failed.transient && prepared.hook.kind.may_retry() => {
                        this.attempt(&prepared, &body).await
                    }
                    outcome => outcome,
                };
                let outcome = outcome.map_err(|failed| failed.error);
                this.record(&actor, &prepared.hook, outcome.as_ref().err()).await;
                outcome
            })
            .await
    }

    /// Adds the row of a call that was made. That cannot be taken back, so its answer is passed on in any case.
    async fn record(&self, actor: &Actor, hook: &InlineHook, error: Option<&Error>) {
        let (kind, target) = (EventType::InlineHookExecuted, vec![Target::from(hook)]);
        let event = match error {
            None => actor.done(kind, target),
            Some(error) => match error.kind() {
                Kind::Upstream { failure, cause } => {
                    actor.failed(kind, target, &format!("{}: {cause}", name_of(*failure)))
                }
                // Refusals and faults that are no service's get their row where all of those do.
                _ => return,
            },
        };
        let insert = move |conn: &mut Conn| store::audit::insert(conn, &event);
        if let Err(error) = self.hooks.db.write("record_execute", insert).await {
            tracing::error!(
                hook = hook.id.as_str(),
                cause = error.private(),
                "the call of a hook is missing in the audit trail"
            );
        }
    }

    async fn prepare(&self, org: OrgId, id: InlineHookId) -> Result<Prepared> {
        let hooks = self.hooks.clone();
        let prepare = move |conn: &mut Conn| {
            let stored = stored(conn, &org, &id)?;
            if stored.hook.status == HookStatus::Inactive {
                return Err(Error::invalid(
                    "inlineHook",
                    "Cannot execute an inactive inline hook. Activate it first.",
                ));
            }
            let key = match stored.hook.channel.auth.hook_key() {
                None => None,
                Some(key) => {
                    let found = store::hook_keys::sealed_private_key(conn, &org, key)?;
                    let (kid, blob) = found
                        .ok_or_else(|| Error::internal("executing a hook", "its hook key is missing"))?;
                    // It is opened later, when there is no connection at hand.
                    hooks.keyring.learn(conn, &blob)?;
                    Some(SealedKey { id: key.to_string(), kid, blob })
                }
            };
            let fingerprint = fingerprint(&stored.hook, stored.secret.as_deref());
            let secret =
                stored.secret.as_ref().map(|blob| hooks.open_secret(conn, &org, &id, blob)).transpose()?;
            Ok(Prepared {
                hook: hooks.opened(conn, &org, stored)?,
                secret,
                key,
                fingerprint,
                org: org.clone(),
            })
        };
        self.hooks.db.read(prepare).await
    }

    /// One attempt, within one budget.
    async fn attempt(&self, prepared: &Prepared, body: &Bytes) -> Result<Vec<u8>, Failed> {
        let deadline = Instant::now() + self.budget;
        let authorization = self.authorization(prepared, deadline).await?;
        let bearer = authorization.as_ref().map(|(_, value)| value.clone());
        let mut headers: Vec<_> = authorization.into_iter().collect();
        let channel = &prepared.hook.channel;
        headers.extend(channel.headers.iter().map(|header| (header.key.as_str(), header.value.clone())));
        let call = Call {
            url: channel.uri.as_str(),
            content_type: "application/json",
            headers,
            body: body.clone(),
            deadline,
        };
        let begun = Instant::now();
        let reply = self.outbound.post(call).await;
        let outcome = reply.as_ref().map_or_else(outcome_of, |reply| {
            if (200..300).contains(&reply.status) { ANSWERED } else { REFUSED }
        });
        self.calls.note(HOOK, outcome, begun.elapsed());
        let reply = reply.map_err(|fault| self.failed(Step::Hook, fault))?;
        if reply.status == 401 {
            // If this was the cached token, the next call gets a new one.
            self.hooks.tokens.refused(&prepared.hook.id, bearer.as_ref());
        }
        self.answer(prepared, reply)
    }

    /// The header by which the service knows its caller.
    async fn authorization<'a>(
        &self,
        prepared: &'a Prepared,
        deadline: Instant,
    ) -> Result<Option<(&'a str, Secret)>, Failed> {
        let client = match (&prepared.hook.channel.auth, &prepared.secret) {
            (Auth::None, _) => return Ok(None),
            (Auth::Header { key, .. }, Some(value)) => return Ok(Some((key, value.clone()))),
            (Auth::Header { .. }, None) => return Err(missing("authentication value").into()),
            (Auth::ClientSecret(client) | Auth::PrivateKeyJwt(client, _), _) => client,
        };
        let exchange = async {
            let request = TokenRequest {
                url: client.token_url.as_str(),
                client_id: &client.id,
                scope: client.scope.as_deref(),
                proof: self.proof(prepared, client).await?,
            };
            let begun = Instant::now();
            let token = self.outbound.exchange(request, deadline).await;
            let outcome = token.as_ref().map_or_else(outcome_of, |_| ANSWERED);
            self.calls.note(TOKEN, outcome, begun.elapsed());
            let AccessToken { value, lifetime } = token.map_err(|fault| self.failed(Step::Token, fault))?;
            let header = Secret::new(format!("Bearer {}", value.reveal()));
            Ok::<_, Failed>(AccessToken { value: header, lifetime })
        };
        let clock = &*self.hooks.clock;
        let token = self.hooks.tokens.get(&prepared.hook.id, prepared.fingerprint, clock, exchange);
        let token = timeout_at(deadline, token).await;
        let token = token.unwrap_or_else(|_| Err(self.failed(Step::Token, Fault::silent())))?;
        Ok(Some(("Authorization", token)))
    }

    /// What the client proves itself with: its secret, or an assertion signed with its hook key.
    async fn proof(&self, prepared: &Prepared, client: &Client) -> Result<Proof> {
        let Some(SealedKey { id, kid, blob }) = &prepared.key else {
            return prepared.secret.clone().map(Proof::Secret).ok_or_else(|| missing("client secret"));
        };
        let sealed_to = place(Column::HookKeyPrivateKey, &prepared.org, id);
        let pkcs8 = self.hooks.keyring.open_known(&sealed_to, blob)?;
        let jti = ids::jwt_id(&*self.hooks.entropy)?;
        let (kid, client, now) = (kid.clone(), client.clone(), self.hooks.clock.now());
        let sign = move || {
            let pair = RsaKeyPair::from_pkcs8(pkcs8)?;
            client_assertion::sign(&pair, &kid, &client.id, client.token_url.as_str(), &jti, now)
        };
        self.hooks.tasks.blocking(sign).await.map(Proof::Assertion)
    }

    fn answer(&self, prepared: &Prepared, reply: Reply) -> Result<Vec<u8>, Failed> {
        let bad = |text: String| Err(self.failed(Step::Hook, Fault::bad_answer(text)));
        match reply.status {
            200..=299 if reply.body.is_empty() && prepared.hook.kind.allows_empty_answer() => {
                Ok(b"{}".to_vec())
            }
            200..=299 if reply.body.is_empty() => {
                bad("The answer is empty, and hooks of this type need one".to_owned())
            }
            200..=299 => match well_formed(&reply.body) {
                Ok(()) => Ok(reply.body),
                Err(problem) => bad(format!("The answer is not valid JSON: {problem}")),
            },
            status => {
                let more = if (300..400).contains(&status) { "; redirects are not followed" } else { "" };
                Err(self.failed(Step::Hook, Fault::status("The service", status, more)))
            }
        }
    }

    fn failed(&self, step: Step, fault: Fault) -> Failed {
        let text = match fault.failure {
            Upstream::Silent => {
                format!("There was no answer within {}", humantime::format_duration(self.budget))
            }
            _ => fault.text,
        };
        let step = match step {
            Step::Token => "token",
            Step::Hook => "hook",
        };
        let kind = Kind::Upstream { failure: fault.failure, cause: format!("{step}: {text}") };
        Failed { error: Error::new(kind), transient: fault.transient }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, transient: false }
    }
}

/// The kind of failure, as rows have it.
fn name_of(failure: Upstream) -> &'static str {
    match failure {
        Upstream::Unreachable => "UNREACHABLE",
        Upstream::BadAnswer => "BAD_ANSWER",
        Upstream::Silent => "NO_ANSWER",
    }
}

fn missing(what: &str) -> Error {
    Error::internal("executing a hook", format_args!("its {what} is missing"))
}

/// Checks that a body is one JSON value in UTF-8; the problem says where it is not.
fn well_formed(body: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    serde_json::from_str::<IgnoredAny>(text).map(|_| ()).map_err(|error| error.to_string())
}

/// What the hook's access token is got with and for. The parts hold no control characters, so that a zero
/// byte keeps them apart.
fn fingerprint(hook: &InlineHook, secret: Option<&[u8]>) -> Fingerprint {
    let (Auth::ClientSecret(client) | Auth::PrivateKeyJwt(client, _)) = &hook.channel.auth else {
        return Fingerprint::default();
    };
    let key = hook.channel.auth.hook_key().map(HookKeyId::as_str).unwrap_or_default();
    let scope = client.scope.as_deref().unwrap_or_default();
    let parts = [key, client.id.as_str(), client.token_url.as_str(), scope].map(str::as_bytes);
    sha256(&[&parts.join(&0)[..], secret.unwrap_or_default()].join(&0))
}
