//! JSON Web Signatures (RFC 7515) in the compact form.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::crypto::rsa::RsaKeyPair;
use crate::error::{Error, Result};

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
}

/// Signs `claims` as a JWT with RS256: header, claims and signature in base64url with dots between.
pub fn sign_rs256(pair: &RsaKeyPair, kid: &str, claims: &impl Serialize) -> Result<String> {
    let header = part(&Header { alg: "RS256", kid, typ: "JWT" })?;
    let message = format!("{header}.{}", part(claims)?);
    let signature = URL_SAFE_NO_PAD.encode(pair.sign_rs256(message.as_bytes())?);
    Ok(format!("{message}.{signature}"))
}

fn part(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(value).map_err(|error| Error::internal("encoding a JWT", error))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}
