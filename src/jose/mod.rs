//! JSON Object Signing and Encryption: keys, signatures and what is signed. Keys also in their other form, PEM.

pub mod client_assertion;
pub mod hint;
pub mod jwk;
pub mod jws;
mod number;
pub mod pem;
