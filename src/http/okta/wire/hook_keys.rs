//! The JSON of hook keys. Members stand in the order of the recordings (contract §4).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::timestamp;
use crate::domain::hook_key::HookKey;
use crate::domain::text::DisplayName;
use crate::error::{Error, Result};

/// The body of create and rename. Members it does not name are ignored.
#[derive(Debug, Deserialize)]
pub struct HookKeyRequest {
    /// Absent, null and wrongly typed names are told apart by [`HookKeyRequest::name`], not by the parser,
    /// so that the error can name the field.
    #[serde(default)]
    name: Value,
}

impl HookKeyRequest {
    /// The name, checked.
    pub fn name(self) -> Result<DisplayName> {
        match self.name {
            Value::Null => Err(Error::invalid("name", "The field cannot be left blank")),
            Value::String(name) => DisplayName::parse(name),
            _ => Err(Error::invalid("name", "The field must be a string")),
        }
    }
}

/// A hook key on the wire.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookKeyBody<'a> {
    id: &'a str,
    key_id: String,
    name: &'a str,
    created: String,
    last_updated: String,
    is_used: bool,
    #[serde(rename = "_embedded", skip_serializing_if = "Option::is_none")]
    embedded: Option<PublicJwk<'a>>,
}

/// The public half of a hook key: a JWK whose `alg` is Okta's "RSA" and whose `use` is null, although
/// signatures are RS256 (contract §0.4).
#[derive(Debug, Serialize)]
pub struct PublicJwk<'a> {
    kty: &'static str,
    alg: &'static str,
    kid: String,
    r#use: Option<&'static str>,
    e: &'static str,
    n: &'a str,
}

/// 65537 in base64url, the exponent of every key made here.
const EXPONENT: &str = "AQAB";

impl<'a> HookKeyBody<'a> {
    /// The key alone, or with its public half as `_embedded`.
    #[must_use]
    pub fn new(key: &'a HookKey, with_public_key: bool) -> Self {
        Self {
            id: key.id.as_str(),
            key_id: key.key_id.to_string(),
            name: &key.name,
            created: timestamp(key.created),
            last_updated: timestamp(key.last_updated),
            is_used: key.is_used,
            embedded: with_public_key.then(|| PublicJwk::new(key)),
        }
    }
}

impl<'a> PublicJwk<'a> {
    /// The public half of `key`.
    #[must_use]
    pub fn new(key: &'a HookKey) -> Self {
        Self {
            kty: "RSA",
            alg: "RSA",
            kid: key.key_id.to_string(),
            r#use: None,
            e: EXPONENT,
            n: &key.modulus,
        }
    }
}
