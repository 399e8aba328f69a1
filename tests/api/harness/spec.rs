//! openapi.yaml as a judge: every answer of every test must be one it describes.

use std::collections::HashMap;
use std::sync::LazyLock;

use hook_keys::http::Api;
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

use super::Answer;

pub const TEXT: &str = include_str!("../../../openapi.yaml");

/// The document. `serde_json` would sort members; tests that care for order read [`TEXT`] themselves.
pub static SPEC: LazyLock<Value> = LazyLock::new(|| serde_yaml_ng::from_str(TEXT).unwrap());

/// One operation: method, path with parameters in braces, and its description.
pub struct Operation {
    pub method: Method,
    pub path: &'static str,
    pub spec: &'static Value,
}

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let paths = SPEC["paths"].as_object().unwrap();
    let of_path = |(path, item): (&'static String, &'static Value)| {
        item.as_object().unwrap().iter().map(move |(method, spec)| Operation {
            method: method.to_uppercase().parse().unwrap(),
            path,
            spec,
        })
    };
    paths.iter().flat_map(of_path).collect()
});

/// The schemas of bodies and headers, by their text. To build one takes longer than to answer a request.
static VALIDATORS: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let mut validators = HashMap::new();
    let of_operations =
        OPERATIONS.iter().flat_map(|operation| operation.spec["responses"].as_object().unwrap());
    let shared = SPEC["components"]["responses"].as_object().unwrap();
    for (_, response) in of_operations.chain(shared) {
        let response = resolve(response);
        let parts = ["content", "headers"].map(|part| response[part].as_object().into_iter());
        for part in parts.into_iter().flatten().flat_map(|map| map.values()) {
            let schema = &resolve(part)["schema"];
            validators.entry(schema.to_string()).or_insert_with(|| validator(schema));
        }
    }
    validators
});

/// A validator of a schema that may refer to the document's components.
pub fn validator(schema: &Value) -> Validator {
    let rooted = json!({ "allOf": [schema], "components": SPEC["components"] });
    jsonschema::draft202012::options().should_validate_formats(true).build(&rooted).unwrap()
}

/// Follows a `$ref` within the document.
pub fn resolve(value: &'static Value) -> &'static Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => resolve(SPEC.pointer(reference.strip_prefix('#').unwrap()).unwrap()),
        None => value,
    }
}

pub fn operations() -> &'static [Operation] {
    &OPERATIONS
}

/// Fails the test when the document does not describe this answer.
#[track_caller]
pub fn check(method: &Method, path: &str, answer: &Answer) {
    let path = path.split('?').next().unwrap();
    let kong = Api::of(path) == Api::Kong;
    // Kong takes a slash at the end for none.
    let path = if kong && path != "/" { path.trim_end_matches('/') } else { path };
    if kong && *method == Method::OPTIONS && answer.status == 204 {
        assert!(answer.header("allow").is_some() && answer.text.is_empty(), "{answer:?}");
        return;
    }
    let described = described(method, path, answer.status.as_u16());
    let what = format!("{method} {path} answered {}: {}", answer.status, answer.text);
    let described = described.unwrap_or_else(|| panic!("openapi.yaml does not describe that {what}"));
    for (name, header) in described["headers"].as_object().into_iter().flatten() {
        let value = answer.header(name).map(|text| json!(text));
        let header = resolve(header);
        let valid = match &value {
            Some(value) => VALIDATORS[&header["schema"].to_string()].is_valid(value),
            None => header["required"] != json!(true),
        };
        assert!(valid, "the header {name} is {value:?}: {what}");
    }
    let has_okta_id = answer.header("x-okta-request-id").is_some();
    assert_eq!(has_okta_id, !kong && answer.status != 405, "{what}");
    match described["content"].as_object().and_then(|content| content.iter().next()) {
        None => {
            assert!(answer.text.is_empty() && answer.header("content-type").is_none(), "{what}");
        }
        Some((media_type, _)) if *method == Method::HEAD => {
            assert_eq!(
                (answer.header("content-type"), ""),
                (Some(media_type.as_str()), &*answer.text),
                "{what}"
            );
        }
        Some((media_type, content)) => {
            assert_eq!(answer.header("content-type"), Some(media_type.as_str()), "{what}");
            if media_type.starts_with("application/json") {
                let validator = &VALIDATORS[&content["schema"].to_string()];
                let body = answer.json();
                let errors: Vec<_> = validator.iter_errors(&body).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{errors:?}: {what}");
            }
        }
    }
}

fn described(method: &Method, path: &str, status: u16) -> Option<&'static Value> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let on_path: Vec<_> = OPERATIONS.iter().filter(|operation| matches(operation.path, path)).collect();
    let (missing, wrong_method) = match Api::of(path) {
        Api::Okta => ("NotFound", "MethodNotAllowed"),
        Api::Kong => ("KongNotFound", "KongMethodNotAllowed"),
    };
    let shared = |name: &str| Some(&SPEC["components"]["responses"][name]);
    if on_path.is_empty() && status == 404 {
        return shared(missing);
    }
    match on_path.iter().find(|operation| operation.method == *method) {
        None if status == 405 => shared(wrong_method),
        None => None,
        Some(operation) => operation.spec["responses"].get(status.to_string()).map(resolve),
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(path)
            .all(|(part, segment)| *part == segment || (part.starts_with('{') && !segment.is_empty()))
}
