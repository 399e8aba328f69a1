//! Authenticated encryption under keys that are used once.
//!
//! Each message gets its own AES-256-GCM key, HKDF-SHA-256(secret, salt, label), from a random 32-byte salt.
//! As no key ever seals two messages, the nonce can be fixed: the limits on random 96-bit nonces under one
//! key (NIST SP 800-38D §8.3) do not arise.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use zeroize::Zeroizing;

/// Bytes of a secret that keys are derived from.
pub const SECRET_LEN: usize = 32;
/// Bytes of the salt that makes a key unique.
pub const SALT_LEN: usize = 32;
/// Bytes that sealing adds to the plain text.
pub const TAG_LEN: usize = 16;

/// The message does not open: another secret, salt, label or associated data, or it was altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DoesNotOpen;

/// Encrypts `plain` and appends cipher text and tag to `out`. `salt` must be fresh random bytes.
pub fn seal_into(
    out: &mut Vec<u8>,
    secret: &[u8; SECRET_LEN],
    salt: &[u8; SALT_LEN],
    label: &[u8],
    associated: &[u8],
    plain: &[u8],
) -> Result<(), DoesNotOpen> {
    // Reserved up front: growing later would leave plain text behind in the old allocation.
    out.reserve(plain.len() + TAG_LEN);
    let start = out.len();
    out.extend_from_slice(plain);
    let (_, message) = out.split_at_mut(start);
    let tag = one_time_key(secret, salt, label)?
        .seal_in_place_separate_tag(fixed_nonce(), Aad::from(associated), message)
        .map_err(|_| DoesNotOpen)?;
    out.extend_from_slice(tag.as_ref());
    Ok(())
}

/// Decrypts what [`seal_into`] appended.
pub fn open(
    secret: &[u8; SECRET_LEN],
    salt: &[u8; SALT_LEN],
    label: &[u8],
    associated: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let plain_len = one_time_key(secret, salt, label)?
        .open_in_place(fixed_nonce(), Aad::from(associated), &mut buffer)
        .map_err(|_| DoesNotOpen)?
        .len();
    buffer.truncate(plain_len);
    Ok(buffer)
}

fn one_time_key(
    secret: &[u8; SECRET_LEN],
    salt: &[u8; SALT_LEN],
    label: &[u8],
) -> Result<LessSafeKey, DoesNotOpen> {
    let info = [label];
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let expanded = extracted.expand(&info, &AES_256_GCM).map_err(|_| DoesNotOpen)?;
    Ok(LessSafeKey::new(UnboundKey::from(expanded)))
}

fn fixed_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [1; 32];
    const SALT: [u8; 32] = [2; 32];

    fn sealed() -> Vec<u8> {
        let mut out = b"head".to_vec();
        seal_into(&mut out, &SECRET, &SALT, b"label", b"place", b"plain").unwrap();
        out.split_off(4)
    }

    #[test]
    fn what_was_sealed_opens() {
        assert_eq!(**open(&SECRET, &SALT, b"label", b"place", &sealed()).unwrap(), *b"plain");
    }

    #[test]
    fn any_other_input_does_not_open() {
        let other = [3; 32];
        assert!(open(&other, &SALT, b"label", b"place", &sealed()).is_err());
        assert!(open(&SECRET, &other, b"label", b"place", &sealed()).is_err());
        assert!(open(&SECRET, &SALT, b"other", b"place", &sealed()).is_err());
        assert!(open(&SECRET, &SALT, b"label", b"other", &sealed()).is_err());
        for byte in 0..sealed().len() {
            let mut altered = sealed();
            altered[byte] ^= 1;
            assert!(open(&SECRET, &SALT, b"label", b"place", &altered).is_err(), "byte {byte}");
            assert!(open(&SECRET, &SALT, b"label", b"place", &sealed()[..byte]).is_err(), "cut at {byte}");
        }
    }
}
