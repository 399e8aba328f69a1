//! RSA key pairs of 2048 bits with e = 65537, by aws-lc-rs.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// A freshly generated or opened key pair.
pub struct RsaKeyPair {
    pair: KeyPair,
    pkcs8: Zeroizing<Vec<u8>>,
    modulus: Vec<u8>,
}

impl RsaKeyPair {
    /// Generates a pair. Takes 120 ms of one core on average: never call it on a worker thread.
    pub fn generate() -> Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048)
            .map_err(|error| Error::internal("generating an RSA key pair", error))?;
        let der = pair.as_der().map_err(|error| Error::internal("encoding an RSA key pair", error))?;
        Ok(Self { pkcs8: Zeroizing::new(der.as_ref().to_vec()), modulus: modulus(&pair), pair })
    }

    /// Reads an unencrypted PKCS#8 document and checks that its members belong together.
    pub fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self> {
        let pair =
            KeyPair::from_pkcs8(&pkcs8).map_err(|error| Error::internal("reading an RSA key pair", error))?;
        Ok(Self { modulus: modulus(&pair), pkcs8, pair })
    }

    /// Signs with RSASSA-PKCS1-v1_5 and SHA-256, the algorithm RS256 (RFC 7518 §3.3). Takes about half a
    /// millisecond the first time, and half of that when the pair has signed before.
    pub fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        let signed = self.pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
        signed.map_err(|error| Error::internal("signing with an RSA key", error))?;
        Ok(signature)
    }

    /// The private key as an unencrypted PKCS#8 document (RFC 5208).
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The modulus, big-endian, without leading zero bytes.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }
}

impl fmt::Debug for RsaKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaKeyPair(..)")
    }
}

fn modulus(pair: &KeyPair) -> Vec<u8> {
    pair.public_key().modulus().big_endian_without_leading_zero().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_pair_is_of_2048_bits_and_reads_back() {
        let pair = RsaKeyPair::generate().unwrap();
        assert_eq!(pair.modulus().len(), 256);
        assert!(pair.modulus()[0] >= 0x80, "the top bit is set");
        let again = RsaKeyPair::from_pkcs8(Zeroizing::new(pair.pkcs8().to_vec())).unwrap();
        assert_eq!(again.modulus(), pair.modulus());
    }

    #[test]
    fn an_altered_private_key_is_refused() {
        let pair = RsaKeyPair::generate().unwrap();
        let mut pkcs8 = Zeroizing::new(pair.pkcs8().to_vec());
        let middle = pkcs8.len() / 2;
        pkcs8[middle] ^= 1;
        assert!(RsaKeyPair::from_pkcs8(pkcs8).is_err());
    }
}
