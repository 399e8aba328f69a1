//! Keys that were brought from elsewhere: create, replace, change, find, convert, list, delete.

mod convert;
mod fit;
mod judge;
mod reveal;

use std::sync::Arc;

use self::convert::convert;
use self::fit::{Fit, Private, Way};
use self::judge::{Judged, judge};
use self::reveal::{audited, sealed, sight_of};
use super::key_sets::{find_set, nothing};
use super::orgs::require;
use super::places::Places;
use super::sealing::{Sealer, place};
use super::tasks::Tasks;
use crate::crypto::key::Rules;
use crate::domain::audit::{Actor, EventType};
use crate::domain::change::Change;
use crate::domain::ids::{EntityId, OrgId};
use crate::domain::key::{Format, Key, KeyDraft, Pem, RESOURCE, Selector, Sight, Target};
use crate::domain::page::{Page, PageRequest};
use crate::domain::secret::Secret;
use crate::domain::tags::TagFilter;
use crate::domain::{Clock, Entropy, Timestamp};
use crate::error::{Error, Refusal, Result};
use crate::store::keys::{Material, Stored};
use crate::store::sealed::Column;
use crate::store::{self, Conn, Db};

/// About how many bytes of key material a page of a list may have. A thousand RSA keys have half as many.
const LONGEST_PAGE: usize = 4 * 1024 * 1024;

/// How many keys are read at once.
const STEP: u32 = 100;

/// The use cases of keys. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    /// The database.
    pub db: Db,
    /// What private halves are sealed with.
    pub keyring: Arc<Sealer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids and sealing.
    pub entropy: Arc<dyn Entropy>,
    /// Where writes run.
    pub tasks: Tasks,
    /// Places for judging key material, which computes.
    pub places: Places,
    /// What keys must be like.
    pub rules: Rules,
}

/// A write in the making.
struct Write {
    draft: KeyDraft,
    judged: Judged,
    way: Way,
    sight: Sight,
    fresh: EntityId,
    now: Timestamp,
}

impl Keys {
    /// Makes a key, in the key set `within` if there is one.
    pub async fn create(
        &self,
        actor: &Actor,
        within: Option<Selector>,
        draft: KeyDraft,
        sight: Sight,
    ) -> Result<Key> {
        let work = move |this: &Self, conn: &mut Conn, actor: &Actor, write: &Write| {
            let set = parent(conn, &actor.org, within.as_ref())?;
            this.store(conn, actor, None, write.draft.id, set, write)
        };
        self.write("create_key", actor, draft, Way::Replace, sight, work).await
    }

    /// Makes the key that has the name in the draft what the draft says, or makes a new one.
    pub async fn put_by_name(&self, actor: &Actor, mut draft: KeyDraft, sight: Sight) -> Result<Key> {
        let Some(name) = draft.name.value().cloned() else {
            if !draft.violations.touch("name") {
                draft.violations.field("name", "required field missing");
            }
            // Refused for certain, and told everything else that is wrong.
            self.check(draft).await?;
            return Err(Error::internal("checking a key", "a rule was broken and forgotten"));
        };
        self.put(actor, Target { within: None, key: Selector::Name(name) }, draft, sight).await
    }

    /// Makes the key what the draft says, or makes a new one; in either case it belongs to the key set of the
    /// target then. The id stays, and so does the time of birth, unless the draft names another. Where the target
    /// is a name, the draft has it too.
    pub async fn put(&self, actor: &Actor, target: Target, draft: KeyDraft, sight: Sight) -> Result<Key> {
        let work = move |this: &Self, conn: &mut Conn, actor: &Actor, write: &Write| {
            let org = &actor.org;
            let set = parent(conn, org, target.within.as_ref())?;
            let old = store::keys::find(conn, org, &target.key)?;
            let id = if let Selector::Id(id) = target.key { Some(id) } else { write.draft.id };
            this.store(conn, actor, old.as_ref(), id, set, write)
        };
        self.write("put_key", actor, draft, Way::Replace, sight, work).await
    }

    /// Changes what the draft names. A key that is reached through its set may be moved to another.
    pub async fn patch(&self, actor: &Actor, target: Target, draft: KeyDraft, sight: Sight) -> Result<Key> {
        let work = move |this: &Self, conn: &mut Conn, actor: &Actor, write: &Write| {
            let org = &actor.org;
            let set = parent(conn, org, target.within.as_ref())?;
            let old = store::keys::find(conn, org, &target.key)?;
            let old = old.filter(|key| set.is_none() || key.set == set);
            let old = old.ok_or_else(|| nothing(&target.key))?;
            this.store(conn, actor, Some(&old), None, None, write)
        };
        self.write("patch_key", actor, draft, Way::Merge, sight, work).await
    }

    /// Deletes a key. Whether there was one makes a difference only for a key that is reached through its set.
    pub async fn delete(&self, actor: &Actor, target: Target) -> Result<()> {
        let (db, actor) = (self.db.clone(), actor.clone());
        let delete = move |conn: &mut Conn| {
            let org = &actor.org;
            let key = match &target.within {
                Some(_) => Some(find_target(conn, org, &target)?),
                None => store::keys::find(conn, org, &target.key)?,
            };
            let Some(key) = key else { return Ok(()) };
            store::keys::delete(conn, org, key.id)?;
            store::audit::insert(conn, &actor.done(EventType::KeyDeleted, vec![audited(&key)]))
        };
        self.tasks.run(async move { db.write("delete_key", delete).await }).await
    }

    /// The key, with its private half if there is a `revealer`, to whom it is shown.
    pub async fn find(&self, org: &OrgId, target: Target, revealer: Option<Actor>) -> Result<Key> {
        let (this, org, sight) = (self.clone(), org.clone(), sight_of(revealer.as_ref()));
        let find = move |conn: &mut Conn| {
            let key = find_target(conn, &org, &target)?;
            Ok((sealed(&key), this.shown(conn, &org, key, sight)?))
        };
        let (private, key) = self.db.read(find).await?;
        self.reveal(revealer, private.into_iter().collect()).await?;
        Ok(key)
    }

    /// The key in a format, whichever it is stored in. A vault reference has no other format.
    pub async fn find_as(
        &self,
        org: &OrgId,
        target: Target,
        revealer: Option<Actor>,
        format: Format,
    ) -> Result<Key> {
        let (this, org, sight) = (self.clone(), org.clone(), sight_of(revealer.as_ref()));
        let find = move |conn: &mut Conn| {
            let key = find_target(conn, &org, &target)?;
            // A public half may be found in the private one alone, whoever asks for it.
            let shown = this.shown(conn, &org, key.clone(), sight)?;
            Ok((sealed(&key), shown, this.shown(conn, &org, key, Sight::Private)?))
        };
        let (private, shown, whole) = self.db.read(find).await?;
        let key = self.tasks.blocking(move || convert(shown, &whole, sight, format)).await?;
        self.reveal(revealer, private.into_iter().collect()).await?;
        Ok(key)
    }

    /// A part of the org's keys by rising id, or of the keys in the key set `within`. A page of long keys ends before
    /// it has as many as were asked for.
    pub async fn list(
        &self,
        org: &OrgId,
        within: Option<Selector>,
        filter: Option<TagFilter>,
        page: PageRequest<EntityId>,
        revealer: Option<Actor>,
    ) -> Result<Page<Key, EntityId>> {
        let (this, org, sight) = (self.clone(), org.clone(), sight_of(revealer.as_ref()));
        let list = move |conn: &mut Conn| {
            let set = parent(conn, &org, within.as_ref())?;
            let step = |request: &_| store::keys::page(conn, &org, set, filter.as_ref(), request);
            let page = bounded(page, step)?;
            let private: Vec<_> = page.rows.iter().filter_map(sealed).collect();
            Ok((private, page.map(|key| this.shown(conn, &org, key, sight))?))
        };
        let (private, page) = self.db.read(list).await?;
        self.reveal(revealer, private).await?;
        Ok(page)
    }

    /// Refuses a draft that breaks a rule by itself, whatever is stored.
    pub async fn check(&self, draft: KeyDraft) -> Result<()> {
        let (draft, judged) = self.judged(draft).await?;
        let open = |_: &Stored| Err(Error::internal("checking a key", "nothing is stored"));
        let (stored, way, sight) = (None, Way::Replace, Sight::Private);
        let fit = Fit { stored, draft: &draft, judged: &judged, way, sight, open: &open };
        let outcome = fit.run()?;
        outcome.map(drop).map_err(|violations| Error::refused(Refusal::Schema(violations)))
    }

    async fn judged(&self, draft: KeyDraft) -> Result<(KeyDraft, Judged)> {
        let (draft, judged) = self.judge(draft, self.rules.at_first_sight()).await?;
        // Only RSA keys need a longer look, and only now is known how long.
        let bits = judged.rsa_bits();
        if bits == 0 {
            return Ok((draft, judged));
        }
        let _place = self.places.take(bits).await?;
        self.judge(draft, self.rules).await
    }

    async fn judge(&self, draft: KeyDraft, rules: Rules) -> Result<(KeyDraft, Judged)> {
        let work = move || {
            let judged = judge(&draft, rules);
            Ok((draft, judged))
        };
        self.tasks.blocking(work).await
    }

    async fn write(
        &self,
        name: &'static str,
        actor: &Actor,
        draft: KeyDraft,
        way: Way,
        sight: Sight,
        work: impl Fn(&Self, &mut Conn, &Actor, &Write) -> Result<Stored> + Send + 'static,
    ) -> Result<Key> {
        let (this, actor) = (self.clone(), actor.clone());
        let (fresh, now) = (EntityId::generate(&*self.entropy)?, self.clock.now());
        self.tasks
            .run(async move {
                let (draft, judged) = this.judged(draft).await?;
                let write = Write { draft, judged, way, sight, fresh, now };
                let db = this.db.clone();
                let work = move |conn: &mut Conn| {
                    require(conn, &actor.org)?;
                    let stored = work(&this, conn, &actor, &write)?;
                    this.shown(conn, &actor.org, stored, sight)
                };
                db.write(name, work).await
            })
            .await
    }

    /// Stores what the request makes of `old`, or of nothing. `id` is the id a new key gets, `set` the key set it
    /// belongs to whatever the draft says.
    fn store(
        &self,
        conn: &mut Conn,
        actor: &Actor,
        old: Option<&Stored>,
        id: Option<EntityId>,
        set: Option<EntityId>,
        write: &Write,
    ) -> Result<Stored> {
        let org = &actor.org;
        let Write { draft, judged, way, sight, fresh, now } = write;
        let (way, sight, now) = (*way, *sight, *now);
        let base = old.filter(|_| way == Way::Merge);
        let set = match set {
            Some(set) => Some(set),
            None => self::set(conn, org, draft, base)?,
        };
        self.learn(conn, old)?;
        let open = |stored: &Stored| self.open(org, stored);
        let fitted = Fit { stored: old, draft, judged, way, sight, open: &open }.run()?;
        let fitted = fitted.map_err(|violations| Error::refused(Refusal::Schema(violations)))?;
        let id = old.map(|old| old.id).or(id).unwrap_or(*fresh);
        let private = match &fitted.private {
            Private::None => None,
            Private::Kept => old.and_then(|old| old.material.private.clone()),
            Private::New(text) => Some(self.seal(conn, org, id, text)?),
        };
        // PATCH leaves the time of birth alone, even if it names one (contract §1).
        let created = draft.created.filter(|_| way == Way::Replace);
        let key = Stored {
            id,
            set,
            name: draft.name.clone().after(base.and_then(|base| base.name.clone())),
            kid: fitted.kid,
            material: Material { private, ..fitted.material },
            tags: draft.tags.clone().after(base.and_then(|base| base.tags.clone())),
            created: created.or(old.map(|old| old.created)).unwrap_or(now),
            updated: now,
        };
        if old.is_none() {
            refuse_taken_id(conn, org, &key)?;
        }
        refuse_unknown_set(conn, org, &key)?;
        refuse_taken(conn, org, &key)?;
        let kind = if let Some(old) = old {
            store::keys::replace(conn, org, old, &key)?;
            EventType::KeyUpdated
        } else {
            store::keys::insert(conn, org, &key)?;
            EventType::KeyCreated
        };
        store::audit::insert(conn, &actor.done(kind, vec![audited(&key)]))?;
        if sight == Sight::Private && matches!(fitted.private, Private::Kept) {
            // The answer shows what the request did not bring.
            let shown = actor.also_done(1, EventType::KeyRevealed, vec![audited(&key)]);
            store::audit::insert(conn, &shown)?;
        }
        Ok(key)
    }

    fn seal(&self, conn: &mut Conn, org: &OrgId, id: EntityId, text: &Secret) -> Result<Vec<u8>> {
        let row = id.to_string();
        let place = place(Column::KeyPrivateKey, org, &row);
        self.keyring.seal(conn, &place, text.reveal().as_bytes(), &*self.entropy)
    }

    /// Makes sure that a private half can be opened, if there is one.
    fn learn(&self, conn: &mut Conn, key: Option<&Stored>) -> Result<()> {
        let blob = key.and_then(|key| key.material.private.as_ref());
        blob.map_or(Ok(()), |blob| self.keyring.learn(conn, blob))
    }

    /// Opens a private half whose term was learnt.
    fn open(&self, org: &OrgId, key: &Stored) -> Result<Secret> {
        let what = "opening a key";
        let blob = key.material.private.as_deref().ok_or_else(|| Error::internal(what, "it is public"))?;
        let plain = self.keyring.open_known(&place(Column::KeyPrivateKey, org, &key.id.to_string()), blob)?;
        let text = std::str::from_utf8(&plain).map_err(|error| Error::internal(what, error))?;
        Ok(Secret::new(text.to_owned()))
    }

    /// The key as a reader may see it. Without [`Sight::Private`], nothing sealed is opened.
    fn shown(&self, conn: &mut Conn, org: &OrgId, key: Stored, sight: Sight) -> Result<Key> {
        let sealed = sight == Sight::Private && key.material.private.is_some();
        self.learn(conn, Some(&key).filter(|_| sealed))?;
        let private = sealed.then(|| self.open(org, &key)).transpose()?;
        let (is_jwk, is_pem) = (key.material.is_jwk(), key.material.is_pem());
        let (of_jwk, of_pem) = if is_jwk { (private, None) } else { (None, private) };
        let Material { jwk, pem_public, pem_reference, .. } = key.material;
        Ok(Key {
            id: key.id,
            set: key.set,
            name: key.name,
            kid: key.kid,
            jwk: of_jwk.or(jwk.map(Secret::new)),
            pem: is_pem
                .then(|| Pem { private: of_pem.or(pem_reference.map(Secret::new)), public: pem_public }),
            tags: key.tags,
            created: key.created,
            updated: key.updated,
        })
    }
}

/// Reads a page in steps, until it is full or as long as a page may be.
fn bounded(
    mut request: PageRequest<EntityId>,
    mut step: impl FnMut(&PageRequest<EntityId>) -> Result<Page<Stored, EntityId>>,
) -> Result<Page<Stored, EntityId>> {
    let (mut rows, mut bytes, mut left) = (Vec::new(), 0, request.size);
    loop {
        request.size = left.min(STEP);
        let page = step(&request)?;
        left = left.saturating_sub(request.size);
        bytes += page.rows.iter().map(|key| key.material.bytes()).sum::<usize>();
        rows.extend(page.rows);
        if page.next.is_none() || left == 0 || bytes > LONGEST_PAGE {
            return Ok(Page { rows, next: page.next });
        }
        request.after = page.next;
    }
}

/// The key, which must be there.
pub(super) fn find_key(conn: &mut Conn, org: &OrgId, selector: &Selector) -> Result<Stored> {
    store::keys::find(conn, org, selector)?.ok_or_else(|| Error::not_found(RESOURCE, selector.to_string()))
}

/// The key, which must be there and belong to the set through which it is reached.
fn find_target(conn: &mut Conn, org: &OrgId, target: &Target) -> Result<Stored> {
    let set = parent(conn, org, target.within.as_ref())?;
    let key = find_key(conn, org, &target.key)?;
    if set.is_some() && key.set != set {
        return Err(Error::not_found(RESOURCE, target.key.to_string()));
    }
    Ok(key)
}

/// The id of the key set in the path, which must be there.
fn parent(conn: &mut Conn, org: &OrgId, within: Option<&Selector>) -> Result<Option<EntityId>> {
    within.map(|set| find_set(conn, org, set).map(|set| set.id)).transpose()
}

/// The key set that the draft names, or the one the key has. One that is named by its id may not be there.
fn set(conn: &mut Conn, org: &OrgId, draft: &KeyDraft, base: Option<&Stored>) -> Result<Option<EntityId>> {
    match &draft.set {
        Change::Keep => Ok(base.and_then(|base| base.set)),
        Change::Clear => Ok(None),
        Change::Set(Selector::Id(id)) => Ok(Some(*id)),
        Change::Set(selector @ Selector::Name(name)) => match store::key_sets::find(conn, org, selector)? {
            Some(set) => Ok(Some(set.id)),
            None => Err(Error::refused(Refusal::SetUnresolved(name.clone()))),
        },
    }
}

fn refuse_taken_id(conn: &mut Conn, org: &OrgId, key: &Stored) -> Result<()> {
    match store::keys::find(conn, org, &Selector::Id(key.id))? {
        Some(_) => Err(Error::refused(Refusal::IdTaken(key.id.to_string()))),
        None => Ok(()),
    }
}

fn refuse_unknown_set(conn: &mut Conn, org: &OrgId, key: &Stored) -> Result<()> {
    match key.set {
        Some(id) if store::key_sets::find(conn, org, &Selector::Id(id))?.is_none() => {
            Err(Error::refused(Refusal::SetUnknown(id.to_string())))
        }
        _ => Ok(()),
    }
}

fn refuse_taken(conn: &mut Conn, org: &OrgId, key: &Stored) -> Result<()> {
    if let Some(name) = &key.name
        && let Some(holder) = store::keys::find(conn, org, &Selector::Name(name.clone()))?
        && holder.id != key.id
    {
        return Err(Error::refused(Refusal::NameTaken(name.clone())));
    }
    let holder = store::keys::id_of_kid(conn, org, key.set, &key.kid)?;
    if holder.is_some_and(|holder| holder != key.id.to_string()) {
        let set = key.set.map(|set| set.to_string());
        return Err(Error::refused(Refusal::KidTaken { kid: key.kid.clone(), set }));
    }
    Ok(())
}
