//! Around every request: a request id, the answer's common headers, the body of a failure, one log line.

use std::cell::RefCell;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::{HttpMessage, HttpResponse, web};
use futures_util::FutureExt;

use super::address::client_address;
use super::connection::UnderWay;
use super::error::Failure;
use super::extract::JSON;
use super::quota::put_quota;
use super::routes::Pattern;
use super::{Api, audit, kong, okta};
use crate::app::App;
use crate::domain::ids::RequestId;
use crate::domain::window::Quota;
use crate::domain::{Entropy, ids};
use crate::error::Error;
use crate::metrics::{self, Observer, Series};
use crate::service::Caller;

/// What is asked about the node itself.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// What stands for the route where none has the path, and where the handler took down what it was.
const UNMATCHED: &str = "unmatched";
const PANICKED: &str = "panicked";

/// How many characters of a reason are logged: one request must not fill the log.
const LONGEST_REASON: usize = 1024;

/// Where an answer carries the id of its request.
const OKTA_REQUEST_ID: HeaderName = HeaderName::from_static("x-okta-request-id");
const KONG_REQUEST_ID: HeaderName = HeaderName::from_static("x-kong-request-id");

/// How long the answer took, in milliseconds (Kong contract §1).
const KONG_LATENCY: HeaderName = HeaderName::from_static("x-kong-admin-latency");

/// What every answer carries (Okta contract §1, recorded).
const COMMON: [(HeaderName, HeaderValue); 6] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
    (header::EXPIRES, HeaderValue::from_static("0")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::VARY, HeaderValue::from_static("Accept-Encoding")),
];

/// What every answer over TLS carries too. Okta's value has `includeSubDomains`, which is not for a service to say whose
/// domain it does not own (RFC 6797 §14.4).
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=315360000");

/// The middleware; see the module. A function of the service, and not of `Next`, which would box each call of it.
pub fn observe<S, B>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse, actix_web::Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody + 'static,
{
    let begun = Exchange::begin(&request).map(|exchange| {
        let most = exchange.app.limits.header_bytes;
        let answering =
            if head_fits(&request, most) { Ok(service.call(request)) } else { Err((request, most)) };
        (exchange, answering)
    });
    async move {
        let (exchange, answering) = begun?;
        let answering = match answering {
            Ok(answering) => answering,
            Err((request, most)) => {
                return Ok(request.into_response(exchange.answer(&Failure::HeadTooLarge(most), None)));
            }
        };
        // A handler that panics must not take down the connection with the other requests on it.
        match AssertUnwindSafe(answering).catch_unwind().await {
            Ok(response) => {
                let response = response?.map_into_boxed_body();
                if let Some(refusal) = audit::refusal(&exchange.app, &response) {
                    refusal.await;
                }
                Ok(exchange.end(response))
            }
            Err(_) => Err(exchange.fault()),
        }
    }
}

/// One request and its answer.
struct Exchange {
    app: web::Data<App>,
    api: Api,
    request_id: RequestId,
    method: Method,
    path: String,
    address: Option<IpAddr>,
    started: Instant,
    /// Ends with the exchange.
    _under_way: Option<UnderWay>,
    observed: Option<(Observer, metrics::UnderWay)>,
    /// The path of the route, as soon as it is known.
    route: &'static str,
}

impl Exchange {
    fn begin(request: &ServiceRequest) -> Result<Self, Failure> {
        let app: &web::Data<App> =
            request.app_data().ok_or_else(|| Error::internal("observing a request", "there is no App"))?;
        let request_id = RequestId::new(random(&*app.entropy)?);
        // For the audit trail.
        request.extensions_mut().insert(request_id);
        Ok(Self {
            request_id,
            app: app.clone(),
            api: Api::of(request.path()),
            method: request.method().clone(),
            path: request.path().to_owned(),
            address: client_address(request.request()),
            started: Instant::now(),
            _under_way: request.conn_data().map(UnderWay::begin),
            observed: request.app_data::<Option<Observer>>().cloned().flatten().map(|observer| {
                let under_way = observer.begin();
                (observer, under_way)
            }),
            route: PANICKED,
        })
    }

    fn end(mut self, mut response: ServiceResponse) -> ServiceResponse {
        let status = response.status();
        self.route = response.request().app_data::<Pattern>().map_or(UNMATCHED, |pattern| pattern.0);
        let framework = Failure::Framework(status);
        let failure = response.response().error().and_then(actix_web::Error::as_error::<Failure>);
        let failure = failure.or_else(|| is_failure(status).then_some(&framework));
        let (caller, quota) = {
            let noted = response.request().extensions();
            (noted.get::<Caller>().cloned(), noted.get::<Quota>().copied())
        };
        let quota = caller.as_ref().and_then(Caller::quota).or(quota);
        if let Some(failure) = failure {
            let answer = self.answer(failure, caller.as_ref());
            response = response.into_response(answer);
        } else {
            self.log(status, caller.as_ref(), None);
            self.put_headers(status, response.response_mut());
        }
        self.note(response.status());
        if let Some(quota) = quota {
            put_quota(self.api, response.status(), quota, response.headers_mut());
        }
        response
    }

    /// The answer to a request whose handler panicked. The request itself went down with the handler.
    fn fault(&self) -> actix_web::Error {
        let failure = Error::internal("handler", "it panicked; standard error has the message").into();
        self.note(StatusCode::INTERNAL_SERVER_ERROR);
        InternalError::from_response("panic", self.answer(&failure, None)).into()
    }

    /// For the metrics. Nothing of it is the caller's choice.
    fn note(&self, status: StatusCode) {
        if let Some((observer, _)) = &self.observed {
            let series = Series { route: self.route, method: known(&self.method), status: status.as_u16() };
            observer.note(series, self.started.elapsed());
        }
    }

    /// Renders and logs a failure, the one place that does either.
    fn answer(&self, failure: &Failure, caller: Option<&Caller>) -> HttpResponse {
        let status = failure.status(self.api);
        let error_id = ids::error_id(&*self.app.entropy).unwrap_or_default();
        self.log(status, caller, Some((failure, &error_id)));
        let mut answer = HttpResponse::build(status);
        if let Failure::WrongMethod(allow) = failure {
            answer.insert_header((header::ALLOW, allow.as_str()));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            answer.insert_header((header::RETRY_AFTER, "1"));
        }
        if self.api == Api::Okta && matches!(failure, Failure::InvalidBearer) {
            answer.insert_header((header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""));
        }
        let mut answer = match self.api {
            Api::Okta => answer.content_type(JSON).body(okta::error::body(failure, &error_id)),
            Api::Kong => match kong::error::body(failure, &self.method, caller) {
                Some(body) => answer.content_type(kong::JSON).body(body),
                None => answer.finish(),
            },
        };
        self.put_headers(status, &mut answer);
        answer
    }

    fn put_headers<B>(&self, status: StatusCode, answer: &mut HttpResponse<B>) {
        if self.app.is_stopping() {
            answer.head_mut().set_connection_type(ConnectionType::Close);
        }
        let headers = answer.headers_mut();
        if self.app.tls.is_some() {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, ONLY_TLS);
        }
        for (name, value) in COMMON {
            headers.insert(name, value);
        }
        let request_id = HeaderValue::from_str(self.request_id.encode(&mut [0; 32])).ok();
        match self.api {
            // Okta's 405 has none (contract §0.10, recorded).
            Api::Okta if status == StatusCode::METHOD_NOT_ALLOWED => {}
            Api::Okta => put(headers, OKTA_REQUEST_ID, request_id),
            Api::Kong => {
                let latency = HeaderValue::from_str(&self.started.elapsed().as_millis().to_string());
                put(headers, KONG_REQUEST_ID, request_id);
                put(headers, KONG_LATENCY, latency.ok());
                // Nobody is let in by a cookie, so a page that may read the answer has brought the token itself.
                put(headers, header::ACCESS_CONTROL_ALLOW_ORIGIN, Some(HeaderValue::from_static("*")));
            }
        }
    }

    /// One line a request. Never bodies, tokens or the query; Text is escaped where it is written.
    fn log(&self, status: StatusCode, caller: Option<&Caller>, failure: Option<(&Failure, &str)>) {
        let Self { request_id, method, path, started, route, .. } = self;
        let mut buffer = [0; 32];
        let request_id: &str = request_id.encode(&mut buffer);
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let method = method.as_str();
        let org = caller.map(|caller| caller.org.as_str());
        let token = caller.map(|caller| caller.id.as_str());
        let address = self.address.map(tracing::field::display);
        let status = status.as_u16();
        match failure {
            // Asked for by machines, again and again.
            _ if PROBES.contains(&path.as_str()) => {
                tracing::debug!(request_id, path, status, micros, "probed");
            }
            None => {
                tracing::info!(
                    request_id, method, route, path, status, micros, org, token, address, "answered"
                );
            }
            Some((failure, error_id)) => {
                let reason: String = failure.to_string().chars().take(LONGEST_REASON).collect();
                let cause = failure.private().unwrap_or(&reason);
                if status < 500 {
                    tracing::info!(
                        request_id, error_id, method, route, path, status, micros, org, token, address,
                        reason, "refused"
                    );
                } else {
                    tracing::error!(
                        request_id, error_id, method, route, path, status, micros, org, token, address,
                        cause, "failed"
                    );
                }
            }
        }
    }
}

/// Whether request line and headers keep to a limit, written as they were, with one blank after each colon.
fn head_fits(request: &ServiceRequest, most: usize) -> bool {
    let line = request.method().as_str().len()
        + request.head().uri.path_and_query().map_or(0, |it| it.as_str().len());
    let headers =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + "  HTTP/1.1\r\n\r\n".len() + headers.sum::<usize>() <= most
}

thread_local! {
    /// Random bytes that nobody has used yet.
    static RANDOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// 16 random bytes. One call of the system's source serves 64 requests.
fn random(entropy: &dyn Entropy) -> Result<[u8; 16], Error> {
    RANDOM.with_borrow_mut(|left| {
        if left.is_empty() {
            let mut drawn = vec![0; 64 * 16];
            entropy.fill(&mut drawn)?;
            *left = drawn;
        }
        let taken = left.split_last_chunk().map(|(rest, taken)| (rest.len(), *taken));
        let (rest, taken) = taken.ok_or_else(|| Error::internal("drawing a request id", "too few bytes"))?;
        left.truncate(rest);
        Ok(taken)
    })
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

/// The method's name, if it is one of those that anything is known of.
fn known(method: &Method) -> &'static str {
    let names = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    names.into_iter().find(|name| *name == method.as_str()).unwrap_or("other")
}

fn is_failure(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}
