//! Okta's API under `/api/v1`.

pub mod error;
pub mod hook_keys;
pub mod inline_hooks;
pub mod logs;
pub mod wire;

use actix_web::http::header::{ACCEPT, HOST};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::Address;
use super::error::Failure;
use super::extract::JSON;
use super::representation::text;
use crate::app::App;
use crate::cache::Body;

/// What a handler returns.
type Answer = Result<HttpResponse, Failure>;

fn json(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(body)
}

/// The body of an answer that shows nothing sealed.
fn body(shown: &impl Serialize) -> Result<Body, Failure> {
    Ok(Body::new(JSON, &text(shown)?))
}

/// Where the caller reaches the service: the setting, else plain HTTP on the host that the caller named.
fn base_url(app: &App, request: &HttpRequest) -> String {
    if let Some(url) = &app.public_url {
        return url.clone();
    }
    let scheme = if app.tls.is_some() { "https" } else { "http" };
    match (request.headers().get(HOST).and_then(|host| host.to_str().ok()), request.app_data::<Address>()) {
        (Some(named), _) => format!("{scheme}://{named}"),
        (None, Some(Address(served))) => format!("{scheme}://{served}"),
        (None, None) => String::new(),
    }
}

fn parameter<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    request.match_info().get(name).unwrap_or_default()
}

/// Refuses a caller who accepts no JSON, as every path of this API does.
pub fn negotiate(request: &HttpRequest) -> Result<(), Failure> {
    // Several lines of one header are one list (RFC 9110 §5.3).
    let mut lines =
        request.headers().get_all(ACCEPT).map(|line| line.to_str().unwrap_or_default()).peekable();
    if lines.peek().is_some() && !lines.any(accepts_json) {
        return Err(Failure::NotAcceptable);
    }
    Ok(())
}

/// Whether a media range of the header covers JSON (RFC 9110 §12.5.1). Weights are not looked at: there is
/// one form of answer.
fn accepts_json(accept: &str) -> bool {
    let ranges = accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    let covers = |range: &str| {
        ["*/*", "application/*", super::extract::JSON].iter().any(|known| known.eq_ignore_ascii_case(range))
    };
    accept.trim().is_empty() || ranges.into_iter().any(covers)
}

#[cfg(test)]
mod tests {
    use super::accepts_json;

    #[test]
    fn json_is_accepted_by_name_by_range_and_by_silence() {
        for accept in
            ["", "*/*", "application/json", "text/html, application/*;q=0.8", "Application/JSON; q=1"]
        {
            assert!(accepts_json(accept), "{accept}");
        }
        for accept in ["text/html", "application/xml, text/plain;q=0.5", "application/jsonp", "json"] {
            assert!(!accepts_json(accept), "{accept}");
        }
    }
}
