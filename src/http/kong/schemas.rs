//! `/schemas`: the fields of the entities, and trying a body without storing it (contract §1).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use serde_json::json as value;

use super::wire::body::fields;
use super::wire::{key_sets, keys};
use super::{Answer, JSON, json, segment};
use crate::app::App;
use crate::cache;
use crate::error::Error;
use crate::http::error::Failure;
use crate::http::extract::{Authed, Body, KeysManage, KeysRead};
use crate::http::representation::{Shown, show};
use crate::service;

/// What messages call a schema.
pub const SCHEMA: &str = "Schema";

const KEYS: &str = include_str!("wire/schema_keys.json");
const KEY_SETS: &str = include_str!("wire/schema_key_sets.json");

/// What there are schemas of.
enum Entity {
    Keys,
    KeySets,
}

/// `GET /{entity}`: the fields.
pub async fn get(_: Authed<KeysRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let schema = match entity(&request)? {
        Entity::Keys => KEYS,
        Entity::KeySets => KEY_SETS,
    };
    show(&app, &request, cache::Body::new(JSON, schema.as_bytes())).await
}

/// `POST /{entity}/validate`: whether the entity could be stored, as far as that can be told without looking at
/// what is stored. It computes as much as storing does, so it takes the same permission.
pub async fn validate(
    _: Authed<KeysManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    match entity(&request)? {
        Entity::Keys => app.keys.check(keys::draft(fields(body).await?)).await?,
        Entity::KeySets => service::key_sets::check(&key_sets::draft(fields(body).await?))?,
    }
    Ok(json(StatusCode::OK, &value!({ "message": "schema validation successful" })))
}

fn entity(request: &HttpRequest) -> Result<Entity, Failure> {
    match segment(request, "entity")?.unwrap_or_default().as_str() {
        "keys" => Ok(Entity::Keys),
        "key_sets" => Ok(Entity::KeySets),
        other => Err(Error::not_found(SCHEMA, other).into()),
    }
}
