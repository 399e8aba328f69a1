//! What load balancers and supervisors ask, without a token.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::error::Failure;
use super::kong;
use crate::app::App;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `GET /healthz`: the process answers. Whether it can do its work is another question.
pub async fn live() -> HttpResponse {
    answer("alive")
}

/// `GET /readyz`: whether requests are worth sending here.
pub async fn ready(app: web::Data<App>) -> Result<HttpResponse, Failure> {
    if app.is_ready() { Ok(answer("ready")) } else { Err(Failure::NotReady) }
}

fn answer(status: &'static str) -> HttpResponse {
    let body = serde_json::to_string(&Health { status }).unwrap_or_default();
    HttpResponse::Ok().content_type(kong::JSON).body(body)
}
