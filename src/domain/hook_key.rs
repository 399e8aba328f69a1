//! Hook keys: RSA key pairs that inline hooks sign client assertions with.

use super::clock::Timestamp;
use super::ids::{HookKeyId, KeyId};

/// What messages call a hook key.
pub const RESOURCE: &str = "HookKey";

/// A hook key without its private half, which never leaves the service layer.
#[derive(Debug, Clone)]
pub struct HookKey {
    /// The key's own id, which inline hooks name.
    pub id: HookKeyId,
    /// The alias of the public half.
    pub key_id: KeyId,
    /// Unique in its org at all times.
    pub name: String,
    /// The RSA modulus as a JWK spells it: base64url without padding (RFC 7518 §6.3.1.1).
    pub modulus: String,
    /// When the key was made.
    pub created: Timestamp,
    /// When the key was last renamed; at birth, `created`.
    pub last_updated: Timestamp,
    /// Whether an inline hook names the key. Computed from the hooks, never stored.
    pub is_used: bool,
}
