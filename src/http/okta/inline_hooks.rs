//! `/api/v1/inlineHooks` (contract §5, §6).

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::wire::inline_hooks::{InlineHookBody, Members, draft, patched};
use super::{Answer, base_url, json, parameter};
use crate::app::App;
use crate::cache::{self, Topic};
use crate::domain::ids::InlineHookId;
use crate::domain::inline_hook::{HookStatus, HookType, InlineHook, RESOURCE};
use crate::error::Error;
use crate::http::error::Failure;
use crate::http::extract::{Authed, Body, InlineHooksManage, InlineHooksRead, JSON, query};
use crate::http::representation::{Shown, remembered, text};

/// `GET /`: all hooks in creation order, or those of `?type=`.
pub async fn list(authed: Authed<InlineHooksRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let (org, base) = (&authed.caller.org, &base_url(&app, &request));
    let make = async || {
        let query = query(&request, "type");
        let kind = query.as_deref().map(HookType::parse).transpose()?;
        let hooks = app.inline_hooks.list(org, kind).await?;
        let bodies: Vec<_> = hooks.iter().map(|hook| InlineHookBody::new(hook, base)).collect();
        body(&hooks, &bodies)
    };
    remembered(&app, &request, org, base, make).await
}

/// `POST /`: makes a hook, ACTIVE from birth.
pub async fn create(
    authed: Authed<InlineHooksManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let draft = draft(&body.object::<Members>().await?, app.allow_http)?;
    let hook = app.inline_hooks.create(&authed.actor(&app), draft).await?;
    Ok(rendered(&app, &request, &hook))
}

/// `GET /{id}`: the hook.
pub async fn get(authed: Authed<InlineHooksRead>, app: web::Data<App>, request: HttpRequest) -> Shown {
    let (org, base) = (&authed.caller.org, &base_url(&app, &request));
    let make = async || {
        let hook = app.inline_hooks.find(org, hook_id(&request)?).await?;
        body(std::slice::from_ref(&hook), &InlineHookBody::new(&hook, base))
    };
    remembered(&app, &request, org, base, make).await
}

/// `PUT /{id}`: replaces all that its owner decides; the status stays.
pub async fn replace(
    authed: Authed<InlineHooksManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let id = hook_id(&request)?;
    let draft = draft(&body.object::<Members>().await?, app.allow_http)?;
    let hook = app.inline_hooks.change(&authed.actor(&app), id, move |_| Ok(draft.clone())).await?;
    Ok(rendered(&app, &request, &hook))
}

/// `POST /{id}`: changes what the body names.
pub async fn update(
    authed: Authed<InlineHooksManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let id = hook_id(&request)?;
    let (patch, allow_http) = (body.object::<Members>().await?, app.allow_http);
    let edit = move |hook: &InlineHook| patched(hook, &patch, allow_http);
    let hook = app.inline_hooks.change(&authed.actor(&app), id, edit).await?;
    Ok(rendered(&app, &request, &hook))
}

/// `DELETE /{id}`: deletes a hook that is inactive.
pub async fn delete(authed: Authed<InlineHooksManage>, app: web::Data<App>, request: HttpRequest) -> Answer {
    app.inline_hooks.delete(&authed.actor(&app), hook_id(&request)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /{id}/lifecycle/activate`: lets the hook be called. Repeating it changes nothing.
pub async fn activate(
    authed: Authed<InlineHooksManage>,
    app: web::Data<App>,
    request: HttpRequest,
) -> Answer {
    set_status(&authed, &app, &request, HookStatus::Active).await
}

/// `POST /{id}/lifecycle/deactivate`: keeps the hook from being called. Repeating it changes nothing.
pub async fn deactivate(
    authed: Authed<InlineHooksManage>,
    app: web::Data<App>,
    request: HttpRequest,
) -> Answer {
    set_status(&authed, &app, &request, HookStatus::Inactive).await
}

async fn set_status(
    authed: &Authed<InlineHooksManage>,
    app: &App,
    request: &HttpRequest,
    status: HookStatus,
) -> Answer {
    let hook = app.inline_hooks.set_status(&authed.actor(app), hook_id(request)?, status).await?;
    Ok(rendered(app, request, &hook))
}

/// `POST /{id}/execute`: calls the hook with the body and answers what the service answered.
pub async fn execute(
    authed: Authed<InlineHooksManage>,
    app: web::Data<App>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let id = hook_id(&request)?;
    let place = app.execute.place().await?;
    let answer = app.execute.execute(place, &authed.actor(&app), id, body.verbatim().await?).await?;
    Ok(HttpResponse::Ok().content_type(JSON).body(answer))
}

/// The body of an answer that shows these hooks. Their headers are sealed at rest.
fn body(hooks: &[InlineHook], shown: &impl Serialize) -> Result<(Topic, cache::Body), Failure> {
    let text = text(shown)?;
    let private = hooks.iter().any(|hook| !hook.channel.headers.is_empty());
    let body = if private { cache::Body::private(JSON, &text) } else { cache::Body::new(JSON, &text) };
    Ok((Topic::InlineHooks, body))
}

fn rendered(app: &App, request: &HttpRequest, hook: &InlineHook) -> HttpResponse {
    json(&InlineHookBody::new(hook, &base_url(app, request)))
}

/// An id of another form is the id of nothing.
fn hook_id(request: &HttpRequest) -> Result<InlineHookId, Error> {
    let segment = parameter(request, "id");
    InlineHookId::parse(segment).ok_or_else(|| Error::not_found(RESOURCE, segment))
}
