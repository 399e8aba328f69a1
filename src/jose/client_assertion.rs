//! The assertion with which a client proves itself to a token endpoint: `private_key_jwt` (RFC 7523 §3, `OpenID`
//! Connect Core §9).

use std::time::Duration;

use serde::Serialize;

use super::jws;
use crate::crypto::rsa::RsaKeyPair;
use crate::domain::Timestamp;
use crate::domain::secret::Secret;
use crate::error::Result;

/// How long an assertion is good for. Okta's own token endpoint takes at most an hour; a few minutes leave
/// room for clocks that differ and little for whoever gets hold of one.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: &'a str,
    iat: i64,
    exp: i64,
}

/// Signs an assertion of the client `client_id` for the endpoint `token_url`. `jti` must be fresh: endpoints
/// refuse one they have seen.
pub fn sign(
    pair: &RsaKeyPair,
    kid: &str,
    client_id: &str,
    token_url: &str,
    jti: &str,
    now: Timestamp,
) -> Result<Secret> {
    let claims = Claims {
        iss: client_id,
        sub: client_id,
        aud: token_url,
        jti,
        iat: now.timestamp(),
        exp: (now + LIFETIME).timestamp(),
    };
    jws::sign_rs256(pair, kid, &claims).map(Secret::new)
}
