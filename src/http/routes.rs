//! The route table: every operation with its method, path, handler and permission, on one page.

use std::future::ready;
use std::sync::{Arc, LazyLock};

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Responder, Route, guard, web};

use super::error::Failure;
use super::extract::{Authed, Requirement};
use super::representation::{Shown, send};
use super::{Api, health, kong, okta};
use crate::app::App;
use crate::cache::Body;
use crate::domain::permission::Permission;

/// The contract, served as it is.
static OPENAPI: LazyLock<Arc<Body>> =
    LazyLock::new(|| Arc::new(Body::new("application/yaml", include_bytes!("../../openapi.yaml"))));

/// Every operation of the service.
#[must_use]
#[rustfmt::skip]
pub fn table() -> Vec<Endpoint> {
    use kong::{key_sets, keys, node, schemas, tags};
    use okta::{hook_keys, inline_hooks, logs};
    vec![
        guarded(Method::GET,    "/api/v1/hook-keys",                hook_keys::list),
        guarded(Method::POST,   "/api/v1/hook-keys",                hook_keys::create),
        guarded(Method::GET,    "/api/v1/hook-keys/{id}",           hook_keys::get),
        guarded(Method::PUT,    "/api/v1/hook-keys/{id}",           hook_keys::replace),
        guarded(Method::DELETE, "/api/v1/hook-keys/{id}",           hook_keys::delete),
        guarded(Method::GET,    "/api/v1/hook-keys/public/{keyId}", hook_keys::get_public),
        guarded(Method::GET,    "/api/v1/inlineHooks",              inline_hooks::list),
        guarded(Method::POST,   "/api/v1/inlineHooks",              inline_hooks::create),
        guarded(Method::GET,    "/api/v1/inlineHooks/{id}",         inline_hooks::get),
        guarded(Method::PUT,    "/api/v1/inlineHooks/{id}",         inline_hooks::replace),
        guarded(Method::POST,   "/api/v1/inlineHooks/{id}",         inline_hooks::update),
        guarded(Method::DELETE, "/api/v1/inlineHooks/{id}",         inline_hooks::delete),
        guarded(Method::POST,   "/api/v1/inlineHooks/{id}/lifecycle/activate",   inline_hooks::activate),
        guarded(Method::POST,   "/api/v1/inlineHooks/{id}/lifecycle/deactivate", inline_hooks::deactivate),
        guarded(Method::POST,   "/api/v1/inlineHooks/{id}/execute", inline_hooks::execute),
        guarded(Method::GET,    "/api/v1/logs",                     logs::list),
        guarded(Method::GET,    "/key-sets",                        key_sets::list),
        guarded(Method::POST,   "/key-sets",                        key_sets::create),
        guarded(Method::PUT,    "/key-sets",                        key_sets::put_by_name),
        guarded(Method::GET,    "/key-sets/{set}",                  key_sets::get),
        guarded(Method::PUT,    "/key-sets/{set}",                  key_sets::put),
        guarded(Method::PATCH,  "/key-sets/{set}",                  key_sets::patch),
        guarded(Method::DELETE, "/key-sets/{set}",                  key_sets::delete),
        guarded(Method::GET,    "/key-sets/{set}/keys",             keys::list),
        guarded(Method::POST,   "/key-sets/{set}/keys",             keys::create),
        guarded(Method::GET,    "/key-sets/{set}/keys/{key}",       keys::get),
        guarded(Method::PUT,    "/key-sets/{set}/keys/{key}",       keys::put),
        guarded(Method::PATCH,  "/key-sets/{set}/keys/{key}",       keys::patch),
        guarded(Method::DELETE, "/key-sets/{set}/keys/{key}",       keys::delete),
        guarded(Method::GET,    "/keys",                            keys::list),
        guarded(Method::POST,   "/keys",                            keys::create),
        guarded(Method::PUT,    "/keys",                            keys::put_by_name),
        guarded(Method::GET,    "/keys/{key}",                      keys::get),
        guarded(Method::PUT,    "/keys/{key}",                      keys::put),
        guarded(Method::PATCH,  "/keys/{key}",                      keys::patch),
        guarded(Method::DELETE, "/keys/{key}",                      keys::delete),
        guarded(Method::GET,    "/keys/{key}/set",                  key_sets::get_of_key),
        guarded(Method::PUT,    "/keys/{key}/set",                  key_sets::put_of_key),
        guarded(Method::PATCH,  "/keys/{key}/set",                  key_sets::patch_of_key),
        guarded(Method::GET,    "/tags",                            tags::list),
        guarded(Method::GET,    "/tags/{tag}",                      tags::list),
        guarded(Method::GET,    "/schemas/{entity}",                schemas::get),
        guarded(Method::POST,   "/schemas/{entity}/validate",       schemas::validate),
        guarded(Method::GET,    "/",                                node::get),
        guarded(Method::GET,    "/kong",                            node::get),
        open(   Method::GET,    "/healthz",                         health::live),
        open(   Method::GET,    "/readyz",                          health::ready),
        open(   Method::GET,    "/openapi.yaml",                    openapi),
    ]
}

/// One operation.
pub struct Endpoint {
    /// Its method. Where it is GET, HEAD is served too, without a body.
    pub method: Method,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// What the caller's token must allow; `None` when no token is needed.
    pub permission: Option<Permission>,
    route: Box<dyn Fn() -> Route>,
}

/// The path of the route that a request has taken, for whoever sees the request or its answer.
#[derive(Debug, Clone, Copy)]
pub struct Pattern(pub &'static str);

/// The arguments of a handler that begin with [`Authed`]. Only such a handler can be `guarded`, so the
/// table cannot name another permission than the handler checks, nor forget one.
pub trait Guarded {
    /// The permission of the first argument.
    const PERMISSION: Permission;
}

impl<P: Requirement> Guarded for (Authed<P>,) {
    const PERMISSION: Permission = P::PERMISSION;
}

impl<P: Requirement, A> Guarded for (Authed<P>, A) {
    const PERMISSION: Permission = P::PERMISSION;
}

impl<P: Requirement, A, B> Guarded for (Authed<P>, A, B) {
    const PERMISSION: Permission = P::PERMISSION;
}

impl<P: Requirement, A, B, C> Guarded for (Authed<P>, A, B, C) {
    const PERMISSION: Permission = P::PERMISSION;
}

fn guarded<F, Args>(method: Method, path: &'static str, handler: F) -> Endpoint
where
    F: Handler<Args>,
    Args: FromRequest + Guarded + 'static,
    F::Output: Responder + 'static,
{
    Endpoint { permission: Some(Args::PERMISSION), ..open(method, path, handler) }
}

fn open<F, Args>(method: Method, path: &'static str, handler: F) -> Endpoint
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let on = method.clone();
    let route = move || {
        let route = match on {
            Method::GET => Route::new().guard(guard::Any(guard::Get()).or(guard::Head())),
            _ => Route::new().method(on.clone()),
        };
        route.to(handler.clone())
    };
    Endpoint { method, path, permission: None, route: Box::new(route) }
}

/// Registers the table with the server. A known path with another method answers 405, but for OPTIONS on the Kong
/// side, which tells the methods.
pub fn configure(config: &mut web::ServiceConfig) {
    // In the order of the table, which has first what is asked for most: paths are tried one after the other.
    let mut by_path = Vec::<(&'static str, Vec<Endpoint>)>::new();
    for endpoint in table() {
        match by_path.iter_mut().find(|(path, _)| *path == endpoint.path) {
            Some((_, endpoints)) => endpoints.push(endpoint),
            None => by_path.push((endpoint.path, vec![endpoint])),
        }
    }
    for (path, endpoints) in by_path {
        let api = Api::of(path);
        let allow = allowed(api, &endpoints);
        let methods = allow.clone();
        let wrong_method = move |request: HttpRequest| {
            let unacceptable = (api == Api::Okta).then(|| okta::negotiate(&request).err()).flatten();
            let failure = unacceptable.unwrap_or_else(|| Failure::WrongMethod(allow.clone()));
            ready(Err::<HttpResponse, _>(failure))
        };
        // Kong takes a slash at the end for none (contract §1).
        let slash = (api == Api::Kong && path != "/").then(|| format!("{path}/"));
        let paths: Vec<_> = std::iter::once(path.to_owned()).chain(slash).collect();
        let resource = web::resource(paths).app_data(Pattern(path)).default_service(web::to(wrong_method));
        let resource =
            endpoints.iter().fold(resource, |resource, endpoint| resource.route((endpoint.route)()));
        match api {
            Api::Okta => config.service(resource),
            Api::Kong => {
                let options = Route::new().method(Method::OPTIONS).to(kong::options(methods));
                config.service(resource.route(options))
            }
        };
    }
}

/// The methods of a path: as the table has them, or sorted, as Kong tells them.
fn allowed(api: Api, endpoints: &[Endpoint]) -> String {
    let methods = endpoints.iter().flat_map(|endpoint| match endpoint.method {
        Method::GET => vec!["GET", "HEAD"],
        ref other => vec![other.as_str()],
    });
    let mut methods: Vec<_> = methods.collect();
    if api == Api::Kong {
        methods.push("OPTIONS");
        methods.sort_unstable();
    }
    methods.join(", ")
}

async fn openapi(app: web::Data<App>, request: HttpRequest) -> Shown {
    send(&app, &request, Arc::clone(&OPENAPI)).await
}
