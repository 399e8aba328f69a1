//! What handlers take: a caller who has the right, and a body that is checked before it is read.

use std::marker::PhantomData;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::{Either, LocalBoxFuture, Ready, ready};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::timeout;

use super::address::client_address;
use super::depth::is_deeper;
use super::error::Failure;
use super::{Api, audit, okta};
use crate::app::App;
use crate::domain::audit::Actor;
use crate::domain::key::Sight;
use crate::domain::permission::Permission;
use crate::domain::token::ApiToken;
use crate::error::{Error, Kind};
use crate::service::{Caller, NotLoggedIn};

/// The one media type of requests and answers.
pub const JSON: &str = "application/json";

/// Where clients of Kong put their tokens (contract §5).
const KONG_ADMIN_TOKEN: &str = "kong-admin-token";

/// A permission as a type, so that a handler's signature says what it takes to call it.
pub trait Requirement: 'static {
    /// The permission.
    const PERMISSION: Permission;
}

/// [`Permission::InlineHooksRead`].
pub struct InlineHooksRead;

impl Requirement for InlineHooksRead {
    const PERMISSION: Permission = Permission::InlineHooksRead;
}

/// [`Permission::InlineHooksManage`].
pub struct InlineHooksManage;

impl Requirement for InlineHooksManage {
    const PERMISSION: Permission = Permission::InlineHooksManage;
}

/// [`Permission::KeysRead`].
pub struct KeysRead;

impl Requirement for KeysRead {
    const PERMISSION: Permission = Permission::KeysRead;
}

/// [`Permission::KeysManage`].
pub struct KeysManage;

impl Requirement for KeysManage {
    const PERMISSION: Permission = Permission::KeysManage;
}

/// [`Permission::LogsRead`].
pub struct LogsRead;

impl Requirement for LogsRead {
    const PERMISSION: Permission = Permission::LogsRead;
}

/// A caller whose token is live and has the permission `P`. There is no other way to get one.
pub struct Authed<P> {
    /// Who calls.
    pub caller: Caller,
    request: HttpRequest,
    permission: PhantomData<P>,
}

impl<P: Requirement> FromRequest for Authed<P> {
    type Error = Failure;
    type Future = Either<Ready<Result<Self, Failure>>, LocalBoxFuture<'static, Result<Self, Failure>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = match app(request) {
            Ok(app) => app,
            Err(failure) => return Either::Left(ready(Err(failure))),
        };
        let token = match credentials(request) {
            Ok(token) => token,
            Err(failure) => return Either::Left(ready(Err(turned_away(app, request, failure)))),
        };
        // Nearly always: then there is nothing to wait for.
        if let Some(caller) = app.tokens.recall(&token) {
            return Either::Left(ready(Self::permit(request, caller)));
        }
        let (request, app) = (request.clone(), app.clone());
        Either::Right(Box::pin(async move {
            let caller = app.tokens.log_in(&token, client_address(&request)).await;
            let caller = caller.map_err(|refused| told(&request, refused))?;
            Self::permit(&request, caller)
        }))
    }
}

impl<P: Requirement> Authed<P> {
    fn permit(request: &HttpRequest, caller: Caller) -> Result<Self, Failure> {
        // For the log, which tells who was refused, too.
        request.extensions_mut().insert(caller.clone());
        if caller.quota().is_some_and(|quota| !quota.granted) {
            return Err(Error::new(Kind::TooManyRequests).into());
        }
        if !caller.grant.allows(P::PERMISSION) {
            return Err(Error::new(Kind::NotPermitted).into());
        }
        Ok(Self { caller, request: request.clone(), permission: PhantomData })
    }

    /// The caller as the one who writes, for the audit trail.
    #[must_use]
    pub fn actor(&self, app: &App) -> Actor {
        audit::actor(app, &self.request, &self.caller)
    }

    /// The same, if the caller may see private halves.
    #[must_use]
    pub fn revealer(&self, app: &App) -> Option<Actor> {
        (self.caller.sight() == Sight::Private).then(|| self.actor(app))
    }
}

/// Counts credentials that are no token, as wrong tokens are counted.
fn turned_away(app: &App, request: &HttpRequest, failure: Failure) -> Failure {
    let wrong = match &failure {
        Failure::InvalidBearer => true,
        Failure::Service(error) => *error.kind() == Kind::BadCredentials,
        // Without credentials nobody has tried to log in.
        _ => false,
    };
    if !wrong {
        return failure;
    }
    let refused = app.tokens.turn_away(client_address(request), Error::new(Kind::BadCredentials));
    match told(request, refused) {
        Failure::Service(error) if *error.kind() == Kind::TooManyRequests => error.into(),
        _ => failure,
    }
}

/// What is told of it: why, and in the headers of the answer what is left.
fn told(request: &HttpRequest, refused: NotLoggedIn) -> Failure {
    if let Some(quota) = refused.quota {
        request.extensions_mut().insert(quota);
    }
    refused.error.into()
}

/// The token that the caller brings, in the manner of the API that is called.
fn credentials(request: &HttpRequest) -> Result<ApiToken, Failure> {
    match Api::of(request.path()) {
        Api::Okta => okta::negotiate(request)?,
        Api::Kong => {
            if let Some(header) = request.headers().get(KONG_ADMIN_TOKEN) {
                let token = ApiToken::parse(header.to_str().unwrap_or_default().trim());
                return token.ok_or_else(|| Error::new(Kind::BadCredentials).into());
            }
        }
    }
    let header = request.headers().get(AUTHORIZATION).ok_or_else(|| Error::new(Kind::NoCredentials))?;
    let text = std::str::from_utf8(header.as_bytes()).unwrap_or_default();
    ssws_token(text).ok_or_else(|| match scheme(text, "Bearer") {
        // OAuth access tokens are not issued here; RFC 6750 §3.1 says how to tell a client so.
        Some(_) => Failure::InvalidBearer,
        None => Error::new(Kind::BadCredentials).into(),
    })
}

fn app(request: &HttpRequest) -> Result<&web::Data<App>, Failure> {
    request.app_data().ok_or_else(|| Error::internal("serving", "there is no App").into())
}

/// The token of `SSWS <token>`. The blank may be missing: Okta's Python SDK leaves it out (contract §0.1).
fn ssws_token(header: &str) -> Option<ApiToken> {
    ApiToken::parse(scheme(header, "SSWS")?.trim())
}

/// What follows the scheme, whose case does not count (RFC 9110 §11.1).
fn scheme<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (start, rest) = header.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(rest)
}

/// The first value of a query parameter. A query that cannot be read has none.
#[must_use]
pub fn query(request: &HttpRequest, name: &str) -> Option<String> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?.into_inner();
    pairs.into_iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value)
}

/// A request body that is still on its way. It is read only when a handler asks, after authentication.
pub struct Body {
    request: HttpRequest,
    payload: web::Payload,
}

impl FromRequest for Body {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = web::Payload::from_request(request, payload).into_inner();
        ready(match payload {
            Ok(payload) => Ok(Self { request: request.clone(), payload }),
            Err(error) => Err(Error::internal("reading a body", error).into()),
        })
    }
}

impl Body {
    /// Reads a JSON object.
    pub async fn object<T: DeserializeOwned>(self) -> Result<T, Failure> {
        let bytes = self.read().await?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Failure::Malformed)?;
        // Without this check, serde would take an array for a struct, its items as the members in order.
        if !text.trim_start().starts_with('{') {
            return Err(Failure::Malformed);
        }
        serde_json::from_str(text).map_err(|_| Failure::Malformed)
    }

    /// Reads any JSON value, to be passed on as it is.
    pub async fn verbatim(self) -> Result<Bytes, Failure> {
        let bytes = self.read().await?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Failure::Malformed)?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| Failure::Malformed)?;
        Ok(bytes)
    }

    /// Reads the body: announced, and JSON by its media type.
    async fn read(self) -> Result<Bytes, Failure> {
        let headers = self.request.headers();
        if !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING) {
            return Err(Failure::LengthRequired);
        }
        if !self.request.content_type().eq_ignore_ascii_case(JSON) {
            return Err(Failure::WrongContentType);
        }
        self.json().await
    }

    /// Reads the body, which should be JSON, and checks how deep that is before anybody parses it.
    pub async fn json(self) -> Result<Bytes, Failure> {
        let most = app(&self.request)?.limits.json_depth;
        let bytes = self.bytes().await?;
        if is_deeper(&bytes, most) { Err(Failure::TooDeep(most)) } else { Ok(bytes) }
    }

    /// The media type with its parameters, as it was sent; empty when there is none.
    #[must_use]
    pub fn content_type(&self) -> String {
        let header = self.request.headers().get(CONTENT_TYPE);
        header.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    /// Reads the body, whatever it is: at most `limits.body_bytes`. One that was not announced is empty.
    pub async fn bytes(self) -> Result<Bytes, Failure> {
        let App { body_timeout, limits, .. } = &***app(&self.request)?;
        let headers = self.request.headers();
        let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > limits.body_bytes) {
            return Err(Failure::BodyTooLarge(limits.body_bytes));
        }
        // A client that sends nothing must not hold its connection for ever.
        let read = timeout(*body_timeout, self.payload.to_bytes_limited(limits.body_bytes)).await;
        let read = read.map_err(|_| Failure::BodyTooSlow)?;
        read.map_err(|_| Failure::BodyTooLarge(limits.body_bytes))?.map_err(|_| Failure::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_with_and_without_the_blank_and_in_any_case_of_the_scheme() {
        let token = format!("00{}", "aB3_-".repeat(8));
        for header in ["SSWS TOKEN", "SSWSTOKEN", "ssws TOKEN", "Ssws   TOKEN  "] {
            let read = ssws_token(&header.replace("TOKEN", &token));
            assert_eq!(read.map(|token| token.reveal().to_owned()), Some(token.clone()), "{header}");
        }
    }

    #[test]
    fn a_header_that_holds_no_token_is_none() {
        let token = format!("00{}", "a".repeat(40));
        let shapes =
            ["", "SSWS", "SSWS ", "TOKEN", "Bearer TOKEN", "SSWS: TOKEN", "SSWS TOKENx", "SSW\u{e9}TOKEN"];
        for header in shapes {
            assert!(ssws_token(&header.replace("TOKEN", &token)).is_none(), "{header}");
        }
    }
}
