//! The keyring's life: made at the first start, opened at every start, inspected by operators.

use std::sync::Arc;

use super::Report;
use super::sealing::place;
use crate::crypto::key::Rules;
use crate::crypto::rsa::RsaKeyPair;
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

/// The use cases of the keyring.
pub struct Keyrings {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for data keys.
    pub entropy: Arc<dyn Entropy>,
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

impl Keyrings {
    /// Opens the keyring with the master key. A database without one gets its first term.
    pub async fn open_or_create(&self, master: &MasterKey) -> Result<Keyring> {
        if let Some(keyring) = self.open(master).await? {
            return Ok(keyring);
        }
        let WrappedTerm { term, wrapped } = Keyring::new_term(master, 1, &*self.entropy)?;
        let first = Term { term, wrapped, created: self.clock.now() };
        let create = move |conn: &mut Conn| {
            let terms = store::keyring::list(conn)?;
            if !terms.is_empty() {
                return Ok(terms);
            }
            store::keyring::insert(conn, &first)?;
            Ok(vec![first.clone()])
        };
        unwrap(master, self.db.write("create_keyring", create).await?)
    }

    /// Opens the keyring with the master key; `None` when the database has none yet. One that holds sealed
    /// values has lost it: that is refused, because a new keyring would hide the loss.
    pub async fn open(&self, master: &MasterKey) -> Result<Option<Keyring>> {
        open(master, self.db.read(terms).await?)
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
    pub async fn verify(&self, keyring: &Keyring, report: &Report) -> Result<Verdict> {
        let mut verdict = Verdict::default();
        let total = self.db.read(|conn| store::sealed::count(conn, None, None)).await?;
        for column in Column::ALL {
            let mut after = 0;
            loop {
                let page = self.db.read(move |conn| store::sealed::page(conn, column, after, PAGE)).await?;
                let Some(last) = page.last() else { break };
                after = last.seq;
                for value in page {
                    match check(keyring, column, &value) {
                        Ok(()) => verdict.sound += 1,
                        Err(error) => {
                            let (table, column) = column.place();
                            let cause = error.private().unwrap_or_default();
                            verdict.broken.push((value.id, format!("{table}.{column}: {cause}")));
                        }
                    }
                }
                report(verdict.sound + verdict.broken.len() as u64, total);
            }
        }
        Ok(verdict)
    }
}

/// The terms of a keyring. None are there when nothing was ever sealed; without them, what is sealed is lost.
pub(super) fn terms(conn: &mut Conn) -> Result<Vec<Term>> {
    let terms = store::keyring::list(conn)?;
    if terms.is_empty() && store::sealed::count(conn, None, None)? > 0 {
        return Err(Error::setup(
            "the database holds sealed values but its keyring is gone: restore a backup",
        ));
    }
    Ok(terms)
}

/// The keyring of these terms, if there are any.
pub(super) fn open(master: &MasterKey, terms: Vec<Term>) -> Result<Option<Keyring>> {
    if terms.is_empty() { Ok(None) } else { unwrap(master, terms).map(Some) }
}

fn unwrap(master: &MasterKey, terms: Vec<Term>) -> Result<Keyring> {
    let wrapped: Vec<_> =
        terms.into_iter().map(|Term { term, wrapped, .. }| WrappedTerm { term, wrapped }).collect();
    Keyring::unwrap(master, &wrapped)
}

fn check(keyring: &Keyring, column: Column, value: &Value) -> Result<()> {
    let org = OrgId::parse(&value.org)
        .ok_or_else(|| Error::internal("sealed value", "its row names an impossible org"))?;
    let plain = keyring.open(&place(column, &org, &value.id), &value.blob)?;
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
