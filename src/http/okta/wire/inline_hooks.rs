//! The JSON of inline hooks. Secrets come in and never go out.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::timestamp;
use crate::domain::channel::{self, Auth, Channel, Client, Header, HookUrl, HookVersion};
use crate::domain::ids::HookKeyId;
use crate::domain::inline_hook::{Draft, HookStatus, HookType, InlineHook};
use crate::domain::secret::Secret;
use crate::domain::text::DisplayName;
use crate::error::{Error, Result};

/// The body of create, replace and update, members not yet checked.
pub type Members = Map<String, Value>;

const BLANK: &str = "The field cannot be left blank";

/// An inline hook on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InlineHookBody<'a> {
    id: &'a str,
    status: &'static str,
    #[serde(flatten)]
    described: Described<'a>,
    created: String,
    last_updated: String,
    #[serde(rename = "_links")]
    links: Links,
}

/// The part of a hook that its owner decides.
#[derive(Serialize)]
struct Described<'a> {
    name: &'a str,
    r#type: &'static str,
    version: &'a str,
    channel: ChannelBody<'a>,
}

#[derive(Serialize)]
struct ChannelBody<'a> {
    r#type: &'static str,
    version: &'a str,
    config: ConfigBody<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigBody<'a> {
    uri: &'a str,
    headers: Vec<HeaderBody<'a>>,
    method: &'static str,
    auth_scheme: Option<AuthSchemeBody<'a>>,
    #[serde(flatten)]
    oauth: Option<OAuthBody<'a>>,
}

#[derive(Serialize)]
struct HeaderBody<'a> {
    key: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct AuthSchemeBody<'a> {
    r#type: &'a str,
    key: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OAuthBody<'a> {
    client_id: &'a str,
    token_url: &'a str,
    auth_type: &'static str,
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hook_key_id: Option<&'a str>,
}

/// What can be done with the hook now, in the recorded order.
#[derive(Serialize)]
#[serde(untagged)]
enum Links {
    Active {
        #[serde(rename = "self")]
        hook: Link,
        execute: Link,
        deactivate: Link,
    },
    Inactive {
        activate: Link,
        #[serde(rename = "self")]
        hook: Link,
        delete: Link,
    },
}

#[derive(Serialize)]
struct Link {
    href: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hints: Option<Hints>,
}

#[derive(Serialize)]
struct Hints {
    allow: [&'static str; 1],
}

impl<'a> InlineHookBody<'a> {
    /// The hook; `base` is where the caller reaches the service, without a slash at the end.
    #[must_use]
    pub fn new(hook: &'a InlineHook, base: &str) -> Self {
        Self {
            id: hook.id.as_str(),
            status: hook.status.name(),
            described: Described::new(hook),
            created: timestamp(hook.created),
            last_updated: timestamp(hook.last_updated),
            links: Links::new(hook, base),
        }
    }
}

impl<'a> Described<'a> {
    fn new(hook: &'a InlineHook) -> Self {
        let Channel { version, uri, headers, auth } = &hook.channel;
        let auth_scheme = match auth {
            Auth::Header { scheme, key } => Some(AuthSchemeBody { r#type: scheme, key }),
            _ => None,
        };
        let oauth = match auth {
            Auth::ClientSecret(client) => Some(OAuthBody::new(client, None)),
            Auth::PrivateKeyJwt(client, key) => Some(OAuthBody::new(client, Some(key))),
            Auth::None | Auth::Header { .. } => None,
        };
        let headers =
            headers.iter().map(|header| HeaderBody { key: &header.key, value: header.value.reveal() });
        let channel = ChannelBody {
            r#type: if oauth.is_some() { "OAUTH" } else { "HTTP" },
            version: version.as_str(),
            config: ConfigBody {
                uri: uri.as_str(),
                headers: headers.collect(),
                method: "POST",
                auth_scheme,
                oauth,
            },
        };
        Self { name: &hook.name, r#type: hook.kind.name(), version: hook.version.as_str(), channel }
    }
}

impl<'a> OAuthBody<'a> {
    fn new(client: &'a Client, key: Option<&'a HookKeyId>) -> Self {
        Self {
            client_id: &client.id,
            token_url: client.token_url.as_str(),
            auth_type: if key.is_some() { "private_key_jwt" } else { "client_secret_post" },
            scope: client.scope.as_deref(),
            hook_key_id: key.map(HookKeyId::as_str),
        }
    }
}

impl Links {
    fn new(hook: &InlineHook, base: &str) -> Self {
        let link = |path: &str, method: Option<&'static str>| Link {
            href: format!("{base}/api/v1/inlineHooks/{}{path}", hook.id),
            hints: method.map(|method| Hints { allow: [method] }),
        };
        match hook.status {
            HookStatus::Active => Self::Active {
                hook: link("", None),
                execute: link("/execute", Some("POST")),
                deactivate: link("/lifecycle/deactivate", Some("POST")),
            },
            HookStatus::Inactive => Self::Inactive {
                activate: link("/lifecycle/activate", Some("POST")),
                hook: link("", None),
                delete: link("", Some("DELETE")),
            },
        }
    }
}

/// Reads the body of create and replace. `status` and unknown members are ignored (contract §0.6).
pub fn draft(body: &Members, allow_http: bool) -> Result<Draft> {
    let name = DisplayName::parse(required(body, "name", "name")?.to_owned())?;
    let kind = text(body, "type", "type")?.map(HookType::parse).transpose()?;
    let version = HookVersion::parse("version", required(body, "version", "version")?)?;
    let channel = object(body, "channel", "channel")?;
    let channel_version = text(channel, "version", "channel.version")?.unwrap_or("1.0.0");
    let channel_version = HookVersion::parse("channel.version", channel_version)?;
    let oauth = match required(channel, "type", "channel.type")? {
        "HTTP" => false,
        "OAUTH" => true,
        _ => return Err(Error::invalid("channel.type", "The field must be HTTP or OAUTH")),
    };
    let config = object(channel, "config", "channel.config")?;
    let uri =
        HookUrl::parse("channel.config.uri", required(config, "uri", "channel.config.uri")?, allow_http)?;
    let headers = headers(config)?;
    if text(config, "method", "channel.config.method")?.is_some_and(|method| method != "POST") {
        return Err(Error::invalid("channel.config.method", "The field must be POST"));
    }
    let (auth, secret) = if oauth { oauth_auth(config, allow_http)? } else { http_auth(config)? };
    let channel = Channel::new(channel_version, uri, headers, auth)?;
    Ok(Draft { name, kind, version, channel, secret })
}

/// Reads the body of update: a merge patch (RFC 7396) of the hook as it is.
///
/// A patch that changes the channel's type replaces the channel, and one that changes the way to authenticate
/// drops the hook key, because what belonged to the old way means nothing to the new one.
pub fn patched(hook: &InlineHook, patch: &Members, allow_http: bool) -> Result<Draft> {
    let mut current = json!(Described::new(hook));
    let differs =
        |pointer: &str, patch: Option<&Value>| patch.is_some_and(|new| current.pointer(pointer) != Some(new));
    let channel = patch.get("channel");
    let config = channel.and_then(|channel| channel.get("config"));
    let other_type = differs("/channel/type", channel.and_then(|channel| channel.get("type")));
    let other_auth = differs("/channel/config/authType", config.and_then(|config| config.get("authType")));
    let (parent, obsolete) = match (other_type, other_auth) {
        (true, _) => ("", "channel"),
        (false, true) => ("/channel/config", "hookKeyId"),
        (false, false) => ("", ""),
    };
    if let Some(parent) = current.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.remove(obsolete);
    }
    merge(&mut current, &Value::Object(patch.clone()));
    let merged = current.as_object().ok_or_else(|| Error::internal("patching a hook", "it is no object"))?;
    draft(merged, allow_http)
}

/// RFC 7396 §2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

fn http_auth(config: &Members) -> Result<(Auth, Option<Secret>)> {
    const KEY: &str = "channel.config.authScheme.key";
    const VALUE: &str = "channel.config.authScheme.value";
    let scheme = match config.get("authScheme") {
        None | Some(Value::Null) => return Ok((Auth::None, None)),
        Some(_) => object(config, "authScheme", "channel.config.authScheme")?,
    };
    let kind = required(scheme, "type", "channel.config.authScheme.type")?;
    if !kind.eq_ignore_ascii_case("HEADER") {
        return Err(Error::invalid("channel.config.authScheme.type", "The field must be HEADER"));
    }
    let key = required(scheme, "key", KEY)?;
    channel::header_name(KEY, key)?;
    let value = text(scheme, "value", VALUE)?;
    value.map(|value| channel::header_text(VALUE, value)).transpose()?;
    let auth = Auth::Header { scheme: kind.to_owned(), key: key.to_owned() };
    Ok((auth, value.map(|value| Secret::new(value.to_owned()))))
}

fn oauth_auth(config: &Members, allow_http: bool) -> Result<(Auth, Option<Secret>)> {
    const SECRET: &str = "channel.config.clientSecret";
    const KEY: &str = "channel.config.hookKeyId";
    if config.get("authScheme").is_some_and(|scheme| !scheme.is_null()) {
        return Err(Error::invalid(
            "channel.config.authScheme",
            "The field must be null in an OAUTH channel",
        ));
    }
    let id = required(config, "clientId", "channel.config.clientId")?;
    channel::header_text("channel.config.clientId", id)?;
    let token_url = required(config, "tokenUrl", "channel.config.tokenUrl")?;
    let token_url = HookUrl::parse("channel.config.tokenUrl", token_url, allow_http)?;
    let scope = text(config, "scope", "channel.config.scope")?.filter(|scope| !scope.is_empty());
    scope.map(|scope| channel::header_text("channel.config.scope", scope)).transpose()?;
    let client = Client { id: id.to_owned(), token_url, scope: scope.map(str::to_owned) };
    let (secret, key) = (text(config, "clientSecret", SECRET)?, text(config, "hookKeyId", KEY)?);
    secret.map(|secret| channel::header_text(SECRET, secret)).transpose()?;
    match (required(config, "authType", "channel.config.authType")?, secret, key) {
        ("client_secret_post", secret, None) => {
            Ok((Auth::ClientSecret(client), secret.map(|secret| Secret::new(secret.to_owned()))))
        }
        ("client_secret_post", _, Some(_)) => {
            Err(Error::invalid(KEY, "The field is for the authType private_key_jwt only"))
        }
        ("private_key_jwt", Some(_), _) => {
            Err(Error::invalid(SECRET, "The field is for the authType client_secret_post only"))
        }
        ("private_key_jwt", None, None) => Err(Error::invalid(KEY, BLANK)),
        ("private_key_jwt", None, Some(key)) => {
            let key = HookKeyId::parse(key).ok_or_else(|| channel::unknown_hook_key(key))?;
            Ok((Auth::PrivateKeyJwt(client, key), None))
        }
        _ => Err(Error::invalid(
            "channel.config.authType",
            "The field must be client_secret_post or private_key_jwt",
        )),
    }
}

fn headers(config: &Members) -> Result<Vec<Header>> {
    const FIELD: &str = "channel.config.headers";
    let items = match config.get("headers") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(Error::invalid(FIELD, "The field must be an array")),
    };
    let header = |item: &Value| {
        let item = item.as_object().ok_or_else(|| Error::invalid(FIELD, "The items must be objects"))?;
        let key = required(item, "key", "channel.config.headers.key")?;
        let value = required(item, "value", "channel.config.headers.value")?;
        Header::parse(key.to_owned(), value.to_owned())
    };
    items.iter().map(header).collect()
}

/// A member that is text; absent and null are the same.
fn text<'a>(members: &'a Members, name: &str, field: &'static str) -> Result<Option<&'a str>> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid(field, "The field must be a string")),
    }
}

fn required<'a>(members: &'a Members, name: &str, field: &'static str) -> Result<&'a str> {
    text(members, name, field)?.ok_or_else(|| Error::invalid(field, BLANK))
}

fn object<'a>(members: &'a Members, name: &str, field: &'static str) -> Result<&'a Members> {
    match members.get(name) {
        None | Some(Value::Null) => Err(Error::invalid(field, BLANK)),
        Some(Value::Object(object)) => Ok(object),
        Some(_) => Err(Error::invalid(field, "The field must be an object")),
    }
}
