//! Okta's error envelope (contract §2, §3).

use serde::Serialize;

use crate::error::{Kind, Upstream};
use crate::http::error::Failure;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the members are Okta's")]
struct Envelope<'a> {
    error_code: &'static str,
    error_summary: String,
    error_link: &'static str,
    error_id: &'a str,
    error_causes: Vec<Cause>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cause {
    error_summary: String,
}

/// The body of a failure.
#[must_use]
pub fn body(failure: &Failure, error_id: &str) -> String {
    let (error_code, error_summary, causes) = texts(failure);
    let error_causes = causes.into_iter().map(|error_summary| Cause { error_summary }).collect();
    let envelope = Envelope { error_code, error_summary, error_link: error_code, error_id, error_causes };
    serde_json::to_string(&envelope).unwrap_or_default()
}

/// Code, summary and causes. Codes are stable for clients, texts are not.
fn texts(failure: &Failure) -> (&'static str, String, Vec<String>) {
    let plain = |code, summary: &str| (code, summary.to_owned(), Vec::new());
    let too_much = |cause| ("E0000003", MALFORMED.to_owned(), vec![cause]);
    match failure {
        Failure::Service(error) => match error.kind() {
            Kind::Invalid { subject, causes } => {
                ("E0000001", format!("Api validation failed: {subject}"), causes.clone())
            }
            // The services of this API have no such refusals.
            Kind::Refused(refusal) => {
                ("E0000001", "Api validation failed".to_owned(), vec![refusal.to_string()])
            }
            Kind::NotFound { resource, id } => {
                plain("E0000007", &format!("Not found: Resource not found: {id} ({resource})"))
            }
            Kind::Upstream { failure, cause } => {
                let (code, summary) = match failure {
                    Upstream::Unreachable => ("E0000134", "The inline hook could not be reached"),
                    Upstream::BadAnswer => ("E0000135", "The inline hook answered with an error"),
                    Upstream::Silent => ("E0000137", "The inline hook did not answer in time"),
                };
                (code, summary.to_owned(), vec![cause.clone()])
            }
            Kind::NoCredentials => plain("E0000005", "Invalid session"),
            Kind::BadCredentials => plain("E0000011", "Invalid token provided"),
            Kind::TooManyRequests => {
                plain("E0000047", "API call exceeded rate limit due to too many requests.")
            }
            Kind::NotPermitted => {
                plain("E0000006", "You do not have permission to perform the requested action")
            }
            Kind::Unavailable => plain(UNAVAILABLE.0, UNAVAILABLE.1),
            Kind::Setup(_) | Kind::Internal => plain("E0000009", "Internal Server Error"),
        },
        Failure::InvalidBearer => plain("E0000011", "Invalid token provided"),
        Failure::UnknownPath => plain("E0000008", "The requested path was not found"),
        Failure::WrongMethod(_) => {
            plain("E0000022", "The endpoint does not support the provided HTTP method")
        }
        Failure::WrongContentType => plain(
            "E0000021",
            "Bad request.  Accept and/or Content-Type headers likely do not match supported values.",
        ),
        Failure::NotAcceptable => plain(
            "E0000019",
            "Bad request. Accept and/or Content-Type headers likely do not match supported values.",
        ),
        Failure::Malformed => plain("E0000003", MALFORMED),
        Failure::Unreadable(problem) => ("E0000003", MALFORMED.to_owned(), vec![problem.clone()]),
        Failure::BodyTooLarge(most) => {
            too_much(format!("body: The body must not be larger than {most} bytes"))
        }
        Failure::HeadTooLarge(most) => too_much(format!(
            "headers: The request line and the headers must not be larger than {most} bytes"
        )),
        Failure::TooDeep(most) => {
            too_much(format!("body: The JSON must not be nested more than {most} levels deep"))
        }
        Failure::BodyTooSlow => {
            ("E0000003", MALFORMED.to_owned(), vec!["body: The body did not arrive in time".to_owned()])
        }
        Failure::LengthRequired => (
            "E0000003",
            MALFORMED.to_owned(),
            vec!["body: Send a JSON body with a Content-Length".to_owned()],
        ),
        Failure::NotReady(_) | Failure::Stopping => plain(UNAVAILABLE.0, UNAVAILABLE.1),
        Failure::Framework(status) if status.is_client_error() => plain("E0000003", MALFORMED),
        Failure::Framework(_) => plain("E0000009", "Internal Server Error"),
    }
}

/// The code of Okta's catalogue for status 503.
const UNAVAILABLE: (&str, &str) = ("E0000010", "Service is in read only mode");

const MALFORMED: &str = "The request body was not well-formed.";
