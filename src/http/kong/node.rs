//! `GET /`: what Kong's clients ask a node about itself before anything else (contract §10).

use actix_web::{HttpRequest, web};
use serde::Serialize;
use serde_json::{Value, json};

use super::body;
use crate::app::App;
use crate::http::extract::{Authed, KeysRead};
use crate::http::representation::{Shown, show};

/// The version of Kong whose Admin API is matched.
const KONG_VERSION: &str = "3.10.0";

#[derive(Serialize)]
struct NodeBody<'a> {
    version: &'static str,
    edition: &'static str,
    tagline: &'static str,
    hostname: String,
    node_id: &'a str,
    plugins: Value,
    configuration: Value,
    hook_keys: Value,
}

/// `GET /`: which version of the Admin API this is, and what really serves it.
pub async fn get(_: Authed<KeysRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let node = NodeBody {
        version: KONG_VERSION,
        edition: "community",
        tagline: "Welcome to kong",
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        node_id: &app.node_id,
        plugins: json!({ "available_on_server": {}, "enabled_in_cluster": [] }),
        configuration: json!({ "database": app.database() }),
        hook_keys: json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") }),
    };
    show(&app, &request, body(&node)?).await
}
