//! Where values are sealed to, and what with: the keyring of a process, while operators change it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use zeroize::Zeroizing;

use crate::domain::ids::OrgId;
use crate::domain::{Entropy, Timestamp};
use crate::error::{Error, Result};
use crate::seal::{Keyring, MasterKey, Place, WrappedTerm, blob};
use crate::store::keyring::Term;
use crate::store::sealed::Column;
use crate::store::{self, Conn, Db};

/// Reads the master key from where the settings say it is, which may hold another one than at the start.
pub type MasterSource = Box<dyn Fn() -> Result<MasterKey> + Send + Sync>;

/// The place of a value: it opens in no other column, row or org.
pub(super) fn place<'a>(column: Column, org: &'a OrgId, row: &'a str) -> Place<'a> {
    let (table, column) = column.place();
    Place { table, column, row, org: org.as_str() }
}

/// Seals and opens values with the keyring of the database, whatever has become of it since the start.
///
/// A value is sealed within the transaction that stores it, under the newest term that the transaction sees: no term
/// can be retired between the two. A value of a term that this process does not know yet makes it read the keyring
/// again. What it has known it does not forget, so that what was read before a term was retired still opens.
pub struct Sealer {
    known: RwLock<Arc<Known>>,
    master: Arc<MasterKey>,
    reread: Option<MasterSource>,
    /// The newest term that could not be opened; 0 for none.
    unopened: AtomicU32,
}

/// The terms that are open, and when each was made: after a backup was put back, a number may come again.
struct Known {
    keyring: Keyring,
    made: BTreeMap<u32, Timestamp>,
}

impl Known {
    fn has(&self, term: u32, made: Timestamp) -> bool {
        self.made.get(&term) == Some(&made)
    }
}

impl Sealer {
    /// Opens the terms of a keyring. `reread` is asked for the master key when this one does not open a new term.
    pub(super) fn new(
        master: &Arc<MasterKey>,
        terms: Vec<Term>,
        reread: Option<MasterSource>,
    ) -> Result<Self> {
        let made = terms.iter().map(|term| (term.term, term.created)).collect();
        let known = Known { keyring: Keyring::unwrap(master, &wrapped(terms))?, made };
        Ok(Self {
            known: RwLock::new(Arc::new(known)),
            master: Arc::clone(master),
            reread,
            unopened: AtomicU32::new(0),
        })
    }

    /// Learns of a new term before it is needed: later it may be wrapped by a master key that this process has not.
    pub async fn keep_up(self: &Arc<Self>, db: &Db) {
        let this = Arc::clone(self);
        // Where the database is away, or the term does not open, others say so.
        drop(db.read(move |conn| this.newest(conn)).await);
    }

    /// The newest term of the keyring, if it does not open with the master key of this process.
    #[must_use]
    pub fn unopened(&self) -> Option<u32> {
        let term = self.unopened.load(Ordering::Relaxed);
        (term > 0 && !self.known().made.contains_key(&term)).then_some(term)
    }

    /// Seals a value for its place, within the transaction that stores it.
    pub(super) fn seal(
        &self,
        conn: &mut Conn,
        place: &Place<'_>,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>> {
        let term = self.newest(conn)?;
        self.seal_under(term, place, plain, entropy)
    }

    /// The term that values of this transaction are sealed under. It stays until the transaction ends.
    pub(super) fn newest(&self, conn: &mut Conn) -> Result<u32> {
        if let Some((term, made)) = store::keyring::newest(conn)?
            && self.known().has(term, made)
        {
            return Ok(term);
        }
        let there = self.read_again(conn)?;
        let known = self.known();
        let newest = there.iter().rev().find(|(term, made)| known.has(*term, *made));
        newest.map(|(term, _)| *term).ok_or_else(|| {
            Error::internal("sealing", "no term of the keyring opens with the master key of this process")
        })
    }

    /// Seals a value under the term that [`Sealer::newest`] has told in the same transaction.
    pub(super) fn seal_under(
        &self,
        term: u32,
        place: &Place<'_>,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>> {
        self.known().keyring.seal_under(term, place, plain, entropy)
    }

    /// Opens the value at its place. The error says what is wrong with it, for the log.
    pub(super) fn open(
        &self,
        conn: &mut Conn,
        place: &Place<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.learn(conn, sealed)?;
        self.open_known(place, sealed)
    }

    /// Makes sure that the term of a value is known, if it is there at all.
    pub(super) fn learn(&self, conn: &mut Conn, sealed: &[u8]) -> Result<()> {
        match blob::term(sealed) {
            Ok(term) if !self.known().made.contains_key(&term) => self.read_again(conn).map(drop),
            _ => Ok(()),
        }
    }

    /// Opens the value at its place, whose term was learnt.
    pub(super) fn open_known(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.known().keyring.open(place, sealed)
    }

    /// Reads the keyring again and opens what is new in it. Tells what is there, rising.
    fn read_again(&self, conn: &mut Conn) -> Result<Vec<(u32, Timestamp)>> {
        let terms = store::keyring::list(conn)?;
        let there: Vec<_> = terms.iter().map(|term| (term.term, term.created)).collect();
        // Held until the end: of two who learn at once, neither must undo what the other has learnt.
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<_> = terms.into_iter().filter(|term| !known.has(term.term, term.created)).collect();
        let Some(newest) = new.last().map(|term| term.term) else { return Ok(there) };
        let mut made = known.made.clone();
        made.extend(new.iter().map(|term| (term.term, term.created)));
        match self.opened(&known.keyring, &wrapped(new)) {
            Ok(keyring) => {
                *known = Arc::new(Known { keyring, made });
                tracing::info!(term = newest, "the keyring has a new term");
            }
            // Told once: it is found again with every value.
            Err(error) if self.unopened.swap(newest, Ordering::Relaxed) != newest => {
                let cause = error.private().map_or_else(|| error.to_string(), str::to_owned);
                tracing::error!(
                    term = newest,
                    cause,
                    "a term of the keyring does not open: restart this process with the newest master key"
                );
            }
            Err(_) => {}
        }
        Ok(there)
    }

    /// With the master key of the start, or with the one that is there now.
    fn opened(&self, keyring: &Keyring, new: &[WrappedTerm]) -> Result<Keyring> {
        match (keyring.with(&self.master, new), &self.reread) {
            (Err(_), Some(reread)) => keyring.with(&reread()?, new),
            (opened, _) => opened,
        }
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("keyring", &self.known().keyring).finish_non_exhaustive()
    }
}

/// The data keys of rows.
pub(super) fn wrapped(terms: Vec<Term>) -> Vec<WrappedTerm> {
    terms.into_iter().map(|Term { term, wrapped, .. }| WrappedTerm { term, wrapped }).collect()
}
