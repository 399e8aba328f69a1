//! Failures get their status here, in one match.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use super::Api;
use crate::app::Readiness;
use crate::error::{Error, Kind, Refusal};

/// Why a request failed: a service's error, or something about HTTP itself.
#[derive(Debug)]
pub enum Failure {
    /// A service refused or failed.
    Service(Error),
    /// An OAuth access token, which nothing here issues.
    InvalidBearer,
    /// No route has this path.
    UnknownPath,
    /// The path's routes have other methods: the value of `Allow` (RFC 9110 §15.5.6).
    WrongMethod(String),
    /// The request's media type is none that the API takes.
    WrongContentType,
    /// The caller accepts no JSON.
    NotAcceptable,
    /// The body is not well-formed JSON of the expected shape.
    Malformed,
    /// The body or the query is not well-formed. One sentence that says in what way.
    Unreadable(String),
    /// The body is larger than so many bytes.
    BodyTooLarge(usize),
    /// The body did not arrive in time.
    BodyTooSlow,
    /// A body is needed and none was announced.
    LengthRequired,
    /// Requests are not worth sending here now.
    NotReady(Box<Readiness>),
    /// Requests are not worth sending here any more.
    Stopping,
    /// The request line and the headers are larger than so many bytes.
    HeadTooLarge(usize),
    /// The JSON of the body is nested deeper than so many levels.
    TooDeep(usize),
    /// The framework refused the request with this status before a handler saw it.
    Framework(StatusCode),
}

impl Failure {
    /// The status in an API.
    #[must_use]
    pub fn status(&self, api: Api) -> StatusCode {
        match self {
            Self::Service(error) => match error.kind() {
                Kind::Refused(refusal) => match **refusal {
                    Refusal::NameTaken(_) | Refusal::KidTaken { .. } => StatusCode::CONFLICT,
                    Refusal::NoEntityOfId(_) | Refusal::NoEntityOfName(_) => StatusCode::NOT_FOUND,
                    _ => StatusCode::BAD_REQUEST,
                },
                Kind::Invalid { .. } | Kind::Upstream { .. } => StatusCode::BAD_REQUEST,
                Kind::NotFound { .. } => StatusCode::NOT_FOUND,
                Kind::NoCredentials if api == Api::Kong => StatusCode::UNAUTHORIZED,
                Kind::NoCredentials | Kind::NotPermitted => StatusCode::FORBIDDEN,
                Kind::BadCredentials => StatusCode::UNAUTHORIZED,
                Kind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
                Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                Kind::Setup(_) | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::InvalidBearer => StatusCode::UNAUTHORIZED,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::WrongMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::WrongContentType if api == Api::Kong => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::WrongContentType
            | Self::NotAcceptable
            | Self::Malformed
            | Self::TooDeep(_)
            | Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::LengthRequired => StatusCode::LENGTH_REQUIRED,
            Self::HeadTooLarge(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::NotReady(_) | Self::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            Self::Framework(status) => *status,
        }
    }

    /// What belongs in the log only.
    #[must_use]
    pub fn private(&self) -> Option<&str> {
        match self {
            Self::Service(error) => error.private(),
            _ => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Service(error)
    }
}

/// As the log and the audit trail have it.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(error) => error.fmt(f),
            Self::InvalidBearer => f.write_str("access tokens of OAuth are not issued here"),
            Self::UnknownPath => f.write_str("no route has the path"),
            Self::WrongMethod(allowed) => write!(f, "the path takes {allowed} only"),
            Self::WrongContentType => f.write_str("the body is of a media type that is not taken"),
            Self::NotAcceptable => f.write_str("the caller accepts no JSON"),
            Self::Malformed => f.write_str("the body is not well-formed JSON of the expected form"),
            Self::Unreadable(problem) => f.write_str(problem),
            Self::BodyTooLarge(most) => write!(f, "the body is larger than {most} bytes"),
            Self::BodyTooSlow => f.write_str("the body did not arrive in time"),
            Self::LengthRequired => f.write_str("a body is needed, and none was announced"),
            Self::NotReady(_) => f.write_str("the server is not ready"),
            Self::Stopping => f.write_str("the server is stopping"),
            Self::HeadTooLarge(most) => {
                write!(f, "the request line and the headers are larger than {most} bytes")
            }
            Self::TooDeep(levels) => write!(f, "the JSON of the body is nested deeper than {levels} levels"),
            Self::Framework(status) => write!(f, "refused with {} before it was looked at", status.as_u16()),
        }
    }
}

impl ResponseError for Failure {
    /// Without a body, and of no account: `observe` renders the answer, as the API that was called has it.
    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The handler of paths that no route has.
pub async fn unknown_path() -> Result<HttpResponse, Failure> {
    Err(Failure::UnknownPath)
}
