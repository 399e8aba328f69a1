//! What the audit trail needs of HTTP: who acts, and the row of a write that was refused.

use std::sync::Arc;

use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::{HttpMessage, HttpRequest};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::address::client_address;
use super::error::Failure;
use crate::app::App;
use crate::domain::audit::{
    Actor, Event, EventType, HOOK_KEY, INLINE_HOOK, KEY, KEY_SET, Origin, Target, Who,
};
use crate::domain::ids::{EntityId, HookKeyId, InlineHookId, RequestId};
use crate::error::Kind;
use crate::service::{Audit, Caller, Tasks};

/// Who acts by this request.
pub(super) fn actor(app: &App, request: &HttpRequest, caller: &Caller) -> Actor {
    let id = request.extensions().get::<RequestId>().copied();
    let origin = Origin {
        who: Who::Token { id: caller.id.to_string(), name: caller.name.clone() },
        address: client_address(request),
        request_id: id.map(|id| id.to_string()),
        at: app.audit.clock.now(),
        seed: id.unwrap_or_default().bytes(),
    };
    Actor { org: caller.org.clone(), origin: Arc::new(origin) }
}

/// Adds the row of a write that was refused or has failed, if the answer is one and its caller is known. Nearly always
/// there is nothing to wait for, and no room is kept for it.
pub(super) fn refusal(app: &App, response: &ServiceResponse) -> Option<LocalBoxFuture<'static, ()>> {
    let (request, status) = (response.request(), response.status());
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let error = response.response().error();
    let failure = error.and_then(actix_web::Error::as_error::<Failure>);
    if failure.is_none() && !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let kind = match failure {
        Some(Failure::Service(error)) => Some(error.kind()),
        _ => None,
    };
    // A call that was made has its row already. Who comes too often must not have the database write as often.
    if matches!(kind, Some(Kind::Upstream { .. } | Kind::TooManyRequests)) {
        return None;
    }
    let caller = request.extensions().get::<Caller>().cloned()?;
    let event = event_of(request.method(), &request.match_pattern()?)?;
    let reason = failure.map_or_else(|| Failure::Framework(status).to_string(), Failure::to_string);
    let event = actor(app, request, &caller).failed(event, targets(request), &reason);
    // It is tried, but the caller does not wait a second time for a database that does not answer.
    let away = matches!(kind, Some(Kind::Unavailable));
    Some(record(app.audit.clone(), app.tasks.clone(), event, away).boxed_local())
}

/// In a task of its own: a caller who hangs up now does not take the row along.
async fn record(audit: Audit, tasks: Tasks, event: Event, away: bool) {
    let work = tasks.run(async move {
        let id = event.id.clone();
        if let Err(error) = audit.record(event).await {
            tracing::error!(event = id, cause = error.private(), "a refusal is missing in the audit trail");
        }
        Ok(())
    });
    if away {
        drop(Box::pin(work).as_mut().now_or_never());
    } else {
        drop(work.await);
    }
}

/// What a request would have done. A trial of an entity does nothing.
fn event_of(method: &Method, pattern: &str) -> Option<EventType> {
    let path = pattern.strip_suffix('/').unwrap_or(pattern);
    let [made, changed, deleted] = match path {
        "/api/v1/hook-keys" | "/api/v1/hook-keys/{id}" => {
            [EventType::HookKeyCreated, EventType::HookKeyUpdated, EventType::HookKeyDeleted]
        }
        "/api/v1/inlineHooks" => [EventType::InlineHookCreated; 3],
        "/api/v1/inlineHooks/{id}" => {
            [EventType::InlineHookUpdated, EventType::InlineHookUpdated, EventType::InlineHookDeleted]
        }
        "/api/v1/inlineHooks/{id}/lifecycle/activate" => [EventType::InlineHookActivated; 3],
        "/api/v1/inlineHooks/{id}/lifecycle/deactivate" => [EventType::InlineHookDeactivated; 3],
        "/api/v1/inlineHooks/{id}/execute" => [EventType::InlineHookExecuted; 3],
        "/key-sets" | "/key-sets/{set}" | "/keys/{key}/set" => {
            [EventType::KeySetCreated, EventType::KeySetUpdated, EventType::KeySetDeleted]
        }
        "/key-sets/{set}/keys" | "/key-sets/{set}/keys/{key}" | "/keys" | "/keys/{key}" => {
            [EventType::KeyCreated, EventType::KeyUpdated, EventType::KeyDeleted]
        }
        _ => return None,
    };
    Some(match *method {
        Method::POST => made,
        Method::DELETE => deleted,
        _ => changed,
    })
}

/// What the path names by an id. Other names stay out: they may be anything.
fn targets(request: &HttpRequest) -> Vec<Target> {
    let named = request.match_info();
    let entity = |name| named.get(name).and_then(EntityId::parse).map(|id| id.to_string());
    let id = named.get("id").unwrap_or_default();
    let hook_key = HookKeyId::parse(id).map(|id| id.to_string());
    let hook = InlineHookId::parse(id).map(|id| id.to_string());
    let all = [(KEY, entity("key")), (KEY_SET, entity("set")), (HOOK_KEY, hook_key), (INLINE_HOOK, hook)];
    all.into_iter().filter_map(|(kind, id)| Some(Target::bare(kind, id?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    #[test]
    fn every_write_of_the_route_table_has_an_event() {
        for endpoint in routes::table() {
            let is_write = !matches!(endpoint.method, Method::GET) && !endpoint.path.starts_with("/schemas/");
            let event = event_of(&endpoint.method, endpoint.path);
            assert!(!is_write || event.is_some(), "{} {}", endpoint.method, endpoint.path);
        }
        assert_eq!(event_of(&Method::POST, "/schemas/{entity}/validate"), None);
    }
}
