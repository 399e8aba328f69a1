//! Request bodies: JSON, URL-encoded and multipart forms (contract §6).

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Fields, form};
use crate::http::error::Failure;
use crate::http::extract::Body;

/// Reads a body by its media type. No body at all is one without fields.
pub async fn fields(body: Body) -> Result<Fields, Failure> {
    let content_type = body.content_type();
    let is =
        |known: &str| content_type.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known));
    if is("application/json") {
        return json(&body.json().await?);
    }
    let bytes = body.bytes().await?;
    let form = if is("application/x-www-form-urlencoded") {
        form::urlencoded(&bytes).map_err(|problem| unreadable("form", &problem))?
    } else if is("multipart/form-data") {
        form::multipart(&content_type, bytes).await.map_err(|problem| unreadable("multipart", &problem))?
    } else if bytes.is_empty() && content_type.is_empty() {
        Vec::new()
    } else {
        return Err(Failure::WrongContentType);
    };
    if form.len() > form::MOST_PAIRS {
        return Err(too_many());
    }
    let members = form::tree(form).map_err(|problem| unreadable("form", &problem))?;
    Ok(Fields::new(members, true))
}

/// Of members with the same name, the last one counts.
fn json(bytes: &Bytes) -> Result<Fields, Failure> {
    match serde_json::from_slice::<Map<String, Value>>(bytes) {
        Ok(members) if members.len() > form::MOST_PAIRS => Err(too_many()),
        Ok(members) => Ok(Fields::new(members, false)),
        // The parser's own words could hold parts of the body.
        Err(_) => Err(Failure::Unreadable("Cannot parse JSON body".to_owned())),
    }
}

fn too_many() -> Failure {
    Failure::Unreadable("Too many arguments".to_owned())
}

fn unreadable(form: &str, problem: &str) -> Failure {
    Failure::Unreadable(format!("Cannot parse {form} body: {problem}"))
}
