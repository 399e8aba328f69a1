//! Calls to external services. The only module that makes HTTP calls.
//!
//! Where a call may go is decided by [`policy`] on the very addresses that are then connected to: a name is
//! resolved once, inside the connection, so an answer that changes afterwards changes nothing. No proxy is
//! used and no redirect followed, so no other party chooses where a call goes.

pub mod policy;
pub mod resolve;
pub mod token;

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::domain::secret::Secret;
use crate::error::{Error, Result, Upstream};
use policy::Policy;
use resolve::{Guard, Lookup, Refused, Unresolved};

/// Most bytes of an answer that are read (contract §6: under 256 KB).
pub const ANSWER_LIMIT: usize = 256 * 1024;

/// How long an idle connection is kept: less than servers keep theirs, so that a call seldom meets one that
/// is just being closed.
const IDLE: Duration = Duration::from_secs(3);

/// Makes calls. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    https: reqwest::Client,
    http: reqwest::Client,
    policy: Arc<Policy>,
}

/// Certificates to trust beside the system's.
pub struct Roots(Vec<reqwest::Certificate>);

impl Roots {
    /// Reads the certificates of a file in PEM form.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let pem = std::fs::read(path)
            .map_err(|error| Error::setup(format!("outbound.ca_file: {shown} cannot be read: {error}")))?;
        let roots = reqwest::Certificate::from_pem_bundle(&pem).ok().filter(|roots| !roots.is_empty());
        roots.map(Self).ok_or_else(|| {
            Error::setup(format!("outbound.ca_file: {shown} holds no certificate in PEM form"))
        })
    }
}

/// A call to make: always POST, always asking for JSON.
pub struct Call<'a> {
    /// Where.
    pub url: &'a str,
    /// The media type of the body.
    pub content_type: &'static str,
    /// Headers beside those of the call itself.
    pub headers: Vec<(&'a str, Secret)>,
    /// The body.
    pub body: Bytes,
    /// When the answer must be there.
    pub deadline: Instant,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The body, at most [`ANSWER_LIMIT`] bytes.
    pub body: Vec<u8>,
}

/// Why there is no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// How the service failed.
    pub failure: Upstream,
    /// What happened, for the caller: it holds no secret. Empty for [`Upstream::Silent`].
    pub text: String,
    /// Whether another attempt may help: after a time-out or a status of 5xx (contract §6).
    pub transient: bool,
}

impl Fault {
    /// It could not be reached.
    pub fn unreachable(text: impl Into<String>) -> Self {
        Self { failure: Upstream::Unreachable, text: text.into(), transient: false }
    }

    /// It answered with what cannot be used.
    pub fn bad_answer(text: impl Into<String>) -> Self {
        Self { failure: Upstream::BadAnswer, text: text.into(), transient: false }
    }

    /// It answered with a status that is no success; `who` begins the sentence.
    #[must_use]
    pub fn status(who: &str, status: u16, more: &str) -> Self {
        let text = format!("{who} answered with status {status}{more}");
        Self { failure: Upstream::BadAnswer, text, transient: status >= 500 }
    }

    /// It did not answer in time.
    #[must_use]
    pub fn silent() -> Self {
        Self { failure: Upstream::Silent, text: String::new(), transient: true }
    }
}

impl Outbound {
    /// Prepares calls under `policy`.
    pub fn new(policy: Policy, extra_roots: Option<&Roots>, lookup: &Arc<dyn Lookup>) -> Result<Self> {
        let policy = Arc::new(policy);
        let roots = extra_roots.map(|roots| roots.0.clone()).unwrap_or_default();
        let builder = |plain_http| {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .pool_idle_timeout(IDLE)
                .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Guard { policy: Arc::clone(&policy), plain_http, lookup: Arc::clone(lookup) })
        };
        let trusting = |plain_http| {
            builder(plain_http).tls_certs_merge(roots.clone()).build().or_else(|error| {
                // A machine without root certificates can still serve; its hooks need outbound.ca_file.
                tracing::warn!(%error, "the system's root certificates cannot be used");
                builder(plain_http).tls_certs_only(roots.clone()).build()
            })
        };
        let client = |plain_http| {
            trusting(plain_http).map_err(|error| Error::internal("preparing outbound calls", error))
        };
        Ok(Self { https: client(false)?, http: client(true)?, policy })
    }

    /// Makes a call and reads the whole answer.
    pub async fn post(&self, call: Call<'_>) -> Result<Reply, Fault> {
        let url = Url::parse(call.url).map_err(|_| Fault::unreachable("The address is not a URL"))?;
        let plain_http = url.scheme() == "http";
        self.policy.judge_url(&url).map_err(Fault::unreachable)?;
        let client = if plain_http { &self.http } else { &self.https };
        let request = client.post(url).headers(headers(&call)?).body(call.body);
        timeout_at(call.deadline, async {
            let response = request.send().await.map_err(|error| explain(&error))?;
            read(response).await
        })
        .await
        .unwrap_or(Err(Fault::silent()))
    }
}

fn headers(call: &Call<'_>) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(call.content_type));
    for (name, value) in &call.headers {
        let unsendable =
            || Fault::unreachable(format!("The header {name:?} cannot be sent: HTTP does not allow it"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable())?;
        let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| unsendable())?;
        value.set_sensitive(true);
        headers.try_append(key, value).map_err(|_| Fault::unreachable("The headers are too many"))?;
    }
    Ok(headers)
}

async fn read(mut response: reqwest::Response) -> Result<Reply, Fault> {
    let too_large = || Fault::bad_answer(format!("The answer is larger than {ANSWER_LIMIT} bytes"));
    if response.content_length().is_some_and(|length| length > ANSWER_LIMIT as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| explain(&error))? {
        if body.len() + chunk.len() > ANSWER_LIMIT {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status: response.status().as_u16(), body })
}

/// Finds the cause that helps the caller. The client's own texts name URLs, which may hold secrets.
fn explain(error: &reqwest::Error) -> Fault {
    if error.is_timeout() {
        return Fault::silent();
    }
    let causes = || std::iter::successors(error.source(), |cause| inner(*cause));
    for cause in causes() {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return Fault::unreachable(refused.to_string());
        }
        if let Some(unresolved) = cause.downcast_ref::<Unresolved>() {
            return Fault::unreachable(unresolved.to_string());
        }
    }
    let kind = causes().filter_map(|cause| cause.downcast_ref::<io::Error>()).last().map(io::Error::kind);
    let last = causes().last().map_or_else(String::new, |cause| format!(": {cause}"));
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => Fault::unreachable("The connection was refused"),
        // What rustls has against a peer comes wrapped as invalid data.
        Some(io::ErrorKind::InvalidData) if error.is_connect() => {
            Fault::unreachable(format!("The TLS handshake failed{last}"))
        }
        _ if error.is_connect() => Fault::unreachable(format!("The connection failed{last}")),
        Some(_) => Fault::unreachable(format!("The connection broke{last}")),
        None if causes().any(is_cut_short) => Fault::unreachable(format!("The connection broke{last}")),
        None => Fault::bad_answer(format!("The answer is not HTTP as it should be{last}")),
    }
}

fn is_cut_short(cause: &(dyn StdError + 'static)) -> bool {
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
}

/// The next cause. An I/O error that wraps another error skips it when asked for its source.
fn inner<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.map(|wrapped| wrapped as &(dyn StdError + 'static)).or_else(|| cause.source())
}
