//! Cryptographic primitives. The only module that names ring or aws-lc-rs.

pub mod aead;
pub mod digest;
pub mod pool;
pub mod random;
pub mod rsa;

pub use pool::KeyPool;
pub use random::SystemEntropy;
