//! `/api/v1/hook-keys` (contract §4).

use actix_web::{HttpRequest, HttpResponse, web};

use super::wire::hook_keys::{HookKeyBody, HookKeyRequest, PublicJwk};
use super::{Answer, body, json, parameter};
use crate::app::App;
use crate::cache::{self, Topic};
use crate::domain::hook_key::RESOURCE;
use crate::domain::ids::{HookKeyId, KeyId, OrgId};
use crate::error::Error;
use crate::http::error::Failure;
use crate::http::extract::{Authed, Body, InlineHooksManage, InlineHooksRead, query};
use crate::http::representation::{Shown, remembered};

/// `GET /`: all keys in creation order, without their public halves.
pub async fn list(authed: Authed<InlineHooksRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let org = &authed.caller.org;
    let make = async || {
        let keys = app.hook_keys.list(org).await?;
        let bodies: Vec<_> = keys.iter().map(|key| HookKeyBody::new(key, false)).collect();
        Ok((Topic::HookKeys, body(&bodies)?))
    };
    remembered(&app, &request, org, "", make).await
}

/// `POST /`: makes a key pair. Answers 200, not 201, as Okta does.
pub async fn create(authed: Authed<InlineHooksManage>, app: web::Data<App>, body: Body) -> Answer {
    let name = body.object::<HookKeyRequest>().await?.name()?;
    let key = app.hook_keys.create(&authed.actor(&app), name).await?;
    Ok(json(&HookKeyBody::new(&key, true)))
}

/// `GET /{id}`: the key, with its public half when the query says `expand=publickey`. A keyId in place of
/// the id answers the public half alone, as the published guide has it.
pub async fn get(authed: Authed<InlineHooksRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let org = &authed.caller.org;
    let make = async || {
        let segment = parameter(&request, "id");
        if let Some(key_id) = KeyId::parse(segment) {
            return public_half(&app, org, key_id).await;
        }
        let key = app.hook_keys.find(org, hook_key_id(segment)?).await?;
        // Other values and other parameters are ignored.
        let expand = query(&request, "expand").is_some_and(|value| value == "publickey");
        Ok((Topic::HookKey(key.id.clone()), body(&HookKeyBody::new(&key, expand))?))
    };
    remembered(&app, &request, org, "", make).await
}

/// `GET /public/{keyId}`: the public half alone.
pub async fn get_public(authed: Authed<InlineHooksRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let org = &authed.caller.org;
    let make = async || {
        let segment = parameter(&request, "keyId");
        let key_id = KeyId::parse(segment).ok_or_else(|| Error::not_found(RESOURCE, segment))?;
        public_half(&app, org, key_id).await
    };
    remembered(&app, &request, org, "", make).await
}

/// `PUT /{id}`: renames the key.
pub async fn replace(
    authed: Authed<InlineHooksManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let name = body.object::<HookKeyRequest>().await?.name()?;
    let key =
        app.hook_keys.rename(&authed.actor(&app), hook_key_id(parameter(&request, "id"))?, name).await?;
    Ok(json(&HookKeyBody::new(&key, true)))
}

/// `DELETE /{id}`: deletes a key that no hook uses.
pub async fn delete(authed: Authed<InlineHooksManage>, app: web::Data<App>, request: HttpRequest) -> Answer {
    app.hook_keys.delete(&authed.actor(&app), hook_key_id(parameter(&request, "id"))?).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn public_half(app: &App, org: &OrgId, key_id: KeyId) -> Result<(Topic, cache::Body), Failure> {
    let key = app.hook_keys.find_by_key_id(org, key_id).await?;
    Ok((Topic::HookKey(key.id.clone()), body(&PublicJwk::new(&key))?))
}

/// An id of another form is the id of nothing.
fn hook_key_id(segment: &str) -> Result<HookKeyId, Error> {
    HookKeyId::parse(segment).ok_or_else(|| Error::not_found(RESOURCE, segment))
}
