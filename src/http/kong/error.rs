//! Kong's errors (contract §3).

use std::collections::BTreeMap;

use actix_web::http::Method;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::schemas::SCHEMA;
use crate::error::{Kind, Part, Refusal, Violations};
use crate::http::error::Failure;
use crate::http::health::Checks;
use crate::service::Caller;

#[derive(Serialize, Default)]
struct Body {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
}

/// The body of a failure of a request with `method`; `None` for an empty one.
#[must_use]
pub fn body(failure: &Failure, method: &Method, caller: Option<&Caller>) -> Option<String> {
    let plain = |message: &str| Body { message: message.to_owned(), ..Body::default() };
    let body = match failure {
        Failure::Service(error) => match error.kind() {
            Kind::Refused(refusal) => refused(refusal),
            Kind::Invalid { .. } | Kind::Upstream { .. } => plain(&error.to_string()),
            Kind::NotFound { resource: SCHEMA, id } => plain(&format!("No entity named '{id}'")),
            Kind::NotFound { .. } => plain("Not found"),
            Kind::NoCredentials | Kind::BadCredentials => plain(NO_CREDENTIALS),
            Kind::TooManyRequests => plain("API rate limit exceeded"),
            Kind::NotPermitted => {
                let who = caller.map(|caller| format!("{}, ", caller.id)).unwrap_or_default();
                plain(&format!("{who}you do not have permissions to {} this resource", verb(method)))
            }
            Kind::Unavailable => plain("Service unavailable: try again in a moment"),
            Kind::Setup(_) | Kind::Internal => plain(UNEXPECTED),
        },
        Failure::InvalidBearer => plain(NO_CREDENTIALS),
        Failure::UnknownPath => plain("Not found"),
        Failure::WrongMethod(_) => plain("Method not allowed"),
        Failure::WrongContentType => return None,
        Failure::Unreadable(problem) => plain(problem),
        Failure::Malformed | Failure::NotAcceptable | Failure::LengthRequired => plain("Bad request"),
        Failure::BodyTooLarge(most) => plain(&format!("Payload too large: at most {most} bytes")),
        Failure::HeadTooLarge(most) => {
            plain(&format!("Request line and headers too large: at most {most} bytes"))
        }
        Failure::TooDeep(most) => {
            plain(&format!("Cannot parse JSON body: it is nested more than {most} levels deep"))
        }
        Failure::Stopping => plain("Not ready: the server is stopping"),
        Failure::NotReady(readiness) => Body {
            status: Some("not ready"),
            checks: Some((&**readiness).into()),
            ..plain("Not ready: the database is out of sight")
        },
        Failure::BodyTooSlow => plain("The body did not arrive in time"),
        Failure::Framework(status) if status.is_client_error() => plain("Bad request"),
        Failure::Framework(_) => plain(UNEXPECTED),
    };
    Some(serde_json::to_string(&body).unwrap_or_default())
}

const NO_CREDENTIALS: &str = "Invalid credentials. Token or User credentials required";
const UNEXPECTED: &str = "An unexpected error occurred";

/// What a method does, as Kong's refusals call it.
fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT | Method::PATCH => "update",
        Method::DELETE => "delete",
        _ => "read",
    }
}

/// Codes, names and messages are Kong's.
fn refused(refusal: &Refusal) -> Body {
    let with_fields = |code, name, message, fields| Body {
        message,
        name: Some(name),
        code: Some(code),
        fields: Some(fields),
        ..Body::default()
    };
    let bare =
        |code, name, message: String| Body { message, name: Some(name), code: Some(code), ..Body::default() };
    match refusal {
        Refusal::Schema(violations) => {
            with_fields(2, "schema violation", sentence(violations), fields(violations))
        }
        Refusal::IdTaken(id) => with_fields(
            3,
            "primary key violation",
            format!("primary key violation on key '{{id=\"{id}\"}}'"),
            json!({ "id": id }),
        ),
        Refusal::SetUnknown(id) => with_fields(
            4,
            "foreign key violation",
            format!("the foreign key '{{id=\"{id}\"}}' does not reference an existing 'key_sets' entity."),
            json!({ "set": { "id": id } }),
        ),
        Refusal::NameTaken(name) => with_fields(
            5,
            UNIQUE,
            format!("UNIQUE violation detected on '{{name=\"{name}\"}}'"),
            json!({ "name": name }),
        ),
        Refusal::KidTaken { kid, set } => {
            let shown = set.as_ref().map_or("null".to_owned(), |id| format!("{{id=\"{id}\"}}"));
            let set = set.as_ref().map(|id| json!({ "id": id }));
            let message = format!("UNIQUE violation detected on '{{kid=\"{kid}\",set={shown}}}'");
            with_fields(5, UNIQUE, message, json!({ "kid": kid, "set": set }))
        }
        Refusal::NoEntityOfId(id) => with_fields(
            6,
            "not found",
            format!("could not find the entity with primary key '{{id=\"{id}\"}}'"),
            json!({ "id": id }),
        ),
        Refusal::NoEntityOfName(name) => with_fields(
            6,
            "not found",
            format!("could not find the entity with '{{name=\"{name}\"}}'"),
            json!({ "name": name }),
        ),
        Refusal::Offset { given, problem } => {
            bare(7, "invalid offset", format!("'{given}' is not a valid offset: {problem}"))
        }
        Refusal::Size(problem) => bare(9, "invalid size", (*problem).to_owned()),
        Refusal::Parameter { name, problem } => Body {
            options: Some(json!({ *name: problem })),
            ..bare(11, "invalid options", format!("invalid option ({name}: {problem})"))
        },
        Refusal::SetUnresolved(name) => {
            let problem = format!(
                "the foreign key cannot be resolved with '{{name=\"{name}\"}}' for an existing 'key_sets' entity"
            );
            let message = format!("foreign key unresolved (set.name: {problem})");
            with_fields(13, "foreign keys unresolved", message, json!({ "set": { "name": problem } }))
        }
    }
}

const UNIQUE: &str = "unique constraint violation";

fn sentence(violations: &Violations) -> String {
    let sentences = violations.sentences();
    match sentences.len() {
        1 => format!("schema violation ({})", sentences.join("")),
        many => format!("{many} schema violations ({})", sentences.join("; ")),
    }
}

fn fields(violations: &Violations) -> Value {
    let mut fields = Map::new();
    if !violations.of_entity().is_empty() {
        fields.insert("@entity".to_owned(), json!(violations.of_entity()));
    }
    for (field, parts) in violations.of_fields() {
        fields.insert(field.to_owned(), of_parts(parts));
    }
    Value::Object(fields)
}

/// What is wrong with a field: a text, a record of texts by member, or a list with null for sound items.
fn of_parts(parts: &BTreeMap<Part, String>) -> Value {
    let (mut record, mut list) = (Map::new(), Vec::new());
    for (part, problem) in parts {
        match part {
            Part::Whole => return json!(problem),
            Part::Record => drop(record.insert("@entity".to_owned(), json!([problem]))),
            Part::Member(member) => drop(record.insert(member.clone(), json!(problem))),
            Part::Item(number) => {
                list.resize(number - 1, Value::Null);
                list.push(json!(problem));
            }
        }
    }
    if list.is_empty() { Value::Object(record) } else { Value::Array(list) }
}
