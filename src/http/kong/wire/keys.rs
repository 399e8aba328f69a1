//! Keys as JSON and as forms (contract §2).

use actix_web::HttpRequest;
use serde::Serialize;
use serde_json::Value;

use super::Fields;
use super::fields::Record;
use crate::domain::change::Change;
use crate::domain::ids::EntityId;
use crate::domain::key::{Format, Key, KeyDraft, LONGEST_MATERIAL, PemDraft, Selector};
use crate::domain::secret::Secret;
use crate::domain::tags::Tags;
use crate::error::{Error, Refusal};
use crate::http::error::Failure;
use crate::http::extract::query;

/// A key.
#[derive(Serialize)]
pub struct KeyBody<'a> {
    created_at: i64,
    id: String,
    jwk: Option<&'a str>,
    kid: &'a str,
    name: Option<&'a str>,
    pem: Option<PemBody<'a>>,
    set: Option<SetBody>,
    tags: Option<&'a [String]>,
    updated_at: i64,
}

#[derive(Serialize)]
struct PemBody<'a> {
    private_key: Option<&'a str>,
    public_key: Option<&'a str>,
}

#[derive(Serialize)]
struct SetBody {
    id: String,
}

impl<'a> KeyBody<'a> {
    /// The body of a key, as much of it as the key holds.
    #[must_use]
    pub fn new(key: &'a Key) -> Self {
        Self {
            created_at: key.created.timestamp(),
            id: key.id.to_string(),
            jwk: key.jwk.as_ref().map(Secret::reveal),
            kid: &key.kid,
            name: key.name.as_deref(),
            pem: key.pem.as_ref().map(|pem| PemBody {
                private_key: pem.private.as_ref().map(Secret::reveal),
                public_key: pem.public.as_deref(),
            }),
            set: key.set.map(|id| SetBody { id: id.to_string() }),
            tags: key.tags.as_ref().map(Tags::as_slice),
            updated_at: key.updated.timestamp(),
        }
    }
}

/// Reads a key.
#[must_use]
pub fn draft(mut fields: Fields) -> KeyDraft {
    KeyDraft {
        id: fields.id(),
        set: match fields.record("set") {
            Change::Set(record) => set(record),
            Change::Clear => Change::Clear,
            Change::Keep => Change::Keep,
        },
        name: fields.name("name"),
        kid: fields.name("kid"),
        jwk: fields.secret("jwk", LONGEST_MATERIAL),
        pem: match fields.record("pem") {
            Change::Set(record) => Change::Set(pem(record)),
            Change::Clear => Change::Clear,
            Change::Keep => Change::Keep,
        },
        tags: fields.tags(),
        created: fields.created(),
        violations: fields.finish(),
    }
}

/// A key set by its id or, if that is missing, by its name.
fn set(mut record: Record<'_>) -> Change<Selector> {
    let (id, name) = (record.take("id"), record.name("name"));
    let outcome = match (id, name) {
        (Some(Value::String(id)), _) => {
            EntityId::parse(&id).map(Selector::Id).ok_or(("id", "expected a valid UUID".to_owned()))
        }
        (Some(_), _) => Err(("id", "expected a string".to_owned())),
        (None, Ok(Some(name))) => Ok(Selector::Name(name)),
        (None, Ok(None)) => Err(("id", "missing primary key".to_owned())),
        (None, Err(problem)) => Err(("name", problem)),
    };
    let change = match outcome {
        Ok(selector) => Change::Set(selector),
        Err((member, problem)) => {
            record.refuse(member, &problem);
            Change::Keep
        }
    };
    record.finish();
    change
}

fn pem(mut record: Record<'_>) -> PemDraft {
    let draft = PemDraft {
        private: record.secret("private_key", LONGEST_MATERIAL),
        public: record.secret("public_key", LONGEST_MATERIAL),
    };
    record.finish();
    draft
}

/// The format that the query asks for.
pub fn format(request: &HttpRequest) -> Result<Option<Format>, Failure> {
    match query(request, "format").as_deref() {
        None => Ok(None),
        Some("jwk") => Ok(Some(Format::Jwk)),
        Some("pem") => Ok(Some(Format::Pem)),
        Some(_) => {
            let problem = "expected one of: jwk, pem".to_owned();
            Err(Error::refused(Refusal::Parameter { name: "format", problem }).into())
        }
    }
}
