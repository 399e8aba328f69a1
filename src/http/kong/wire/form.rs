//! Forms: pairs of names and texts, and the tree that dots and brackets in the names make of them (contract §6).

use bytes::Bytes;
use futures_util::stream;
use multer::Multipart;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// Most pairs of a form.
pub(super) const MOST_PAIRS: usize = 1000;

/// Most steps of a name.
const DEEPEST: usize = 8;

type Pairs = Vec<(String, String)>;

/// A step of a name.
enum Step {
    /// A field of a record: `.name` or `[name]`.
    Member(String),
    /// An item of a list: `[]` or `[1]`.
    Item(Option<usize>),
}

/// The pairs of a URL-encoded form. The error says what is wrong.
pub(super) fn urlencoded(body: &Bytes) -> Result<Pairs, String> {
    let text = std::str::from_utf8(body).map_err(|_| NO_UTF8.to_owned())?;
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(MOST_PAIRS + 1);
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn decoded(text: &str) -> Result<String, String> {
    let blanks = text.replace('+', " ");
    let decoded = percent_decode_str(&blanks).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| NO_UTF8.to_owned())
}

const NO_UTF8: &str = "it is not UTF-8";

/// The parts of a multipart form. Files and texts are the same: a file's content is the text.
pub(super) async fn multipart(content_type: &str, body: Bytes) -> Result<Pairs, String> {
    let boundary =
        multer::parse_boundary(content_type).map_err(|_| "the content type has no boundary".to_owned())?;
    let mut parts = Multipart::new(stream::iter([Ok::<_, std::io::Error>(body)]), boundary);
    let mut pairs = Pairs::new();
    while pairs.len() <= MOST_PAIRS {
        let malformed = |_| "it is malformed or cut short".to_owned();
        let Some(part) = parts.next_field().await.map_err(malformed)? else { break };
        let name = part.name().ok_or_else(|| "a part has no name".to_owned())?.to_owned();
        let bytes = part.bytes().await.map_err(malformed)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| NO_UTF8.to_owned())?;
        pairs.push((name, text.to_owned()));
    }
    Ok(pairs)
}

/// Makes records and lists of the names: dots and brackets nest, repetition makes a list, and an empty text is
/// null. The error says what is wrong.
pub(super) fn tree(pairs: Pairs) -> Result<Map<String, Value>, String> {
    let mut named = pairs
        .into_iter()
        .map(|(name, text)| steps(&name).map(|steps| (steps, text)))
        .collect::<Result<Vec<_>, _>>()?;
    // `a[2]` may come before `a[1]`.
    named.sort_by_key(|(steps, _)| {
        let item = steps.iter().find_map(|step| if let Step::Item(number) = step { *number } else { None });
        item.unwrap_or_default()
    });
    let mut root = Value::Object(Map::new());
    for (steps, text) in named {
        put(&mut root, &steps, text)?;
    }
    match root {
        Value::Object(members) => Ok(members),
        _ => Err(CLASH.to_owned()),
    }
}

/// `set.name`, `set[name]`, `tags[]`, `tags[1]`.
fn steps(name: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for (index, part) in name.split('.').enumerate() {
        let (member, brackets) =
            part.split_once('[').map_or((part, None), |(member, rest)| (member, Some(rest)));
        if index == 0 || !member.is_empty() {
            steps.push(Step::Member(member.to_owned()));
        }
        for inner in brackets.into_iter().flat_map(|rest| rest.split('[')) {
            let inner =
                inner.strip_suffix(']').ok_or_else(|| "a bracket in a name is not closed".to_owned())?;
            steps.push(match inner.parse() {
                Ok(number) => Step::Item(Some(number)),
                Err(_) if inner.is_empty() => Step::Item(None),
                Err(_) => Step::Member(inner.to_owned()),
            });
        }
    }
    if steps.len() > DEEPEST { Err("a name has too many parts".to_owned()) } else { Ok(steps) }
}

fn put(slot: &mut Value, steps: &[Step], text: String) -> Result<(), String> {
    match (steps, slot) {
        ([Step::Member(name), rest @ ..], Value::Object(members)) => {
            if let Some(slot) = members.get_mut(name) {
                return put(slot, rest, text);
            }
            members.insert(name.clone(), grown(rest, text)?);
            Ok(())
        }
        ([] | [Step::Item(_)], Value::Array(items)) => {
            items.push(leaf(text));
            Ok(())
        }
        // Null is what was given before, too.
        ([] | [Step::Item(_)], slot @ (Value::String(_) | Value::Null)) => {
            *slot = Value::Array(vec![slot.take(), leaf(text)]);
            Ok(())
        }
        _ => Err(CLASH.to_owned()),
    }
}

/// The value of a field that is named for the first time.
fn grown(steps: &[Step], text: String) -> Result<Value, String> {
    match steps {
        [] => Ok(leaf(text)),
        [Step::Item(_)] => Ok(Value::Array(vec![leaf(text)])),
        [Step::Member(name), rest @ ..] => {
            Ok(Value::Object(Map::from_iter([(name.clone(), grown(rest, text)?)])))
        }
        [Step::Item(_), ..] => Err(CLASH.to_owned()),
    }
}

const CLASH: &str = "a field is given in two ways that exclude each other";

fn leaf(text: String) -> Value {
    if text.is_empty() { Value::Null } else { Value::String(text) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &str) -> Result<Value, String> {
        tree(urlencoded(&Bytes::copy_from_slice(body.as_bytes()))?).map(Value::Object)
    }

    #[test]
    fn dots_and_brackets_nest_and_repetition_makes_a_list() {
        for (body, expected) in [
            ("", json!({})),
            ("kid=42&name=", json!({ "kid": "42", "name": null })),
            ("set.name=my-set", json!({ "set": { "name": "my-set" } })),
            ("set[name]=my+set", json!({ "set": { "name": "my set" } })),
            (
                "pem.private_key=a%2Bb&pem.public_key=c",
                json!({ "pem": { "private_key": "a+b", "public_key": "c" } }),
            ),
            ("tags[]=a&tags[]=b", json!({ "tags": ["a", "b"] })),
            ("tags%5B2%5D=b&tags[1]=a", json!({ "tags": ["a", "b"] })),
            ("tags=a&tags=b&tags=c", json!({ "tags": ["a", "b", "c"] })),
            ("tags=a", json!({ "tags": "a" })),
            ("tags=&tags=b", json!({ "tags": [null, "b"] })),
            ("tags=b&tags=", json!({ "tags": ["b", null] })),
            ("tags[]=&tags[]=b", json!({ "tags": [null, "b"] })),
            ("=x&a", json!({ "": "x", "a": null })),
        ] {
            assert_eq!(read(body), Ok(expected), "{body}");
        }
    }

    #[test]
    fn what_makes_no_tree_is_refused() {
        for (body, problem) in [
            ("set=x&set.name=y", CLASH),
            ("set=&set.name=y", CLASH),
            ("tags[1].a=x", CLASH),
            ("tags[]=a&tags.x=b", CLASH),
            ("a[=x", "a bracket in a name is not closed"),
            ("a.b.c.d.e.f.g.h.i=x", "a name has too many parts"),
            ("a=%ff", NO_UTF8),
        ] {
            assert_eq!(read(body), Err(problem.to_owned()), "{body}");
        }
    }
}
