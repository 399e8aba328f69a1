//! Access tokens from a token endpoint (RFC 6749 §4.4, client credentials).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{Call, Fault, Outbound, Reply};
use crate::domain::secret::Secret;

/// The kind of assertion that a signed JWT is (RFC 7523 §2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a client proves itself.
pub enum Proof {
    /// Its secret, in the form (RFC 6749 §2.3.1).
    Secret(Secret),
    /// An assertion it has signed (RFC 7523 §2.2).
    Assertion(Secret),
}

/// What a client asks for.
pub struct TokenRequest<'a> {
    /// The endpoint.
    pub url: &'a str,
    /// The client.
    pub client_id: &'a str,
    /// The scope, if any.
    pub scope: Option<&'a str>,
    /// Its proof.
    pub proof: Proof,
}

/// An access token.
#[derive(Debug)]
pub struct AccessToken {
    /// What to send as Bearer.
    pub value: Secret,
    /// How long it is good for, where the endpoint says so.
    pub lifetime: Option<Duration>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    /// A number by RFC 6749 §5.1; some endpoints send it as text.
    expires_in: Option<Value>,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
}

impl Outbound {
    /// Asks an endpoint for an access token.
    pub async fn exchange(&self, request: TokenRequest<'_>, deadline: Instant) -> Result<AccessToken, Fault> {
        let call = Call {
            url: request.url,
            content_type: "application/x-www-form-urlencoded",
            headers: Vec::new(),
            body: form(&request).into(),
            deadline,
        };
        granted(&self.post(call).await?)
    }
}

fn form(request: &TokenRequest<'_>) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if let Some(scope) = request.scope {
        form.append_pair("scope", scope);
    }
    match &request.proof {
        Proof::Secret(secret) => {
            form.append_pair("client_id", request.client_id).append_pair("client_secret", secret.reveal());
        }
        Proof::Assertion(assertion) => {
            form.append_pair("client_assertion_type", ASSERTION_TYPE)
                .append_pair("client_assertion", assertion.reveal());
        }
    }
    form.finish()
}

fn granted(reply: &Reply) -> Result<AccessToken, Fault> {
    if !(200..300).contains(&reply.status) {
        return Err(Fault::status("The token endpoint", reply.status, &error_code(&reply.body)));
    }
    // The parser's message could quote the token: it is left out.
    let granted: Granted = serde_json::from_slice(&reply.body).map_err(|error| {
        Fault::bad_answer(format!(
            "The token endpoint's answer holds no access_token (line {} column {})",
            error.line(),
            error.column()
        ))
    })?;
    if granted.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(Fault::bad_answer("The token endpoint's token_type is not Bearer"));
    }
    let value = Secret::new(granted.access_token);
    if value.reveal().is_empty() || !value.reveal().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::bad_answer("The token endpoint's access_token cannot be sent as a header"));
    }
    let seconds = granted.expires_in.and_then(|value| match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    });
    let lifetime = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(AccessToken { value, lifetime })
}

/// The endpoint's own error code (RFC 6749 §5.2), when it looks like one.
fn error_code(body: &[u8]) -> String {
    let code = serde_json::from_slice::<Denied>(body).map(|denied| denied.error).unwrap_or_default();
    let harmless =
        (1..=40).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if harmless { format!(" ({code})") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Upstream;

    fn outcome(status: u16, body: &str) -> Result<AccessToken, Fault> {
        granted(&Reply { status, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn a_token_is_read_with_and_without_its_lifetime() {
        let token =
            outcome(200, r#"{"access_token":"abc","token_type":"bearer","expires_in":60,"x":1}"#).unwrap();
        assert_eq!((token.value.reveal(), token.lifetime), ("abc", Some(Duration::from_secs(60))));
        assert_eq!(outcome(201, r#"{"access_token":"abc"}"#).unwrap().lifetime, None);
        let lifetime = |json: &str| {
            outcome(200, &format!(r#"{{"access_token":"abc","expires_in":{json}}}"#)).unwrap().lifetime
        };
        assert_eq!(lifetime("\"3600\""), Some(Duration::from_secs(3600)));
        for odd in ["-1", "1e300", "\"soon\"", "\"NaN\"", "[]", "null"] {
            assert_eq!(lifetime(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_answer_without_a_usable_token_is_told_apart_and_never_quoted() {
        for (status, body, text) in [
            (401, r#"{"error":"invalid_client"}"#, "status 401 (invalid_client)"),
            (400, r#"{"error":"Look: s3cret <b>"}"#, "status 400"),
            (500, "s3cret", "status 500"),
            (302, "", "status 302"),
            (200, "s3cret", "holds no access_token (line 1 column 1)"),
            (200, r#"{"token":"s3cret"}"#, "holds no access_token"),
            (200, r#"{"access_token":5}"#, "holds no access_token"),
            (200, r#"{"access_token":""}"#, "cannot be sent as a header"),
            (200, r#"{"access_token":"s3cret\r\nHost: x"}"#, "cannot be sent as a header"),
            (200, r#"{"access_token":"s3cret","token_type":"DPoP"}"#, "is not Bearer"),
        ] {
            let fault = outcome(status, body).unwrap_err();
            assert_eq!((fault.failure, fault.transient), (Upstream::BadAnswer, status >= 500));
            let problem = fault.text;
            assert!(problem.contains(text) && !problem.contains("s3cret"), "{body} gave {problem}");
        }
    }
}
