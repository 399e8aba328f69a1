//! Channels: where and how an inline hook is called.

use std::fmt;

use super::ids::HookKeyId;
use super::secret::Secret;
use crate::error::{Error, Result};

/// Most characters of a URL (contract §5).
const URL_LIMIT: usize = 1024;

/// A version as hooks and channels carry it: three numbers with dots between (contract §5: 1.0.0, 1.0.1 and
/// 1.0.2 are accepted and echoed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookVersion(String);

impl HookVersion {
    /// Checks a version.
    pub fn parse(field: &'static str, text: &str) -> Result<Self> {
        let number = |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if text.split('.').count() == 3 && text.split('.').all(number) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid(field, "The field must be a version such as 1.0.0"))
    }

    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A URL to call: `https://` (or `http://` where the operator allows it), without white space, user info or
/// fragment, at most 1024 characters. Kept as sent.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl(String);

impl HookUrl {
    /// Checks a URL. Whether its address may be called is asked when it is called.
    pub fn parse(field: &'static str, text: &str, allow_http: bool) -> Result<Self> {
        let refused = |problem: &str| Err(Error::invalid(field, problem));
        if text.chars().count() > URL_LIMIT {
            return refused("The field must be at most 1024 characters long");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refused("The field must not contain white space or control characters");
        }
        let scheme = ["https://", "http://"].into_iter().find(|scheme| starts_with(text, scheme));
        let authority = scheme.and_then(|scheme| text.get(scheme.len()..)?.split(['/', '?', '#']).next());
        if authority.is_some_and(|authority| authority.contains('@')) {
            return refused("The field must not contain a user name or a password");
        }
        // The URL parser is kinder than that: it mends `https:host`, `https:///host` and `https:\\host`.
        if authority.is_none_or(|authority| authority.is_empty() || authority.contains('\\')) {
            return refused("The field must begin with https:// and a host");
        }
        match url::Url::parse(text) {
            Ok(url) if url.scheme() != "https" && !(allow_http && url.scheme() == "http") => {
                refused("The field must begin with https://")
            }
            Ok(url) if url.fragment().is_some() => refused("The field must not contain a fragment"),
            Ok(_) => Ok(Self(text.to_owned())),
            Err(problem) => Err(Error::invalid(field, format_args!("The field is not a URL: {problem}"))),
        }
    }

    /// Reads a URL that was checked before it was stored.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The URL as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query may hold a key to the service.
        f.write_str("HookUrl(..)")
    }
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// A header that is sent along. Its value may be a secret of the service: sealed at rest, yet echoed
/// (contract §5, recorded).
#[derive(Debug, Clone)]
pub struct Header {
    /// The name, as sent: blanks have been recorded in it.
    pub key: String,
    /// The value.
    pub value: Secret,
}

/// Most headers of a channel, and most bytes of their names and values together: what services commonly take.
/// They are part of every list of hooks.
const HEADER_COUNT: usize = 50;
const HEADER_BYTES: usize = 8 * 1024;

/// Headers that belong to the call itself.
const RESERVED: [&str; 17] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

impl Header {
    /// Checks a header.
    pub fn parse(key: String, value: String) -> Result<Self> {
        header_name("channel.config.headers.key", &key)?;
        let value = Secret::new(value);
        header_text("channel.config.headers.value", value.reveal())?;
        Ok(Self { key, value })
    }
}

/// A header name that hooks may set: text without a colon, and none of the call's own headers. Blanks have
/// been recorded in names, so nothing stricter is asked (contract §5).
pub fn header_name(field: &'static str, name: &str) -> Result<()> {
    header_text(field, name)?;
    if name.contains(':') {
        return Err(Error::invalid(field, "The field must not contain a colon"));
    }
    if RESERVED.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(Error::invalid(field, format_args!("The header {name} is set by the service itself")));
    }
    Ok(())
}

/// A hook names a hook key that the org does not have. Another org's key is as unknown as one that never was.
#[must_use]
pub fn unknown_hook_key(key: &str) -> Error {
    Error::invalid(
        "channel.config.hookKeyId",
        format_args!("There is no hook key with the id {key} in the current organization"),
    )
}

/// Text that can go into a header: 1 to 4096 characters, no control characters.
pub fn header_text(field: &'static str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::invalid(field, "The field cannot be left blank"));
    }
    if text.chars().count() > 4096 {
        return Err(Error::invalid(field, "The field must be at most 4096 characters long"));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(field, "The field must not contain control characters"));
    }
    Ok(())
}

/// How the service knows its caller. The one secret it takes is kept apart, sealed.
#[derive(Debug, Clone)]
pub enum Auth {
    /// Not at all.
    None,
    /// By a header with a fixed value. `scheme` is echoed as sent (HEADER).
    Header {
        /// The scheme's name.
        scheme: String,
        /// The header's name.
        key: String,
    },
    /// By an access token for which the client sends its secret (`client_secret_post`).
    ClientSecret(Client),
    /// By an access token for which the client signs an assertion with a hook key (`private_key_jwt`).
    PrivateKeyJwt(Client, HookKeyId),
}

impl Auth {
    /// Whether a secret stored for `self` still serves for `other`.
    #[must_use]
    pub fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Whether it takes a secret, and how that is called on the wire.
    #[must_use]
    pub fn secret_field(&self) -> Option<&'static str> {
        match self {
            Self::Header { .. } => Some("channel.config.authScheme.value"),
            Self::ClientSecret(_) => Some("channel.config.clientSecret"),
            Self::None | Self::PrivateKeyJwt(..) => None,
        }
    }

    /// The hook key it uses.
    #[must_use]
    pub fn hook_key(&self) -> Option<&HookKeyId> {
        match self {
            Self::PrivateKeyJwt(_, key) => Some(key),
            _ => None,
        }
    }
}

/// An OAuth client and where it gets access tokens.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// The token endpoint.
    pub token_url: HookUrl,
    /// The scope it asks for.
    pub scope: Option<String>,
}

/// Where and how a hook is called.
#[derive(Debug, Clone)]
pub struct Channel {
    /// The channel's own version.
    pub version: HookVersion,
    /// The service.
    pub uri: HookUrl,
    /// Headers sent along.
    pub headers: Vec<Header>,
    /// How the service knows its caller.
    pub auth: Auth,
}

impl Channel {
    /// Checks that the headers are not too many, and that none takes the place of the one by which the
    /// service knows its caller.
    pub fn new(version: HookVersion, uri: HookUrl, headers: Vec<Header>, auth: Auth) -> Result<Self> {
        const HEADERS: &str = "channel.config.headers";
        if headers.len() > HEADER_COUNT {
            return Err(Error::invalid(
                HEADERS,
                format_args!("The field must not hold more than {HEADER_COUNT} headers"),
            ));
        }
        let size: usize = headers.iter().map(|header| header.key.len() + header.value.reveal().len()).sum();
        if size > HEADER_BYTES {
            return Err(Error::invalid(
                HEADERS,
                format_args!("The headers must not be larger than {HEADER_BYTES} bytes together"),
            ));
        }
        let own = match &auth {
            Auth::None => None,
            Auth::Header { key, .. } => Some(key.as_str()),
            Auth::ClientSecret(_) | Auth::PrivateKeyJwt(..) => Some("Authorization"),
        };
        let taken = |header: &&Header| own.is_some_and(|own| own.eq_ignore_ascii_case(&header.key));
        match headers.iter().find(taken) {
            None => Ok(Self { version, uri, headers, auth }),
            Some(header) => Err(Error::invalid(
                "channel.config.headers.key",
                format_args!("The header {} is set by the channel's authentication", header.key),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_can_be_called_are_kept_as_sent() {
        for text in ["https://example.com", "https://EXAMPLE.com:8443/a?b=c", "https://[2001:db8::1]/x"] {
            assert_eq!(HookUrl::parse("uri", text, false).unwrap().as_str(), text);
        }
        assert!(HookUrl::parse("uri", "http://127.0.0.1:9/x", true).is_ok());
    }

    #[test]
    fn urls_that_cannot_are_refused_with_the_reason() {
        let long = format!("https://example.com/{}", "x".repeat(URL_LIMIT));
        for (text, reason) in [
            ("", "must begin with https://"),
            ("example.com/hook", "must begin with https://"),
            ("http://example.com", "must begin with https://"),
            ("ftp://example.com", "must begin with https://"),
            ("file:///etc/passwd", "must begin with https://"),
            ("https://user@example.com", "must not contain a user name"),
            ("https://:secret@example.com", "must not contain a user name"),
            ("https://example.com@127.0.0.1/", "must not contain a user name"),
            ("https://example.com/#x", "must not contain a fragment"),
            ("https://example.com/a b", "must not contain white space"),
            ("https://example.com/\n", "must not contain white space"),
            ("https://", "must begin with https:// and a host"),
            ("https:example.com", "must begin with https:// and a host"),
            ("https:///example.com", "must begin with https:// and a host"),
            ("https:\\\\example.com", "must begin with https:// and a host"),
            ("https://example.com\\@127.0.0.1/", "must not contain a user name"),
            ("https://@example.com/", "must not contain a user name"),
            ("https://exa[mple.com", "is not a URL"),
            (long.as_str(), "at most 1024"),
        ] {
            let error = HookUrl::parse("uri", text, false).unwrap_err().to_string();
            assert!(error.starts_with("uri: ") && error.contains(reason), "{text} gave {error}");
        }
    }

    #[test]
    fn headers_that_belong_to_the_call_or_would_break_it_are_refused() {
        for (key, value, reason) in [
            ("Accept", "x", "set by the service itself"),
            ("content-TYPE", "x", "set by the service itself"),
            ("", "x", "key: The field cannot be left blank"),
            ("X", "", "value: The field cannot be left blank"),
            ("X: y", "x", "must not contain a colon"),
            ("X\r\nHost", "x", "must not contain control characters"),
            ("X", "a\r\nHost: b", "must not contain control characters"),
        ] {
            let error = Header::parse(key.to_owned(), value.to_owned()).unwrap_err().to_string();
            assert!(error.contains(reason), "{key:?} gave {error}");
        }
        assert!(Header::parse("Field 1".to_owned(), "x".to_owned()).is_ok(), "recorded");
    }

    #[test]
    fn versions_are_three_numbers() {
        for text in ["1.0.0", "1.0.2", "10.20.30"] {
            assert_eq!(HookVersion::parse("version", text).unwrap().as_str(), text);
        }
        for text in ["", "1", "1.0", "1.0.0.0", "v1.0.0", "1..0", "1.0.0-beta", "1.0.99999"] {
            assert!(HookVersion::parse("version", text).is_err(), "{text}");
        }
    }
}
