//! What load balancers and supervisors ask, without a token.

use actix_web::{HttpRequest, web};
use serde::Serialize;

use super::error::Failure;
use super::kong;
use super::representation::{Shown, show};
use crate::app::{App, Readiness};

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
}

/// Every check by its name. Only the first two decide whether the node is ready.
#[derive(Serialize)]
pub(super) struct Checks {
    database: Check,
    refresher: Check,
    keyring: Check,
    pool: Check,
}

#[derive(Serialize)]
struct Check {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<&Readiness> for Checks {
    fn from(readiness: &Readiness) -> Self {
        let check = |problem: &Option<String>| Check {
            status: if problem.is_none() { "ok" } else { "failing" },
            reason: problem.clone(),
        };
        Self {
            database: check(&readiness.database),
            refresher: check(&readiness.refresher),
            keyring: check(&readiness.keyring),
            pool: check(&readiness.pool),
        }
    }
}

/// `GET /healthz`: the process answers. Whether it can do its work is another question.
pub async fn live(app: web::Data<App>, request: HttpRequest) -> Shown {
    answer(&app, &request, Health { status: "alive", checks: None }).await
}

/// `GET /readyz`: whether requests are worth sending here, and if not, why.
pub async fn ready(app: web::Data<App>, request: HttpRequest) -> Shown {
    if app.is_stopping() {
        return Err(Failure::Stopping);
    }
    let readiness = app.readiness();
    if !readiness.is_ready() {
        return Err(Failure::NotReady(Box::new(readiness)));
    }
    answer(&app, &request, Health { status: "ready", checks: Some((&readiness).into()) }).await
}

async fn answer(app: &App, request: &HttpRequest, health: Health) -> Shown {
    show(app, request, kong::body(&health)?).await
}
