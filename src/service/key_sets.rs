//! Key sets: create, replace, change, find, list, delete, by themselves and through one of their keys.

use std::sync::Arc;

use super::keys::find_key;
use super::orgs::require;
use super::tasks::Tasks;
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
    pub async fn create(&self, org: &OrgId, draft: KeySetDraft) -> Result<KeySet> {
        let fresh = self.fresh()?;
        self.write("create_key_set", org, move |conn, org| insert(conn, org, &draft, draft.id, fresh)).await
    }

    /// Makes the key set that has the name in the draft what the draft says, or makes a new one.
    pub async fn put_by_name(&self, org: &OrgId, mut draft: KeySetDraft) -> Result<KeySet> {
        let Some(name) = draft.name.value().cloned() else {
            if !draft.violations.touch("name") {
                draft.violations.field("name", "required field missing");
            }
            return Err(Error::refused(Refusal::Schema(draft.violations)));
        };
        self.put(org, Selector::Name(name), draft).await
    }

    /// Makes the key set what the draft says, or makes a new one. The id stays, and so does the time of birth,
    /// unless the draft names another. Where the selector is a name, the draft has it too.
    pub async fn put(&self, org: &OrgId, selector: Selector, draft: KeySetDraft) -> Result<KeySet> {
        let fresh = self.fresh()?;
        let put = move |conn: &mut Conn, org: &OrgId| {
            if let Some(set) = store::key_sets::find(conn, org, &selector)? {
                return overwrite(conn, org, &set, &draft, fresh.now);
            }
            let id = if let Selector::Id(id) = selector { Some(id) } else { draft.id };
            insert(conn, org, &draft, id, fresh)
        };
        self.write("put_key_set", org, put).await
    }

    /// Changes what the draft names.
    pub async fn patch(&self, org: &OrgId, selector: Selector, draft: KeySetDraft) -> Result<KeySet> {
        let now = self.clock.now();
        let patch = move |conn: &mut Conn, org: &OrgId| {
            let set = store::key_sets::find(conn, org, &selector)?.ok_or_else(|| nothing(&selector))?;
            change(conn, org, &set, &draft, now)
        };
        self.write("patch_key_set", org, patch).await
    }

    /// Deletes a key set with all its keys. Whether there was one makes no difference.
    pub async fn delete(&self, org: &OrgId, selector: Selector) -> Result<()> {
        let delete = move |conn: &mut Conn, org: &OrgId| match store::key_sets::find(conn, org, &selector)? {
            Some(set) => store::key_sets::delete(conn, org, set.id),
            None => Ok(()),
        };
        self.write("delete_key_set", org, delete).await
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
    pub async fn put_of_key(&self, org: &OrgId, key: Selector, draft: KeySetDraft) -> Result<KeySet> {
        let fresh = self.fresh()?;
        let put = move |conn: &mut Conn, org: &OrgId| {
            if let Some(set) = set_of_key(conn, org, &key)? {
                return overwrite(conn, org, &set, &draft, fresh.now);
            }
            let set = insert(conn, org, &draft, None, fresh)?;
            let key = find_key(conn, org, &key)?;
            store::keys::set_key_set(conn, org, key.id, set.id, fresh.now)?;
            Ok(set)
        };
        self.write("put_key_set_of_key", org, put).await
    }

    /// Changes what the draft names in the key set of a key.
    pub async fn patch_of_key(&self, org: &OrgId, key: Selector, draft: KeySetDraft) -> Result<KeySet> {
        let now = self.clock.now();
        let patch = move |conn: &mut Conn, org: &OrgId| {
            let set = set_of_key(conn, org, &key)?.ok_or_else(|| missing(&key))?;
            change(conn, org, &set, &draft, now)
        };
        self.write("patch_key_set_of_key", org, patch).await
    }

    fn fresh(&self) -> Result<Fresh> {
        Ok(Fresh { id: EntityId::generate(&*self.entropy)?, now: self.clock.now() })
    }

    async fn write<T: Send + 'static>(
        &self,
        name: &'static str,
        org: &OrgId,
        work: impl Fn(&mut Conn, &OrgId) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (db, org) = (self.db.clone(), org.clone());
        self.tasks
            .run(async move {
                let work = move |conn: &mut Conn| {
                    require(conn, &org)?;
                    work(conn, &org)
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
    org: &OrgId,
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
    if store::key_sets::find(conn, org, &Selector::Id(set.id))?.is_some() {
        return Err(Error::refused(Refusal::IdTaken(set.id.to_string())));
    }
    refuse_taken_name(conn, org, &set)?;
    store::key_sets::insert(conn, org, &set)?;
    Ok(set)
}

fn overwrite(
    conn: &mut Conn,
    org: &OrgId,
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
    refuse_taken_name(conn, org, &set)?;
    store::key_sets::replace(conn, org, old, &set)?;
    Ok(set)
}

fn change(conn: &mut Conn, org: &OrgId, old: &KeySet, draft: &KeySetDraft, now: Timestamp) -> Result<KeySet> {
    check(draft)?;
    let set = KeySet {
        id: old.id,
        name: draft.name.clone().after(old.name.clone()),
        tags: draft.tags.clone().after(old.tags.clone()),
        created: old.created,
        updated: now,
    };
    refuse_taken_name(conn, org, &set)?;
    store::key_sets::replace(conn, org, old, &set)?;
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
