//! The headers that tell a caller what is left of a rate limit, as each of the two APIs has them.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::Api;
use crate::domain::window::Quota;

/// Limit, rest, and end of the window in seconds since the epoch (Okta contract §1, recorded).
const OKTA: [HeaderName; 3] = [
    HeaderName::from_static("x-rate-limit-limit"),
    HeaderName::from_static("x-rate-limit-remaining"),
    HeaderName::from_static("x-rate-limit-reset"),
];

/// Limit, rest, and seconds to the end of the window, as Kong's plugin `rate-limiting` tells them.
const KONG: [HeaderName; 3] = [
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
];

/// Adds them to an answer.
pub(super) fn put_quota(api: Api, status: StatusCode, quota: Quota, headers: &mut HeaderMap) {
    let names = match api {
        // Python's SDK would wait for the end of the window after a fault of the server, too. Okta's 405 has none.
        Api::Okta if status.is_server_error() || status == StatusCode::METHOD_NOT_ALLOWED => return,
        Api::Okta => OKTA,
        Api::Kong => KONG,
    };
    let end = if api == Api::Okta { quota.reset } else { quota.wait };
    for (name, value) in names.into_iter().zip([quota.limit, quota.remaining, end]) {
        headers.insert(name, HeaderValue::from(value));
    }
    // Okta sends none (contract §7, recorded).
    if api == Api::Kong && status == StatusCode::TOO_MANY_REQUESTS {
        headers.insert(RETRY_AFTER, HeaderValue::from(quota.wait));
    }
}
