//! The keyring's life: made at the first start, opened at every start, inspected and changed by operators.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::Report;
use super::audit::Operator;
use super::sealing::{MasterSource, Sealer, place, wrapped};
use crate::crypto::key::Rules;
use crate::crypto::rsa::RsaKeyPair;
use crate::domain::audit::{EventType, Target};
use crate::domain::ids::OrgId;
use crate::domain::key::is_reference;
use crate::domain::{Clock, Entropy, Timestamp};
use crate::error::{Error, Result};
use crate::jose::jwk::{self, Jwk};
use crate::jose::pem;
use crate::seal::{Keyring, MasterKey, WrappedTerm, blob};
use crate::store::keyring::Term;
use crate::store::sealed::{Beside, Column, Value};
use crate::store::{self, Conn, Db};

/// Rows that one step of [`Keyrings::verify`] holds in memory.
const PAGE: i64 = 200;

/// Values that one transaction of [`Keyrings::reseal`] writes: a few milliseconds in which others wait.
const BATCH: i64 = 50;

/// How long it leaves to others then: who waits for the right to write on SQLite asks for it now and again.
const PAUSE: Duration = Duration::from_millis(10);

/// The least prefix of a value that names a term.
const LEAST: [u8; 5] = blob::prefix(0);

/// The use cases of the keyring.
pub struct Keyrings {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for data keys.
    pub entropy: Arc<dyn Entropy>,
    /// Who changes it.
    pub operator: Operator,
}

/// One term and what it seals.
#[derive(Debug, Clone)]
pub struct TermStatus {
    /// Its number.
    pub term: u32,
    /// When it was made.
    pub created: Timestamp,
    /// How many values are sealed under it.
    pub blobs: u64,
    /// Whether new values are sealed under it.
    pub current: bool,
}

/// What [`Keyrings::status`] finds.
#[derive(Debug, Clone)]
pub struct Status {
    /// The terms, rising.
    pub terms: Vec<TermStatus>,
    /// Sealed values that name no term of the keyring, or are damaged in their first bytes.
    pub orphans: u64,
}

/// What [`Keyrings::verify`] finds.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// How many values open and, if they are private halves, match their public halves.
    pub sound: u64,
    /// The others: the id of the key or hook, and which of its values is wrong in what way.
    pub broken: Vec<(String, String)>,
}

/// What [`Keyrings::reseal`] has done.
#[derive(Debug, Clone, Default)]
pub struct Resealed {
    /// The newest term.
    pub term: u32,
    /// How many values were sealed under it.
    pub done: u64,
    /// How many values of older terms there are still, those that do not open included.
    pub left: u64,
    /// Those that do not open: the id of the key or hook, and which of its values is wrong in what way.
    pub broken: Vec<(String, String)>,
}

/// What [`Keyrings::rotate_master`] has found or done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterRotation {
    /// So many terms are wrapped by the new master key now.
    Done(usize),
    /// They were already.
    DoneBefore,
}

impl Keyrings {
    /// Opens the keyring with the master key. A database without one gets its first term. `reread` is asked for the
    /// master key when this one does not open a term that was made since.
    pub async fn open_or_create(&self, master: &Arc<MasterKey>, reread: MasterSource) -> Result<Sealer> {
        let terms = self.db.read(terms).await?;
        if !terms.is_empty() {
            return Sealer::new(master, terms, Some(reread));
        }
        let WrappedTerm { term, wrapped } = Keyring::new_term(master, 1, &*self.entropy)?;
        let first = Term { term, wrapped, created: self.clock.now() };
        let create = move |conn: &mut Conn| {
            let terms = store::keyring::list(conn)?;
            if !terms.is_empty() {
                return Ok(terms);
            }
            store::keyring::insert(conn, &first)?;
            // As every later look finds it.
            store::keyring::list(conn)
        };
        Sealer::new(master, self.db.write("create_keyring", create).await?, Some(reread))
    }

    /// Opens the keyring with the master key; `None` when the database has none yet. One that holds sealed
    /// values has lost it: that is refused, because a new keyring would hide the loss.
    pub async fn open(&self, master: &Arc<MasterKey>) -> Result<Option<Sealer>> {
        opened(master, self.db.read(terms).await?)
    }

    /// The terms and how many values each seals.
    pub async fn status(&self) -> Result<Status> {
        self.db
            .read(|conn| {
                let terms = store::keyring::list(conn)?;
                let last = terms.last().map(|term| term.term);
                let mut orphans = store::sealed::count(conn, None, None)?;
                let mut found = Vec::with_capacity(terms.len());
                for Term { term, created, .. } in terms {
                    let (from, until) = (blob::prefix(term), blob::prefix(term.saturating_add(1)));
                    let blobs = store::sealed::count(conn, Some(&from), Some(&until))?;
                    orphans = orphans.saturating_sub(blobs);
                    found.push(TermStatus { term, created, blobs, current: Some(term) == last });
                }
                Ok(Status { terms: found, orphans })
            })
            .await
    }

    /// Opens every sealed value, and compares each private half with the public half beside it. Changes
    /// nothing.
    pub async fn verify(&self, sealer: &Arc<Sealer>, report: &Report) -> Result<Verdict> {
        let mut verdict = Verdict::default();
        let total = self.db.read(|conn| store::sealed::count(conn, None, None)).await?;
        for column in Column::ALL {
            let mut after = 0;
            loop {
                let page = move |conn: &mut Conn| store::sealed::page(conn, column, after, PAGE);
                let page = self.learnt(sealer, page).await?;
                let Some(last) = page.last() else { break };
                after = last.seq;
                for value in page {
                    match check(sealer, column, &value) {
                        Ok(()) => verdict.sound += 1,
                        Err(error) => verdict.broken.push(broken(column, value.id, &error)),
                    }
                }
                report(verdict.sound + verdict.broken.len() as u64, total);
            }
        }
        Ok(verdict)
    }

    /// Makes a new term. From here on every process that runs seals under it.
    pub async fn rotate(&self, master: &Arc<MasterKey>) -> Result<u32> {
        let (master, entropy) = (Arc::clone(master), Arc::clone(&self.entropy));
        let origin = self.operator.origin(&*self.clock, &*self.entropy)?;
        let created = origin.at;
        let rotate = move |conn: &mut Conn| {
            // In the transaction: the terms may have been wrapped by another master key a moment ago.
            let newest = Keyring::unwrap(&master, &wrapped(some_terms(conn)?))?.current();
            let WrappedTerm { term, wrapped } = Keyring::new_term(&master, newest + 1, &*entropy)?;
            store::keyring::insert(conn, &Term { term, wrapped, created })?;
            let rotated = origin.done(0, None, EventType::KeyringRotated, vec![Target::term(term)]);
            store::audit::insert(conn, &rotated)?;
            Ok(term)
        };
        self.db.write("rotate_keyring", rotate).await
    }

    /// Seals every value of an older term under the newest, a few at a time, while others read and write. What was
    /// done stays done, however this ends. A value that somebody else replaces meanwhile stays as they leave it.
    pub async fn reseal(&self, sealer: &Arc<Sealer>, report: &Report) -> Result<Resealed> {
        let newest = self.db.read(newest).await?;
        let until = blob::prefix(newest);
        let total = self.db.read(move |conn| store::sealed::count(conn, Some(&LEAST), Some(&until))).await?;
        let mut outcome = Resealed::default();
        let mut seen = 0;
        for column in Column::ALL {
            let mut after = 0;
            loop {
                let page = move |conn: &mut Conn| {
                    store::sealed::between(conn, column, (&LEAST, &until), after, BATCH)
                };
                let page = self.learnt(sealer, page).await?;
                let Some(last) = page.last() else { break };
                after = last.seq;
                seen += page.len() as u64;
                let mut opened = Vec::with_capacity(page.len());
                for value in page {
                    match open(sealer, column, &value) {
                        Ok((org, plain)) => opened.push((value, org, plain)),
                        Err(error) => outcome.broken.push(broken(column, value.id, &error)),
                    }
                }
                outcome.done += self.seal_anew(sealer, column, opened).await?;
                report(seen, total.max(seen));
                tokio::time::sleep(PAUSE).await;
            }
        }
        // Others may have made another term meanwhile, or put back what is older.
        (outcome.term, outcome.left) = self.db.read(left).await?;
        Ok(outcome)
    }

    async fn seal_anew(&self, sealer: &Arc<Sealer>, column: Column, values: Vec<Opened>) -> Result<u64> {
        let (sealer, entropy) = (Arc::clone(sealer), Arc::clone(&self.entropy));
        let seal = move |conn: &mut Conn| {
            let term = sealer.newest(conn)?;
            let mut done = 0;
            for (value, org, plain) in &values {
                let place = place(column, org, &value.id);
                let blob = sealer.seal_under(term, &place, plain, &*entropy)?;
                done += u64::from(store::sealed::replace(conn, column, value.seq, &value.blob, &blob)?);
            }
            Ok(done)
        };
        self.db.write("reseal", seal).await
    }

    /// Removes a term that seals nothing any more. Nothing that it has sealed, in a backup for example, opens in this
    /// database again.
    pub async fn retire(&self, term: u32) -> Result<()> {
        let origin = self.operator.origin(&*self.clock, &*self.entropy)?;
        let retire = move |conn: &mut Conn| {
            let terms = some_terms(conn)?;
            if !terms.iter().any(|there| there.term == term) {
                return Err(Error::setup(format!(
                    "there is no term {term}: `hook-keys keyring status` shows those there are"
                )));
            }
            if terms.last().is_some_and(|newest| newest.term == term) {
                return Err(Error::setup(format!(
                    "term {term} seals new values: make another one with `hook-keys keyring rotate` first, and seal \
                     the values anew with `hook-keys keyring reseal`"
                )));
            }
            let (from, until) = (blob::prefix(term), blob::prefix(term + 1));
            match store::sealed::count(conn, Some(&from), Some(&until))? {
                0 => {
                    store::keyring::delete(conn, term)?;
                    let retired = origin.done(0, None, EventType::KeyringRetired, vec![Target::term(term)]);
                    store::audit::insert(conn, &retired)
                }
                many => Err(Error::setup(format!(
                    "term {term} still seals {many} value(s), which nobody could open without it: run \
                     `hook-keys keyring reseal`"
                ))),
            }
        };
        self.db.write("retire_term", retire).await
    }

    /// Wraps every term with another master key, all or none.
    pub async fn rotate_master(&self, old: &Arc<MasterKey>, new: &Arc<MasterKey>) -> Result<MasterRotation> {
        let (old, new, entropy) = (Arc::clone(old), Arc::clone(new), Arc::clone(&self.entropy));
        let origin = self.operator.origin(&*self.clock, &*self.entropy)?;
        let rotate = move |conn: &mut Conn| {
            let terms = wrapped(some_terms(conn)?);
            match (Keyring::rewrap(&old, &new, &terms, &*entropy), Keyring::unwrap(&new, &terms)) {
                (Ok(_), Ok(_)) => Err(Error::setup(
                    "the new file holds the master key that is in use: name a file that does not exist yet",
                )),
                (Ok(rewrapped), Err(_)) => {
                    for WrappedTerm { term, wrapped } in &rewrapped {
                        store::keyring::rewrap(conn, *term, wrapped)?;
                    }
                    let terms = rewrapped.iter().map(|term| Target::term(term.term)).collect();
                    let rotated = origin.done(0, None, EventType::MasterKeyRotated, terms);
                    store::audit::insert(conn, &rotated)?;
                    Ok(MasterRotation::Done(rewrapped.len()))
                }
                (Err(_), Ok(_)) => Ok(MasterRotation::DoneBefore),
                (Err(error), Err(_)) => Err(error),
            }
        };
        self.db.write("rotate_master_key", rotate).await
    }

    /// A page of values, all of whose terms are known.
    async fn learnt(
        &self,
        sealer: &Arc<Sealer>,
        page: impl Fn(&mut Conn) -> Result<Vec<Value>> + Send + 'static,
    ) -> Result<Vec<Value>> {
        let sealer = Arc::clone(sealer);
        let read = move |conn: &mut Conn| {
            let page = page(conn)?;
            page.iter().try_for_each(|value| sealer.learn(conn, &value.blob))?;
            Ok(page)
        };
        self.db.read(read).await
    }
}

/// A value with what it holds.
type Opened = (Value, OrgId, Zeroizing<Vec<u8>>);

/// The terms, rising. None at all where there are sealed values is refused: it has lost them.
pub(super) fn terms(conn: &mut Conn) -> Result<Vec<Term>> {
    let terms = store::keyring::list(conn)?;
    if terms.is_empty() && store::sealed::count(conn, None, None)? > 0 {
        return Err(Error::setup(
            "the database holds sealed values but its keyring is gone: restore a backup",
        ));
    }
    Ok(terms)
}

/// What the keyring of these terms seals and opens with, if there are any.
pub(super) fn opened(master: &Arc<MasterKey>, terms: Vec<Term>) -> Result<Option<Sealer>> {
    if terms.is_empty() { Ok(None) } else { Sealer::new(master, terms, None).map(Some) }
}

/// The terms, of which there must be one.
fn some_terms(conn: &mut Conn) -> Result<Vec<Term>> {
    let terms = terms(conn)?;
    if terms.is_empty() {
        return Err(Error::setup("the database has no keyring yet: the first start of the server makes it"));
    }
    Ok(terms)
}

fn newest(conn: &mut Conn) -> Result<u32> {
    Ok(some_terms(conn)?.last().map_or(0, |term| term.term))
}

/// The newest term, and how many values older ones seal.
fn left(conn: &mut Conn) -> Result<(u32, u64)> {
    let newest = newest(conn)?;
    Ok((newest, store::sealed::count(conn, Some(&LEAST), Some(&blob::prefix(newest)))?))
}

fn broken(column: Column, id: String, error: &Error) -> (String, String) {
    let (table, column) = column.place();
    (id, format!("{table}.{column}: {}", error.private().unwrap_or_default()))
}

fn open(sealer: &Sealer, column: Column, value: &Value) -> Result<(OrgId, Zeroizing<Vec<u8>>)> {
    let org = OrgId::parse(&value.org)
        .ok_or_else(|| Error::internal("sealed value", "its row names an impossible org"))?;
    let plain = sealer.open_known(&place(column, &org, &value.id), &value.blob)?;
    Ok((org, plain))
}

fn check(sealer: &Sealer, column: Column, value: &Value) -> Result<()> {
    let (_, plain) = open(sealer, column, value)?;
    let matches = match &value.beside {
        Beside::Nothing => true,
        Beside::Modulus(modulus) => jwk::rsa_n(RsaKeyPair::from_pkcs8(plain)?.modulus()) == *modulus,
        Beside::Public { jwk, pem } => same_public(&plain, jwk.as_deref(), pem.as_deref()),
    };
    if matches {
        return Ok(());
    }
    Err(Error::internal("sealed value", "it opens, but its public half is not the one in its row"))
}

/// Whether a sealed JWK or PEM is the private half of what its row shows. A reference shows nothing.
fn same_public(plain: &[u8], jwk: Option<&str>, pem: Option<&str>) -> bool {
    let Ok(text) = std::str::from_utf8(plain) else { return false };
    match (jwk, pem) {
        (Some(shown), _) if !is_reference(shown) => {
            Jwk::read(text).is_ok_and(|jwk| jwk.public_text() == shown)
        }
        (_, Some(shown)) if !is_reference(shown) => {
            let private = pem::read_private(text, Rules::STORED);
            let public = pem::read_public(shown, Rules::STORED);
            private.is_ok_and(|private| public.is_ok_and(|public| private.same_public(&public)))
        }
        _ => true,
    }
}
