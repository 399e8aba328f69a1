//! One key in the other format.

use std::fmt;

use crate::crypto::key::{self, Rules};
use crate::domain::key::{Format, Key, Pem, Sight, is_reference};
use crate::domain::secret::Secret;
use crate::error::{Error, Refusal, Result};
use crate::jose::jwk::{self, Jwk};
use crate::jose::pem;

/// A key in `format`: `shown` is as much of it as its reader may see, `whole` is all of it. What is stored in the
/// format stays as it is; a missing public half is written from the private one.
pub(super) fn convert(shown: Key, whole: &Key, sight: Sight, format: Format) -> Result<Key> {
    let (jwk, pem) = match (format, shown.jwk, shown.pem) {
        (Format::Jwk, Some(jwk), _) => (Some(jwk), None),
        (Format::Pem, _, Some(pem)) => (None, Some(completed(pem, whole)?)),
        (Format::Jwk, None, _) => (Some(jwk::write(&material(whole, sight)?, &shown.kid)), None),
        (Format::Pem, _, None) => (None, Some(as_pem(&material(whole, sight)?)?)),
    };
    Ok(Key { jwk, pem, ..shown })
}

/// The halves with the public one, if there is a private one to write it from.
fn completed(pem: Pem, whole: &Key) -> Result<Pem> {
    let private = whole.pem.as_ref().and_then(|pem| pem.private.as_ref()).and_then(no_reference);
    match (&pem.public, private) {
        (None, Some(private)) => {
            let key = pem::read_private(private, Rules::STORED).map_err(unsound)?;
            Ok(Pem { public: Some(pem::write_public(&key)?), ..pem })
        }
        _ => Ok(pem),
    }
}

fn as_pem(key: &key::Key) -> Result<Pem> {
    let private = key.is_private().then(|| pem::write_private(key)).transpose()?;
    Ok(Pem { private, public: Some(pem::write_public(key)?) })
}

/// What the key is made of, without the private half unless that may be seen.
fn material(whole: &Key, sight: Sight) -> Result<key::Key> {
    let jwk = whole.jwk.as_ref().and_then(no_reference);
    let private = whole.pem.as_ref().and_then(|pem| pem.private.as_ref()).and_then(no_reference);
    let public = whole.pem.as_ref().and_then(|pem| pem.public.as_deref()).filter(|text| !is_reference(text));
    let key = match (jwk, private, public) {
        (Some(jwk), _, _) => Jwk::read(jwk).map_err(unsound)?.load(Rules::STORED).map_err(unsound)?,
        (None, Some(private), _) => pem::read_private(private, Rules::STORED).map_err(unsound)?,
        (None, None, Some(public)) => pem::read_public(public, Rules::STORED).map_err(unsound)?,
        (None, None, None) => return Err(unseen()),
    };
    Ok(if sight == Sight::Private { key } else { key.into_public() })
}

fn no_reference(text: &Secret) -> Option<&str> {
    Some(text.reveal()).filter(|text| !is_reference(text))
}

fn unseen() -> Error {
    let problem = "a vault reference cannot be converted".to_owned();
    Error::refused(Refusal::Parameter { name: "format", problem })
}

/// A stored key was judged when it came.
fn unsound(problem: impl fmt::Display) -> Error {
    Error::internal("converting a key", problem)
}
