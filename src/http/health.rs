//! What load balancers and supervisors ask, without a token.

use actix_web::{HttpRequest, web};
use serde::Serialize;

use super::error::Failure;
use super::kong;
use super::representation::{Shown, show};
use crate::app::App;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `GET /healthz`: the process answers. Whether it can do its work is another question.
pub async fn live(app: web::Data<App>, request: HttpRequest) -> Shown {
    answer(&app, &request, "alive").await
}

/// `GET /readyz`: whether requests are worth sending here.
pub async fn ready(app: web::Data<App>, request: HttpRequest) -> Shown {
    if app.is_stopping() {
        return Err(Failure::Stopping);
    }
    if app.is_ready() { answer(&app, &request, "ready").await } else { Err(Failure::NotReady) }
}

async fn answer(app: &App, request: &HttpRequest, status: &'static str) -> Shown {
    show(app, request, kong::body(&Health { status })?).await
}
