//! `/key-sets` and `/keys/{key}/set` (contract §1).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::wire::body::fields;
use super::wire::key_sets::{KeySetBody, draft};
use super::wire::list::{ListBody, page, tag_filter};
use super::{Answer, body, json, segment};
use crate::app::App;
use crate::cache::Topic;
use crate::domain::key::Selector;
use crate::domain::key_set::{KeySet, KeySetDraft};
use crate::http::error::Failure;
use crate::http::extract::{Authed, Body, KeysManage, KeysRead};
use crate::http::representation::{Shown, remembered, show};

/// `GET /key-sets`: the key sets by rising id, in pages.
pub async fn list(authed: Authed<KeysRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let org = &authed.caller.org;
    let make = async || {
        let (filter, page) = (tag_filter(&request)?, page(&request)?);
        let found = app.key_sets.list(org, filter, page).await?;
        Ok((Topic::KeySets, body(&ListBody::new(&request, &found, KeySetBody::new))?))
    };
    remembered(&app, &request, org, "", make).await
}

/// `POST /key-sets`: makes a key set.
pub async fn create(authed: Authed<KeysManage>, app: web::Data<App>, body: Body) -> Answer {
    let set = app.key_sets.create(&authed.actor(&app), read(body).await?).await?;
    Ok(answer(StatusCode::CREATED, &set))
}

/// `PUT /key-sets`: makes or replaces the key set of the name in the body.
pub async fn put_by_name(authed: Authed<KeysManage>, app: web::Data<App>, body: Body) -> Answer {
    let set = app.key_sets.put_by_name(&authed.actor(&app), read(body).await?).await?;
    Ok(answer(StatusCode::OK, &set))
}

/// `GET /key-sets/{set}`: the key set.
pub async fn get(authed: Authed<KeysRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let org = &authed.caller.org;
    let make = async || {
        let set = app.key_sets.find(org, selector(&request, "set")?).await?;
        Ok((Topic::KeySets, body(&KeySetBody::new(&set))?))
    };
    remembered(&app, &request, org, "", make).await
}

/// `PUT /key-sets/{set}`: makes or replaces the key set. An id in the body does not count.
pub async fn put(
    authed: Authed<KeysManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let selector = selector(&request, "set")?;
    let draft = KeySetDraft { id: None, ..draft(fields(body).await?.named_by(&selector)) };
    let set = app.key_sets.put(&authed.actor(&app), selector, draft).await?;
    Ok(answer(StatusCode::OK, &set))
}

/// `PATCH /key-sets/{set}`: changes what the body names.
pub async fn patch(
    authed: Authed<KeysManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let draft = read(body).await?;
    let set = app.key_sets.patch(&authed.actor(&app), selector(&request, "set")?, draft).await?;
    Ok(answer(StatusCode::OK, &set))
}

/// `DELETE /key-sets/{set}`: deletes the key set and its keys, if it is there.
pub async fn delete(authed: Authed<KeysManage>, app: web::Data<App>, request: HttpRequest) -> Answer {
    app.key_sets.delete(&authed.actor(&app), selector(&request, "set")?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `GET /keys/{key}/set`: the key set of the key.
pub async fn get_of_key(authed: Authed<KeysRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let set = app.key_sets.find_of_key(&authed.caller.org, selector(&request, "key")?).await?;
    show(&app, &request, body(&KeySetBody::new(&set))?).await
}

/// `PUT /keys/{key}/set`: replaces the key set of the key, or gives it a new one.
pub async fn put_of_key(
    authed: Authed<KeysManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let draft = read(body).await?;
    let set = app.key_sets.put_of_key(&authed.actor(&app), selector(&request, "key")?, draft).await?;
    Ok(answer(StatusCode::OK, &set))
}

/// `PATCH /keys/{key}/set`: changes in the key set of the key what the body names.
pub async fn patch_of_key(
    authed: Authed<KeysManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let draft = read(body).await?;
    let set = app.key_sets.patch_of_key(&authed.actor(&app), selector(&request, "key")?, draft).await?;
    Ok(answer(StatusCode::OK, &set))
}

async fn read(body: Body) -> Result<KeySetDraft, Failure> {
    Ok(draft(fields(body).await?))
}

fn answer(status: StatusCode, set: &KeySet) -> HttpResponse {
    json(status, &KeySetBody::new(set))
}

fn selector(request: &HttpRequest, name: &str) -> Result<Selector, Failure> {
    Ok(Selector::parse(&segment(request, name)?.unwrap_or_default()))
}
