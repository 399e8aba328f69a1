//! The form of a sealed value.
//!
//! ```text
//! version (1) | term (4, big-endian) | salt (32) | cipher text | tag (16)
//! ```
//!
//! The value's key is HKDF-SHA-256(secret of the term, salt, label); the cipher is AES-256-GCM; the
//! associated data is the format, table, column, row id and org, each with its length before it. A blob in
//! another place, row or org does not open.

use crate::crypto::aead::{self, SALT_LEN, SECRET_LEN, TAG_LEN};
use crate::domain::Entropy;
use crate::error::{Error, Result};

use zeroize::Zeroizing;

const VERSION: u8 = 1;
const TERM_LEN: usize = 4;
const FORMAT: &str = "hook-keys/1";

const PREFIX_LEN: usize = 1 + TERM_LEN;
const OVERHEAD: usize = PREFIX_LEN + SALT_LEN + TAG_LEN;

/// Where a sealed value lives. It opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row's id.
    pub row: &'a str,
    /// The id of the org that owns the row; empty for what belongs to the installation.
    pub org: &'a str,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let parts = [FORMAT, self.table, self.column, self.row, self.org];
        let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
        for part in parts {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part.as_bytes());
        }
        out
    }
}

/// Seals `plain` for `place` under the secret of `term`.
pub(super) fn seal(
    secret: &[u8; SECRET_LEN],
    term: u32,
    label: &str,
    place: &Place<'_>,
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>> {
    let mut salt = [0; SALT_LEN];
    entropy.fill(&mut salt)?;
    let mut blob = Vec::with_capacity(OVERHEAD + plain.len());
    blob.extend_from_slice(&prefix(term));
    blob.extend_from_slice(&salt);
    aead::seal_into(&mut blob, secret, &salt, label.as_bytes(), &place.associated_data(), plain)
        .map_err(|_| Error::internal("sealing", "the cipher refused the value"))?;
    Ok(blob)
}

/// The bytes with which every blob of a term begins. They sort as the terms do.
#[must_use]
pub const fn prefix(term: u32) -> [u8; PREFIX_LEN] {
    let [a, b, c, d] = term.to_be_bytes();
    [VERSION, a, b, c, d]
}

/// The term that a blob names in its first bytes.
pub fn term(blob: &[u8]) -> Result<u32> {
    match blob.split_first_chunk::<PREFIX_LEN>() {
        None => Err(damaged(format_args!("it has {} bytes, too few for any sealed value", blob.len()))),
        Some(([VERSION, term @ ..], _)) => Ok(u32::from_be_bytes(*term)),
        Some(([version, ..], _)) => Err(damaged(format_args!("its format version {version} is unknown"))),
    }
}

/// Opens a blob that [`seal`] made for `place` under `secret`.
pub(super) fn open(
    secret: &[u8; SECRET_LEN],
    label: &str,
    place: &Place<'_>,
    blob: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    let (salt, sealed) = blob
        .get(PREFIX_LEN..)
        .and_then(<[u8]>::split_first_chunk::<SALT_LEN>)
        .filter(|(_, sealed)| sealed.len() >= TAG_LEN)
        .ok_or_else(|| damaged(format_args!("it is cut short at {} bytes", blob.len())))?;
    aead::open(secret, salt, label.as_bytes(), &place.associated_data(), sealed).map_err(|_| {
        damaged("it does not open: it was altered, sealed for another row or org, or under another key")
    })
}

fn damaged(problem: impl std::fmt::Display) -> Error {
    Error::internal("sealed value", problem)
}
