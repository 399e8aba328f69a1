//! The keyring: data keys, each under a term number, wrapped by the master key.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use super::blob::{self, Place};
use super::master::{MasterKey, secret};
use crate::crypto::aead::SECRET_LEN;
use crate::domain::Entropy;
use crate::error::{Error, Result};

/// What a wrapped data key names as its term: the master key has no number.
const MASTER: u32 = 0;

const WRAP_LABEL: &str = "hook-keys keyring wrap";
const VALUE_LABEL: &str = "hook-keys sealed value";

/// A data key as the database holds it: sealed by the master key, bound to its term.
#[derive(Debug, Clone)]
pub struct WrappedTerm {
    /// The number that blobs name.
    pub term: u32,
    /// The data key, sealed in the same form as any value.
    pub wrapped: Vec<u8>,
}

/// All data keys, open. New values are sealed under the highest term.
pub struct Keyring {
    terms: BTreeMap<u32, Zeroizing<[u8; SECRET_LEN]>>,
    current: u32,
}

impl Keyring {
    /// Draws the data key of a new term and wraps it.
    pub fn new_term(master: &MasterKey, term: u32, entropy: &dyn Entropy) -> Result<WrappedTerm> {
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        entropy.fill(&mut *secret)?;
        let row = term.to_string();
        let wrapped = blob::seal(master.secret(), MASTER, WRAP_LABEL, &place(&row), &*secret, entropy)?;
        Ok(WrappedTerm { term, wrapped })
    }

    /// Opens every term. That they all open is the proof that the master key is the right one.
    pub fn unwrap(master: &MasterKey, terms: &[WrappedTerm]) -> Result<Self> {
        let mut open = BTreeMap::new();
        for WrappedTerm { term, wrapped } in terms {
            let row = term.to_string();
            let named = blob::term(wrapped).ok().filter(|named| *named == MASTER);
            let secret = named
                .and_then(|_| blob::open(master.secret(), WRAP_LABEL, &place(&row), wrapped).ok())
                .and_then(|bytes| secret(&bytes))
                .ok_or_else(|| {
                    Error::setup(format!(
                        "this master key does not open term {term} of the database's keyring: \
                         start with the master key that this database was made with, or with the newest \
                         one if `hook-keys keyring master rotate` was run since"
                    ))
                })?;
            open.insert(*term, secret);
        }
        let current = open.keys().next_back().copied();
        let current = current.ok_or_else(|| Error::internal("keyring", "it has no term"))?;
        Ok(Self { terms: open, current })
    }

    /// Opens these terms and has them beside its own, or in their place where the number is the same.
    pub fn with(&self, master: &MasterKey, terms: &[WrappedTerm]) -> Result<Self> {
        let Self { terms: opened, .. } = Self::unwrap(master, terms)?;
        let mut all = self.terms.clone();
        all.extend(opened);
        let current = all.keys().next_back().copied().unwrap_or(self.current);
        Ok(Self { terms: all, current })
    }

    /// The same terms, wrapped by another master key. It opens each of them.
    pub fn rewrap(
        old: &MasterKey,
        new: &MasterKey,
        terms: &[WrappedTerm],
        entropy: &dyn Entropy,
    ) -> Result<Vec<WrappedTerm>> {
        let keyring = Self::unwrap(old, terms)?;
        let wrap = |(term, secret): (&u32, &Zeroizing<[u8; SECRET_LEN]>)| {
            let row = term.to_string();
            let wrapped = blob::seal(new.secret(), MASTER, WRAP_LABEL, &place(&row), &**secret, entropy)?;
            Ok(WrappedTerm { term: *term, wrapped })
        };
        let rewrapped = keyring.terms.iter().map(wrap).collect::<Result<Vec<_>>>()?;
        Self::unwrap(new, &rewrapped)?;
        Ok(rewrapped)
    }

    /// The highest term.
    #[must_use]
    pub fn current(&self) -> u32 {
        self.current
    }

    /// Seals a value for its place.
    pub fn seal(&self, place: &Place<'_>, plain: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>> {
        self.seal_under(self.current, place, plain, entropy)
    }

    /// Seals a value for its place under one of the terms.
    pub fn seal_under(
        &self,
        term: u32,
        place: &Place<'_>,
        plain: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>> {
        blob::seal(self.secret_of(term)?, term, VALUE_LABEL, place, plain, entropy)
    }

    /// Opens the value at its place. The error says what is wrong with it, for the log.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        blob::open(self.secret_of(blob::term(sealed)?)?, VALUE_LABEL, place, sealed)
    }

    fn secret_of(&self, term: u32) -> Result<&[u8; SECRET_LEN]> {
        self.terms
            .get(&term)
            .map(|secret| &**secret)
            .ok_or_else(|| Error::internal("sealed value", format_args!("the keyring has no term {term}")))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("current", &self.current).finish_non_exhaustive()
    }
}

fn place(row: &str) -> Place<'_> {
    Place { table: "keyring", column: "wrapped", row, org: "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SystemEntropy;

    fn keyring(terms: u32) -> Keyring {
        let entropy = SystemEntropy::new();
        let master = MasterKey::generate(&entropy).unwrap();
        let wrapped: Vec<_> =
            (1..=terms).map(|term| Keyring::new_term(&master, term, &entropy).unwrap()).collect();
        Keyring::unwrap(&master, &wrapped).unwrap()
    }

    fn at<'a>(table: &'a str, column: &'a str, row: &'a str, org: &'a str) -> Place<'a> {
        Place { table, column, row, org }
    }

    #[test]
    fn a_value_opens_at_its_own_place_only() {
        let keyring = keyring(1);
        let home = at("t", "c", "row", "org");
        let sealed = keyring.seal(&home, b"secret", &SystemEntropy::new()).unwrap();
        assert_eq!(**keyring.open(&home, &sealed).unwrap(), *b"secret");
        let elsewhere = [
            at("u", "c", "row", "org"),
            at("t", "d", "row", "org"),
            at("t", "c", "other", "org"),
            at("t", "c", "row", "other"),
            at("tc", "", "row", "org"),
            at("t", "c", "roworg", ""),
        ];
        for place in elsewhere {
            let error = keyring.open(&place, &sealed).unwrap_err();
            assert!(error.private().unwrap().contains("does not open"), "{place:?}: {error:?}");
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_refused() {
        let keyring = keyring(1);
        let home = at("t", "c", "row", "org");
        let sealed = keyring.seal(&home, b"secret", &SystemEntropy::new()).unwrap();
        for byte in 0..sealed.len() {
            assert!(keyring.open(&home, &sealed[..byte]).is_err(), "cut at {byte}");
            let mut altered = sealed.clone();
            altered[byte] ^= 0x10;
            assert!(keyring.open(&home, &altered).is_err(), "byte {byte}");
        }
    }

    #[test]
    fn old_terms_still_open_and_new_values_use_the_newest() {
        let keyring = keyring(3);
        assert_eq!(keyring.current, 3);
        let home = at("t", "c", "row", "org");
        let entropy = SystemEntropy::new();
        let old = blob::seal(keyring.secret_of(1).unwrap(), 1, VALUE_LABEL, &home, b"old", &entropy).unwrap();
        assert_eq!(**keyring.open(&home, &old).unwrap(), *b"old");
        assert_eq!(blob::term(&keyring.seal(&home, b"new", &entropy).unwrap()).unwrap(), 3);
    }

    #[test]
    fn another_master_key_is_refused_with_a_remedy() {
        let entropy = SystemEntropy::new();
        let [right, wrong] = [(); 2].map(|()| MasterKey::generate(&entropy).unwrap());
        let wrapped = [Keyring::new_term(&right, 1, &entropy).unwrap()];
        let error = Keyring::unwrap(&wrong, &wrapped).unwrap_err().to_string();
        assert!(error.contains("start with the master key"), "{error}");
    }

    #[test]
    fn another_master_key_takes_over_all_terms_and_values_stay_as_they_are() {
        let entropy = SystemEntropy::new();
        let [old, new] = [(); 2].map(|()| MasterKey::generate(&entropy).unwrap());
        let wrapped = [1, 2].map(|term| Keyring::new_term(&old, term, &entropy).unwrap());
        let home = at("t", "c", "row", "org");
        let sealed = Keyring::unwrap(&old, &wrapped).unwrap().seal(&home, b"secret", &entropy).unwrap();
        let rewrapped = Keyring::rewrap(&old, &new, &wrapped, &entropy).unwrap();
        assert_eq!(rewrapped.iter().map(|term| term.term).collect::<Vec<_>>(), [1, 2]);
        assert!(Keyring::unwrap(&old, &rewrapped).is_err() && Keyring::unwrap(&new, &wrapped).is_err());
        assert_eq!(**Keyring::unwrap(&new, &rewrapped).unwrap().open(&home, &sealed).unwrap(), *b"secret");
        assert!(Keyring::rewrap(&new, &old, &wrapped, &entropy).is_err(), "it does not open them");
    }

    #[test]
    fn a_keyring_takes_terms_along_and_forgets_none() {
        let entropy = SystemEntropy::new();
        let master = MasterKey::generate(&entropy).unwrap();
        let [one, two] = [1, 2].map(|term| Keyring::new_term(&master, term, &entropy).unwrap());
        let first = Keyring::unwrap(&master, &[one]).unwrap();
        let home = at("t", "c", "row", "org");
        let old = first.seal(&home, b"old", &entropy).unwrap();
        let both = first.with(&master, &[two]).unwrap();
        assert_eq!(**both.open(&home, &old).unwrap(), *b"old");
        assert_eq!(blob::term(&both.seal(&home, b"new", &entropy).unwrap()).unwrap(), 2);
        assert_eq!(blob::term(&both.seal_under(1, &home, b"x", &entropy).unwrap()).unwrap(), 1);
        assert!(both.seal_under(3, &home, b"x", &entropy).is_err());
    }

    #[test]
    fn a_wrapped_key_does_not_open_as_another_term() {
        let entropy = SystemEntropy::new();
        let master = MasterKey::generate(&entropy).unwrap();
        let WrappedTerm { wrapped, .. } = Keyring::new_term(&master, 1, &entropy).unwrap();
        assert!(Keyring::unwrap(&master, &[WrappedTerm { term: 2, wrapped }]).is_err());
    }
}
