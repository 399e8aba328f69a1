//! Hook keys: create, find, list, rename, delete.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::orgs::require;
use super::sealing::{Sealer, place};
use super::tasks::Tasks;
use crate::crypto::KeyPool;
use crate::crypto::rsa::RsaKeyPair;
use crate::domain::audit::{Actor, EventType};
use crate::domain::hook_key::{HookKey, RESOURCE};
use crate::domain::ids::{HookKeyId, KeyId, OrgId};
use crate::domain::text::DisplayName;
use crate::domain::{Clock, Entropy};
use crate::error::{Error, Result};
use crate::jose::jwk;
use crate::store::sealed::Column;
use crate::store::{self, Conn, Db};

/// The use cases of hook keys. Cheap to clone.
#[derive(Clone)]
pub struct HookKeys {
    /// The database.
    pub db: Db,
    /// Where new key pairs come from.
    pub pool: Arc<KeyPool>,
    /// What private halves are sealed with.
    pub keyring: Arc<Sealer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids and sealing.
    pub entropy: Arc<dyn Entropy>,
    /// Where writes run.
    pub tasks: Tasks,
    /// Most keys of an org that has no limit of its own.
    pub default_limit: u32,
}

impl HookKeys {
    /// Makes a key pair, seals its private half and stores both.
    ///
    /// Refused when the org has as many keys as it may, or when another of its keys has the name.
    pub async fn create(&self, actor: &Actor, name: DisplayName) -> Result<HookKey> {
        let (this, actor) = (self.clone(), actor.clone());
        self.tasks
            .run(async move {
                let pair = this.pool.take().await?;
                let outcome = this.store_new(actor, name, &pair).await;
                // What has failed may be stored all the same: a pair must not become two keys.
                if outcome.as_ref().is_err_and(Error::is_refusal) {
                    this.pool.put_back(pair);
                }
                outcome
            })
            .await
    }

    async fn store_new(&self, actor: Actor, name: DisplayName, pair: &RsaKeyPair) -> Result<HookKey> {
        let now = self.clock.now();
        let key = HookKey {
            id: HookKeyId::generate(&*self.entropy)?,
            key_id: KeyId::generate(&*self.entropy)?,
            name: name.as_str().to_owned(),
            modulus: jwk::rsa_n(pair.modulus()),
            created: now,
            last_updated: now,
            is_used: false,
        };
        let (this, pkcs8) = (self.clone(), Zeroizing::new(pair.pkcs8().to_vec()));
        self.db
            .write("create_hook_key", move |conn| {
                let org = &actor.org;
                refuse_over_limit(conn, org, this.default_limit)?;
                refuse_taken_name(conn, org, &name, None)?;
                let place = place(Column::HookKeyPrivateKey, org, key.id.as_str());
                let sealed = this.keyring.seal(conn, &place, &pkcs8, &*this.entropy)?;
                store::hook_keys::insert(conn, org, &key, &sealed)?;
                let created = actor.done(EventType::HookKeyCreated, vec![(&key).into()]);
                store::audit::insert(conn, &created)?;
                Ok(key.clone())
            })
            .await
    }

    /// The key of this id.
    pub async fn find(&self, org: &OrgId, id: HookKeyId) -> Result<HookKey> {
        let org = org.clone();
        self.db
            .read(move |conn| store::hook_keys::find(conn, &org, &id)?.ok_or_else(|| missing(id.as_str())))
            .await
    }

    /// The key whose public half has this alias.
    pub async fn find_by_key_id(&self, org: &OrgId, key_id: KeyId) -> Result<HookKey> {
        let org = org.clone();
        let find = move |conn: &mut Conn| {
            store::hook_keys::find_by_key_id(conn, &org, key_id)?.ok_or_else(|| missing(key_id.to_string()))
        };
        self.db.read(find).await
    }

    /// All keys of the org in creation order.
    pub async fn list(&self, org: &OrgId) -> Result<Vec<HookKey>> {
        let org = org.clone();
        self.db.read(move |conn| store::hook_keys::list(conn, &org)).await
    }

    /// Gives a key another name, the only thing about it that can change. Its own present name is allowed.
    pub async fn rename(&self, actor: &Actor, id: HookKeyId, name: DisplayName) -> Result<HookKey> {
        let (this, actor, now) = (self.clone(), actor.clone(), self.clock.now());
        let rename = move |conn: &mut Conn| {
            let org = &actor.org;
            let key = store::hook_keys::find(conn, org, &id)?.ok_or_else(|| missing(id.as_str()))?;
            refuse_taken_name(conn, org, &name, Some(&id))?;
            store::hook_keys::rename(conn, org, &id, &name, now)?;
            let key = HookKey { name: name.as_str().to_owned(), last_updated: now, ..key };
            let updated = actor.done(EventType::HookKeyUpdated, vec![(&key).into()]);
            store::audit::insert(conn, &updated)?;
            Ok(key)
        };
        self.tasks.run(async move { this.db.write("rename_hook_key", rename).await }).await
    }

    /// Deletes a key that no inline hook names. There is no way back.
    pub async fn delete(&self, actor: &Actor, id: HookKeyId) -> Result<()> {
        let (this, actor) = (self.clone(), actor.clone());
        let delete = move |conn: &mut Conn| {
            let org = &actor.org;
            let key = store::hook_keys::find(conn, org, &id)?.ok_or_else(|| missing(id.as_str()))?;
            refuse_used(conn, org, &id)?;
            store::hook_keys::delete(conn, org, &id)?;
            let deleted = actor.done(EventType::HookKeyDeleted, vec![(&key).into()]);
            store::audit::insert(conn, &deleted)
        };
        self.tasks.run(async move { this.db.write("delete_hook_key", delete).await }).await
    }
}

fn missing(id: impl Into<String>) -> Error {
    Error::not_found(RESOURCE, id)
}

fn refuse_over_limit(conn: &mut Conn, org: &OrgId, default_limit: u32) -> Result<()> {
    let org = require(conn, org)?;
    let limit = org.hook_key_limit.unwrap_or(default_limit);
    if store::hook_keys::count(conn, &org.id)? < u64::from(limit) {
        return Ok(());
    }
    Err(Error::invalid(
        "hookKey",
        format_args!(
            "Cannot create hook key. Maximum number of hook keys ({limit}) has been reached. \
             Delete an unused key, or ask the operator to raise the limit."
        ),
    ))
}

fn refuse_taken_name(
    conn: &mut Conn,
    org: &OrgId,
    name: &DisplayName,
    own: Option<&HookKeyId>,
) -> Result<()> {
    match store::hook_keys::id_of_name(conn, org, name)? {
        Some(holder) if own.is_none_or(|own| own.as_str() != holder) => Err(Error::taken("name")),
        _ => Ok(()),
    }
}

fn refuse_used(conn: &mut Conn, org: &OrgId, id: &HookKeyId) -> Result<()> {
    let holders = store::inline_hooks::holding(conn, org, id)?;
    if holders.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = holders.iter().map(|(id, name)| format!("\"{name}\" ({id})")).collect();
    Err(Error::invalid(
        "hookKey",
        format_args!(
            "Cannot delete a hook key that is in use. Used by inline hook {}. \
             Point the hook at another key or delete it first.",
            named.join(", ")
        ),
    ))
}
