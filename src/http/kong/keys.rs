//! `/keys` and `/key-sets/{set}/keys` (contract §1). The handlers of the two are the same: a path with `{set}`
//! reaches only the keys of that set.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::wire::body::fields;
use super::wire::keys::{KeyBody, draft, format};
use super::wire::list::{ListBody, page, tag_filter};
use super::{Answer, JSON, json, segment};
use crate::app::App;
use crate::cache;
use crate::domain::key::{Key, KeyDraft, Selector, Sight, Target};
use crate::http::error::Failure;
use crate::http::extract::{Authed, Body, KeysManage, KeysRead};
use crate::http::representation::{Shown, show, text};

/// `GET /`: the keys by rising id, in pages.
pub async fn list(authed: Authed<KeysRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let within = within(&request)?;
    // Lists of a set take no tags (contract §7).
    let filter = if within.is_none() { tag_filter(&request)? } else { None };
    let (page, sight) = (page(&request)?, authed.caller.sight());
    let found = app.keys.list(&authed.caller.org, within, filter, page, authed.revealer(&app)).await?;
    show(&app, &request, body(&ListBody::new(&request, &found, KeyBody::new), sight)?).await
}

/// `POST /`: makes a key.
pub async fn create(
    authed: Authed<KeysManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let (draft, sight) = (read(body).await?, authed.caller.sight());
    let key = app.keys.create(&authed.actor(&app), within(&request)?, draft, sight).await?;
    Ok(answer(StatusCode::CREATED, &key))
}

/// `PUT /keys`: makes or replaces the key of the name in the body.
pub async fn put_by_name(authed: Authed<KeysManage>, app: web::Data<App>, body: Body) -> Answer {
    let (draft, sight) = (read(body).await?, authed.caller.sight());
    let key = app.keys.put_by_name(&authed.actor(&app), draft, sight).await?;
    Ok(answer(StatusCode::OK, &key))
}

/// `GET /{key}`: the key, in the format that the query asks for.
pub async fn get(authed: Authed<KeysRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let (org, target, sight) = (&authed.caller.org, target(&request)?, authed.caller.sight());
    let key = match format(&request)? {
        None => app.keys.find(org, target, authed.revealer(&app)).await?,
        Some(format) => app.keys.find_as(org, target, authed.revealer(&app), format).await?,
    };
    show(&app, &request, body(&KeyBody::new(&key), sight)?).await
}

/// `PUT /{key}`: makes or replaces the key. An id in the body does not count.
pub async fn put(
    authed: Authed<KeysManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let target = target(&request)?;
    let draft = KeyDraft { id: None, ..draft(fields(body).await?.named_by(&target.key)) };
    let key = app.keys.put(&authed.actor(&app), target, draft, authed.caller.sight()).await?;
    Ok(answer(StatusCode::OK, &key))
}

/// `PATCH /{key}`: changes what the body names.
pub async fn patch(
    authed: Authed<KeysManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let (draft, sight) = (read(body).await?, authed.caller.sight());
    let key = app.keys.patch(&authed.actor(&app), target(&request)?, draft, sight).await?;
    Ok(answer(StatusCode::OK, &key))
}

/// `DELETE /{key}`: deletes the key.
pub async fn delete(authed: Authed<KeysManage>, app: web::Data<App>, request: HttpRequest) -> Answer {
    app.keys.delete(&authed.actor(&app), target(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn read(body: Body) -> Result<KeyDraft, Failure> {
    Ok(draft(fields(body).await?))
}

fn body(shown: &impl Serialize, sight: Sight) -> Result<cache::Body, Failure> {
    let text = text(shown)?;
    Ok(match sight {
        Sight::Public => cache::Body::new(JSON, &text),
        Sight::Private => cache::Body::private(JSON, &text),
    })
}

fn answer(status: StatusCode, key: &Key) -> HttpResponse {
    json(status, &KeyBody::new(key))
}

fn within(request: &HttpRequest) -> Result<Option<Selector>, Failure> {
    Ok(segment(request, "set")?.map(|text| Selector::parse(&text)))
}

fn target(request: &HttpRequest) -> Result<Target, Failure> {
    let key = Selector::parse(&segment(request, "key")?.unwrap_or_default());
    Ok(Target { within: within(request)?, key })
}
