//! Cryptographic primitives. The only module that names ring, aws-lc-rs, crypto-bigint or curve25519-dalek.

pub mod aead;
pub mod digest;
pub mod key;
pub mod pool;
pub mod random;
pub mod rsa;

pub use pool::KeyPool;
pub use random::SystemEntropy;
