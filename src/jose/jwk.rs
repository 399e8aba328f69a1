//! JSON Web Keys (RFC 7517, RFC 7518 §6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The modulus of an RSA key as the JWK member `n`: base64url of the big-endian number without leading
/// zero bytes (RFC 7518 §6.3.1.1).
#[must_use]
pub fn rsa_n(modulus: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(modulus)
}
