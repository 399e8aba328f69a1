//! Kong's Admin API: keys, key sets and what their clients ask for beside them.

pub mod error;
pub mod key_sets;
pub mod keys;
pub mod node;
pub mod schemas;
pub mod tags;
pub mod wire;

use std::future::{Ready, ready};

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCESS_CONTROL_ALLOW_METHODS, ALLOW};
use actix_web::{HttpRequest, HttpResponse};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::error::Failure;
use super::representation::text;
use crate::cache::Body;

/// The media type of answers (contract §1).
pub const JSON: &str = "application/json; charset=utf-8";

/// What a handler returns.
type Answer = Result<HttpResponse, Failure>;

fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    match text(body) {
        Ok(body) => HttpResponse::build(status).content_type(JSON).body(body),
        Err(error) => HttpResponse::from_error(Failure::from(error)),
    }
}

/// The body of an answer that shows nothing sealed.
pub(super) fn body(shown: &impl Serialize) -> Result<Body, Failure> {
    Ok(Body::new(JSON, &text(shown)?))
}

/// A segment of the path, decoded to the end: the router leaves `%2F`, `%2B` and `%25` as they are.
fn segment(request: &HttpRequest, name: &str) -> Result<Option<String>, Failure> {
    let Some(raw) = request.match_info().get(name) else { return Ok(None) };
    // No name has bytes that are no UTF-8. The router has replaced them, so the path as it came must be looked at.
    if percent_decode_str(request.uri().path()).decode_utf8().is_err() {
        return Err(Failure::UnknownPath);
    }
    Ok(Some(percent_decode_str(raw).decode_utf8_lossy().into_owned()))
}

/// The handler of OPTIONS: tells the methods of a path (contract §1).
pub fn options(methods: String) -> impl Fn() -> Ready<HttpResponse> + Clone {
    move || {
        let mut answer = HttpResponse::NoContent();
        answer.insert_header((ALLOW, methods.clone()));
        answer.insert_header((ACCESS_CONTROL_ALLOW_METHODS, methods.clone()));
        ready(answer.finish())
    }
}
