//! Key sets: create, replace, change, find, list, delete, by themselves and through one of their keys.

use std::sync::Arc;

use super::keys::find_key;
use super::orgs::require;
use super::tasks::Tasks;
use crate::domain::audit::{Actor, EventType, Target};
use crate::domain::ids::{EntityId, OrgId};
use crate::domain::key::Selector;
use crate::domain::key_set::{KeySet, KeySetDraft, RESOURCE};
use crate::domain::page::{Page, PageRequest};
use crate::domain::tags::TagFilter;
use crate::domain::{Clock, Entropy, Timestamp};
use crate::error::{Error, Refusal, Result};
use crate::store::{self, Conn, Db};

/// The use cases of key sets. Cheap to clone.
#[derive(Clone)]
pub struct KeySets {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids.
    pub entropy: Arc<dyn Entropy>,
    /// Where writes run.
    pub tasks: Tasks,
}

/// What a write of a key set needs beside the request.
#[derive(Clone, Copy)]
struct Fresh {
    id: EntityId,
    now: Timestamp,
}

impl KeySets {
    /// Makes a key set. Refused when its id or its name is taken in the org.
    pub async fn create(&self, actor: &Actor, draft: KeySetDraft) -> Result<KeySet> {
        let fresh = self.fresh()?;
        let create = move |conn: &mut Conn, actor: &Actor| insert(conn, actor, &draft, draft.id, fresh);
        self.write("create_key_set", actor, create).await
    }

    /// Makes the key set that has the name in the draft what the draft says, or makes a new one.
    pub async fn put_by_name(&self, actor: &Actor, mut draft: KeySetDraft) -> Result<KeySet> {
        let Some(name) = draft.name.value().cloned() else {
            if !draft.violations.touch("name") {
                draft.violations.field("name", "required field missing");
            }
            return Err(Error::refused(Refusal::Schema(draft.violations)));
        };
        self.put(actor, Selector::Name(name), draft).await
    }

    /// Makes the key set what the draft says, or makes a new one. The id stays, and so does the time of birth,
    /// unless the draft names another. Where the selector is a name, the draft has it too.
    pub async fn put(&self, actor: &Actor, selector: Selector, draft: KeySetDraft) -> Result<KeySet> {
        let fresh = self.fresh()?;
        let put = move |conn: &mut Conn, actor: &Actor| {
            if let Some(set) = store::key_sets::find(conn, &actor.org, &selector)? {
                return overwrite(conn, actor, &set, &draft, fresh.now);
            }
            let id = if let Selector::Id(id) = selector { Some(id) } else { draft.id };
            insert(conn, actor, &draft, id, fresh)
        };
        self.write("put_key_set", actor, put).await
    }

    /// Changes what the draft names.
    pub async fn patch(&self, actor: &Actor, selector: Selector, draft: KeySetDraft) -> Result<KeySet> {
        let now = self.clock.now();
        let patch = move |conn: &mut Conn, actor: &Actor| {
            let set = store::key_sets::find(conn, &actor.org, &selector)?;
            let set = set.ok_or_else(|| nothing(&selector))?;
            change(conn, actor, &set, &draft, now)
        };
        self.write("patch_key_set", actor, patch).await
    }

    /// Deletes a key set with all its keys. Whether there was one makes no difference.
    pub async fn delete(&self, actor: &Actor, selector: Selector) -> Result<()> {
        let delete = move |conn: &mut Conn, actor: &Actor| {
            let org = &actor.org;
            let Some(set) = store::key_sets::find(conn, org, &selector)? else { return Ok(()) };
            let keys = store::keys::names_in(conn, org, set.id)?;
            store::key_sets::delete(conn, org, set.id)?;
            let mut deleted = vec![actor.done(EventType::KeySetDeleted, vec![(&set).into()])];
            for ((id, kid, name), number) in keys.into_iter().zip(1..) {
                let target = Target::key(id, &kid, name.as_deref());
                deleted.push(actor.also_done(number, EventType::KeyDeleted, vec![target]));
            }
            store::audit::insert_all(conn, &deleted)
        };
        self.write("delete_key_set", actor, delete).await
    }

    /// The key set.
    pub async fn find(&self, org: &OrgId, selector: Selector) -> Result<KeySet> {
        let org = org.clone();
        self.db.read(move |conn| find_set(conn, &org, &selector)).await
    }

    /// A part of the org's key sets, by rising id.
    pub async fn list(
        &self,
        org: &OrgId,
        filter: Option<TagFilter>,
        page: PageRequest<EntityId>,
    ) -> Result<Page<KeySet, EntityId>> {
        let org = org.clone();
        self.db.read(move |conn| store::key_sets::page(conn, &org, filter.as_ref(), &page)).await
    }

    /// The key set of a key.
    pub async fn find_of_key(&self, org: &OrgId, key: Selector) -> Result<KeySet> {
        let org = org.clone();
        self.db.read(move |conn| set_of_key(conn, &org, &key)?.ok_or_else(|| missing(&key))).await
    }

    /// Makes the key set of a key what the draft says. A key without one gets a new one.
    pub async fn put_of_key(&self, actor: &Actor, key: Selector, draft: KeySetDraft) -> Result<KeySet> {
        let fresh = self.fresh()?;
        let put = move |conn: &mut Conn, actor: &Actor| {
            let org = &actor.org;
            if let Some(set) = set_of_key(conn, org, &key)? {
                return overwrite(conn, actor, &set, &draft, fresh.now);
            }
            let set = insert(conn, actor, &draft, None, fresh)?;
            let key = find_key(conn, org, &key)?;
            store::keys::set_key_set(conn, org, key.id, set.id, fresh.now)?;
            let target = Target::key(key.id.to_string(), &key.kid, key.name.as_deref());
            store::audit::insert(conn, &actor.also_done(1, EventType::KeyUpdated, vec![target]))?;
            Ok(set)
        };
        self.write("put_key_set_of_key", actor, put).await
    }

    /// Changes what the draft names in the key set of a key.
    pub async fn patch_of_key(&self, actor: &Actor, key: Selector, draft: KeySetDraft) -> Result<KeySet> {
        let now = self.clock.now();
        let patch = move |conn: &mut Conn, actor: &Actor| {
            let set = set_of_key(conn, &actor.org, &key)?.ok_or_else(|| missing(&key))?;
            change(conn, actor, &set, &draft, now)
        };
        self.write("patch_key_set_of_key", actor, patch).await
    }

    fn fresh(&self) -> Result<Fresh> {
        Ok(Fresh { id: EntityId::generate(&*self.entropy)?, now: self.clock.now() })
    }

    async fn write<T: Send + 'static>(
        &self,
        name: &'static str,
        actor: &Actor,
        work: impl Fn(&mut Conn, &Actor) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (db, actor) = (self.db.clone(), actor.clone());
        self.tasks
            .run(async move {
                let work = move |conn: &mut Conn| {
                    require(conn, &actor.org)?;
                    work(conn, &actor)
                };
                db.write(name, work).await
            })
            .await
    }
}

/// Refuses a draft that breaks a rule by itself, whatever is stored.
pub fn check(draft: &KeySetDraft) -> Result<()> {
    if draft.violations.is_empty() {
        return Ok(());
    }
    Err(Error::refused(Refusal::Schema(draft.violations.clone())))
}

/// The key set, which must be there.
pub(super) fn find_set(conn: &mut Conn, org: &OrgId, selector: &Selector) -> Result<KeySet> {
    store::key_sets::find(conn, org, selector)?.ok_or_else(|| missing(selector))
}

fn insert(
    conn: &mut Conn,
    actor: &Actor,
    draft: &KeySetDraft,
    id: Option<EntityId>,
    Fresh { id: fresh, now }: Fresh,
) -> Result<KeySet> {
    check(draft)?;
    let set = KeySet {
        id: id.unwrap_or(fresh),
        name: draft.name.clone().after(None),
        tags: draft.tags.clone().after(None),
        created: draft.created.unwrap_or(now),
        updated: now,
    };
    let org = &actor.org;
    if store::key_sets::find(conn, org, &Selector::Id(set.id))?.is_some() {
        return Err(Error::refused(Refusal::IdTaken(set.id.to_string())));
    }
    refuse_taken_name(conn, org, &set)?;
    store::key_sets::insert(conn, org, &set)?;
    store::audit::insert(conn, &actor.done(EventType::KeySetCreated, vec![(&set).into()]))?;
    Ok(set)
}

fn overwrite(
    conn: &mut Conn,
    actor: &Actor,
    old: &KeySet,
    draft: &KeySetDraft,
    now: Timestamp,
) -> Result<KeySet> {
    check(draft)?;
    let set = KeySet {
        id: old.id,
        name: draft.name.clone().after(None),
        tags: draft.tags.clone().after(None),
        created: draft.created.unwrap_or(old.created),
        updated: now,
    };
    replace(conn, actor, old, set)
}

fn change(
    conn: &mut Conn,
    actor: &Actor,
    old: &KeySet,
    draft: &KeySetDraft,
    now: Timestamp,
) -> Result<KeySet> {
    check(draft)?;
    let set = KeySet {
        id: old.id,
        name: draft.name.clone().after(old.name.clone()),
        tags: draft.tags.clone().after(old.tags.clone()),
        created: old.created,
        updated: now,
    };
    replace(conn, actor, old, set)
}

fn replace(conn: &mut Conn, actor: &Actor, old: &KeySet, set: KeySet) -> Result<KeySet> {
    refuse_taken_name(conn, &actor.org, &set)?;
    store::key_sets::replace(conn, &actor.org, old, &set)?;
    store::audit::insert(conn, &actor.done(EventType::KeySetUpdated, vec![(&set).into()]))?;
    Ok(set)
}

fn set_of_key(conn: &mut Conn, org: &OrgId, key: &Selector) -> Result<Option<KeySet>> {
    match find_key(conn, org, key)?.set {
        Some(set) => store::key_sets::find(conn, org, &Selector::Id(set)),
        None => Ok(None),
    }
}

fn refuse_taken_name(conn: &mut Conn, org: &OrgId, set: &KeySet) -> Result<()> {
    let Some(name) = &set.name else { return Ok(()) };
    match store::key_sets::find(conn, org, &Selector::Name(name.clone()))? {
        Some(holder) if holder.id != set.id => Err(Error::refused(Refusal::NameTaken(name.clone()))),
        _ => Ok(()),
    }
}

fn missing(selector: &Selector) -> Error {
    Error::not_found(RESOURCE, selector.to_string())
}

/// What a change of a thing that is not there is told (contract §3, code 6).
pub(super) fn nothing(selector: &Selector) -> Error {
    Error::refused(match selector {
        Selector::Id(id) => Refusal::NoEntityOfId(id.to_string()),
        Selector::Name(name) => Refusal::NoEntityOfName(name.clone()),
    })
}
