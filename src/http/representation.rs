//! Answers to GET: from memory where there is one, with an entity tag, a 304 for who has them already, and gzip for
//! who asks for it (RFC 9110 §8.8.3, §13.1.2, §12.5.3).

use std::sync::Arc;

use actix_web::http::header::{
    AcceptEncoding, CONTENT_ENCODING, CONTENT_TYPE, ETAG, Encoding, EntityTag, Header, HeaderValue,
    IF_NONE_MATCH, IfNoneMatch,
};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::error::Failure;
use crate::app::App;
use crate::cache::{Body, Question, Topic};
use crate::domain::ids::OrgId;
use crate::error::Error;

/// What a handler of GET returns.
pub type Shown = Result<HttpResponse, Failure>;

/// The answer to a request: from memory, else what `make` makes of the database. It must hang on nothing but the org,
/// path and query, and `base`, where links in it lead.
pub async fn remembered(
    app: &App,
    request: &HttpRequest,
    org: &OrgId,
    base: &str,
    make: impl AsyncFnOnce() -> Result<(Topic, Body), Failure>,
) -> Shown {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let body = app.cache.answer(Question { org, base, path }, make).await?;
    send(app, request, body).await
}

/// What an answer shows, as JSON.
pub fn text(shown: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(shown).map_err(|error| Error::internal("rendering an answer", error))
}

/// The answer with this body.
pub async fn show(app: &App, request: &HttpRequest, body: Body) -> Shown {
    send(app, request, Arc::new(body)).await
}

/// The answer with a body that stays.
pub async fn send(app: &App, request: &HttpRequest, body: Arc<Body>) -> Shown {
    let compress = body.is_worth_compressing() && takes_gzip(request);
    let etag = HeaderValue::from_maybe_shared(if compress { body.weak_etag() } else { body.etag() });
    let etag = etag.map_err(|error| Error::internal("an entity tag", error))?;
    if request.headers().contains_key(IF_NONE_MATCH) && has_already(request, &etag) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, etag)).finish());
    }
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, HeaderValue::from_static(body.media_type())));
    answer.insert_header((ETAG, etag));
    if !compress {
        return Ok(answer.body(body.bytes()));
    }
    let compressed = if let Some(compressed) = body.compressed() {
        compressed
    } else {
        let body = Arc::clone(&body);
        app.tasks.blocking(move || body.compress()).await?
    };
    Ok(answer.insert_header((CONTENT_ENCODING, "gzip")).body(compressed))
}

/// Whether the caller names the tag, weak or not. A header that cannot be read names none.
fn has_already(request: &HttpRequest, etag: &HeaderValue) -> bool {
    let ours = etag.to_str().ok().and_then(|etag| etag.parse::<EntityTag>().ok());
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => ours.is_some_and(|ours| tags.iter().any(|tag| tag.weak_eq(&ours))),
        Err(_) => false,
    }
}

fn takes_gzip(request: &HttpRequest) -> bool {
    let offered = [Encoding::gzip(), Encoding::identity()];
    let wanted = AcceptEncoding::parse(request).ok().and_then(|wanted| wanted.negotiate(offered.iter()));
    wanted == Some(Encoding::gzip())
}
