//! JSON Object Signing and Encryption: keys, signatures and what is signed.

pub mod client_assertion;
pub mod jwk;
pub mod jws;
