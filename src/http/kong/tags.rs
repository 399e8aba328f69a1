//! `/tags`: who has which tag (contract §1).

use actix_web::{HttpRequest, web};

use super::wire::list::{ListBody, page};
use super::wire::tags::TaggedBody;
use super::{body, segment};
use crate::app::App;
use crate::http::extract::{Authed, KeysRead};
use crate::http::representation::{Shown, show};
use crate::service;

/// `GET /` and `GET /{tag}`: every tag, or every use of one.
pub async fn list(authed: Authed<KeysRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let (tag, page) = (segment(&request, "tag")?, page(&request)?);
    let found = service::tags::list(&app.keys.db, &authed.caller.org, tag, page).await?;
    show(&app, &request, body(&ListBody::new(&request, &found, TaggedBody::new))?).await
}
