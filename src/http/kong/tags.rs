//! `/tags`: who has which tag (contract §1).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};

use super::wire::list::{ListBody, page};
use super::wire::tags::TaggedBody;
use super::{Answer, json, segment};
use crate::app::App;
use crate::http::extract::{Authed, KeysRead};
use crate::service;

/// `GET /` and `GET /{tag}`: every tag, or every use of one.
pub async fn list(authed: Authed<KeysRead>, app: web::Data<App>, request: HttpRequest) -> Answer {
    let (tag, page) = (segment(&request, "tag")?, page(&request)?);
    let found = service::tags::list(&app.keys.db, &authed.caller.org, tag, page).await?;
    Ok(json(StatusCode::OK, &ListBody::new(&request, &found, TaggedBody::new)))
}
