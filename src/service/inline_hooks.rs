//! Inline hooks: create, find, list, change, activate, deactivate, delete.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::access_tokens::AccessTokens;
use super::orgs::require;
use super::sealing::{Sealer, place};
use super::tasks::Tasks;
use crate::domain::audit::{Actor, EventType};
use crate::domain::channel::{self, Auth, Channel, Header};
use crate::domain::ids::{InlineHookId, OrgId};
use crate::domain::inline_hook::{Draft, HookStatus, HookType, InlineHook, RESOURCE};
use crate::domain::secret::Secret;
use crate::domain::text::DisplayName;
use crate::domain::{Clock, Entropy};
use crate::error::{Error, Result};
use crate::store::inline_hooks::Stored;
use crate::store::sealed::Column;
use crate::store::{self, Conn, Db};

/// The use cases of inline hooks, but for calling them. Cheap to clone.
#[derive(Clone)]
pub struct InlineHooks {
    /// The database.
    pub db: Db,
    /// What headers and secrets are sealed with.
    pub keyring: Arc<Sealer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids and sealing.
    pub entropy: Arc<dyn Entropy>,
    /// Where writes run.
    pub tasks: Tasks,
    /// Access tokens of hooks that are still good.
    pub tokens: Arc<AccessTokens>,
    /// Most hooks of an org.
    pub limit: u32,
}

/// One header in its sealed form.
#[derive(Serialize, Deserialize)]
struct SealedHeader<'a>(&'a str, &'a str);

impl InlineHooks {
    /// Makes a hook, ACTIVE from birth.
    ///
    /// Refused when the org has as many hooks as it may, when another of its hooks has the name, when the
    /// hook key is none of the org's, or when the channel's secret is missing.
    pub async fn create(&self, actor: &Actor, draft: Draft) -> Result<InlineHook> {
        let kind = draft.kind.ok_or_else(|| Error::invalid("type", "The field cannot be left blank"))?;
        let id = InlineHookId::generate(&*self.entropy)?;
        let (this, actor, now) = (self.clone(), actor.clone(), self.clock.now());
        let create = move |conn: &mut Conn| {
            let org = &actor.org;
            require(conn, org)?;
            refuse_over_limit(conn, org, this.limit)?;
            refuse_taken_name(conn, org, &draft.name, None)?;
            refuse_unknown_key(conn, org, &draft.channel.auth)?;
            let hook = InlineHook {
                id: id.clone(),
                status: HookStatus::Active,
                name: draft.name.as_str().to_owned(),
                kind,
                version: draft.version.clone(),
                channel: draft.channel.clone(),
                created: now,
                last_updated: now,
            };
            let secret = this.seal_secret(conn, org, &hook, draft.secret.as_ref(), None)?;
            let stored = this.sealed(conn, org, &hook, secret)?;
            store::inline_hooks::insert(conn, org, &stored)?;
            let created = actor.done(EventType::InlineHookCreated, vec![(&hook).into()]);
            store::audit::insert(conn, &created)?;
            Ok(hook)
        };
        let db = self.db.clone();
        self.tasks.run(async move { db.write("create_inline_hook", create).await }).await
    }

    /// The hook of this id.
    pub async fn find(&self, org: &OrgId, id: InlineHookId) -> Result<InlineHook> {
        let (this, org) = (self.clone(), org.clone());
        let find = move |conn: &mut Conn| {
            let stored = stored(conn, &org, &id)?;
            this.opened(conn, &org, stored)
        };
        self.db.read(find).await
    }

    /// All hooks of the org in creation order, or only those of one type.
    pub async fn list(&self, org: &OrgId, kind: Option<HookType>) -> Result<Vec<InlineHook>> {
        let (this, org) = (self.clone(), org.clone());
        let list = move |conn: &mut Conn| {
            let all = store::inline_hooks::list(conn, &org, kind)?;
            all.into_iter().map(|stored| this.opened(conn, &org, stored)).collect()
        };
        self.db.read(list).await
    }

    /// Changes a hook to what `edit` makes of its present state. The id, the type and the status stay.
    ///
    /// A draft without a secret keeps the stored one, as long as the channel still takes one of that kind.
    pub async fn change(
        &self,
        actor: &Actor,
        id: InlineHookId,
        edit: impl Fn(&InlineHook) -> Result<Draft> + Send + 'static,
    ) -> Result<InlineHook> {
        let (this, actor, now) = (self.clone(), actor.clone(), self.clock.now());
        let change = move |conn: &mut Conn| {
            let org = &actor.org;
            let old = stored(conn, org, &id)?;
            let kept = old.secret.clone();
            let hook = this.opened(conn, org, old)?;
            let draft = edit(&hook)?;
            if draft.kind.is_some_and(|kind| kind != hook.kind) {
                return Err(Error::invalid("type", "The type of an inline hook cannot change"));
            }
            refuse_taken_name(conn, org, &draft.name, Some(&id))?;
            refuse_unknown_key(conn, org, &draft.channel.auth)?;
            let kept = kept.filter(|_| hook.channel.auth.same_kind(&draft.channel.auth));
            let hook = InlineHook {
                name: draft.name.as_str().to_owned(),
                version: draft.version,
                channel: draft.channel,
                last_updated: now,
                ..hook
            };
            let secret = this.seal_secret(conn, org, &hook, draft.secret.as_ref(), kept)?;
            let stored = this.sealed(conn, org, &hook, secret)?;
            store::inline_hooks::replace(conn, org, &stored)?;
            let updated = actor.done(EventType::InlineHookUpdated, vec![(&hook).into()]);
            store::audit::insert(conn, &updated)?;
            Ok(hook)
        };
        let db = self.db.clone();
        self.tasks.run(async move { db.write("change_inline_hook", change).await }).await
    }

    /// Activates or deactivates a hook. One that is so already stays as it is.
    pub async fn set_status(
        &self,
        actor: &Actor,
        id: InlineHookId,
        status: HookStatus,
    ) -> Result<InlineHook> {
        let (this, actor, now) = (self.clone(), actor.clone(), self.clock.now());
        let set = move |conn: &mut Conn| {
            let org = &actor.org;
            let mut found = stored(conn, org, &id)?;
            if found.hook.status != status {
                found.hook.status = status;
                found.hook.last_updated = now;
                store::inline_hooks::replace(conn, org, &found)?;
                let kind = match status {
                    HookStatus::Active => EventType::InlineHookActivated,
                    HookStatus::Inactive => EventType::InlineHookDeactivated,
                };
                store::audit::insert(conn, &actor.done(kind, vec![(&found.hook).into()]))?;
            }
            this.opened(conn, org, found)
        };
        let db = self.db.clone();
        self.tasks.run(async move { db.write("set_inline_hook_status", set).await }).await
    }

    /// Deletes a hook that is inactive. The hook key it named is free then.
    pub async fn delete(&self, actor: &Actor, id: InlineHookId) -> Result<()> {
        let (this, actor, gone) = (self.clone(), actor.clone(), id.clone());
        let delete = move |conn: &mut Conn| {
            let org = &actor.org;
            let hook = stored(conn, org, &id)?.hook;
            if hook.status == HookStatus::Active {
                return Err(Error::invalid(
                    "inlineHook",
                    "Cannot delete an active inline hook. Deactivate it first.",
                ));
            }
            store::inline_hooks::delete(conn, org, &id)?;
            let deleted = actor.done(EventType::InlineHookDeleted, vec![(&hook).into()]);
            store::audit::insert(conn, &deleted)
        };
        self.tasks
            .run(async move {
                this.db.write("delete_inline_hook", delete).await?;
                this.tokens.forget(&gone);
                Ok(())
            })
            .await
    }

    /// Fills in the headers.
    pub(super) fn opened(&self, conn: &mut Conn, org: &OrgId, stored: Stored) -> Result<InlineHook> {
        let mut hook = stored.hook;
        if let Some(blob) = &stored.headers {
            let place = place(Column::InlineHookHeaders, org, hook.id.as_str());
            let json = self.keyring.open(conn, &place, blob)?;
            hook.channel.headers = read_headers(&json)?;
        }
        Ok(hook)
    }

    /// Opens the secret of a channel.
    pub(super) fn open_secret(
        &self,
        conn: &mut Conn,
        org: &OrgId,
        id: &InlineHookId,
        blob: &[u8],
    ) -> Result<Secret> {
        let plain = self.keyring.open(conn, &place(Column::InlineHookSecret, org, id.as_str()), blob)?;
        let text = std::str::from_utf8(&plain).map_err(|error| Error::internal("opening a secret", error))?;
        Ok(Secret::new(text.to_owned()))
    }

    /// The sealed secret that the channel takes: the new one, else the kept one.
    fn seal_secret(
        &self,
        conn: &mut Conn,
        org: &OrgId,
        hook: &InlineHook,
        new: Option<&Secret>,
        kept: Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        match (hook.channel.auth.secret_field(), new) {
            (None, _) => Ok(None),
            (Some(_), Some(secret)) => {
                let place = place(Column::InlineHookSecret, org, hook.id.as_str());
                self.keyring.seal(conn, &place, secret.reveal().as_bytes(), &*self.entropy).map(Some)
            }
            (Some(field), None) if kept.is_none() => {
                Err(Error::invalid(field, "The field cannot be left blank"))
            }
            (Some(_), None) => Ok(kept),
        }
    }

    /// The hook as it is stored, its headers sealed.
    fn sealed(
        &self,
        conn: &mut Conn,
        org: &OrgId,
        hook: &InlineHook,
        secret: Option<Vec<u8>>,
    ) -> Result<Stored> {
        let headers = match hook.channel.headers.as_slice() {
            [] => None,
            headers => {
                let place = place(Column::InlineHookHeaders, org, hook.id.as_str());
                Some(self.keyring.seal(conn, &place, &write_headers(headers)?, &*self.entropy)?)
            }
        };
        let hook =
            InlineHook { channel: Channel { headers: Vec::new(), ..hook.channel.clone() }, ..hook.clone() };
        Ok(Stored { hook, headers, secret })
    }
}

fn write_headers(headers: &[Header]) -> Result<Zeroizing<Vec<u8>>> {
    let pairs: Vec<_> =
        headers.iter().map(|header| SealedHeader(&header.key, header.value.reveal())).collect();
    let json = serde_json::to_vec(&pairs).map_err(|error| Error::internal("sealing headers", error))?;
    Ok(Zeroizing::new(json))
}

fn read_headers(json: &[u8]) -> Result<Vec<Header>> {
    let pairs: Vec<(String, String)> =
        serde_json::from_slice(json).map_err(|error| Error::internal("opening headers", error))?;
    Ok(pairs.into_iter().map(|(key, value)| Header { key, value: Secret::new(value) }).collect())
}

pub(super) fn stored(conn: &mut Conn, org: &OrgId, id: &InlineHookId) -> Result<Stored> {
    store::inline_hooks::find(conn, org, id)?.ok_or_else(|| Error::not_found(RESOURCE, id.as_str()))
}

fn refuse_over_limit(conn: &mut Conn, org: &OrgId, limit: u32) -> Result<()> {
    if store::inline_hooks::count(conn, org)? < u64::from(limit) {
        return Ok(());
    }
    Err(Error::invalid(
        "inlineHook",
        format_args!(
            "Cannot create inline hook. Maximum number of inline hooks ({limit}) has been reached. \
             Delete a hook that is not needed, or ask the operator to raise the limit."
        ),
    ))
}

fn refuse_taken_name(
    conn: &mut Conn,
    org: &OrgId,
    name: &DisplayName,
    own: Option<&InlineHookId>,
) -> Result<()> {
    match store::inline_hooks::id_of_name(conn, org, name)? {
        Some(holder) if own.is_none_or(|own| own.as_str() != holder) => Err(Error::taken("name")),
        _ => Ok(()),
    }
}

fn refuse_unknown_key(conn: &mut Conn, org: &OrgId, auth: &Auth) -> Result<()> {
    match auth.hook_key() {
        Some(key) if store::hook_keys::find(conn, org, key)?.is_none() => {
            Err(channel::unknown_hook_key(key.as_str()))
        }
        _ => Ok(()),
    }
}
