//! JSON Object Signing and Encryption: the encodings of keys.

pub mod jwk;
