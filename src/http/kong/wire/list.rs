//! Lists in pages (contract §7).

use actix_web::HttpRequest;
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::ids::EntityId;
use crate::domain::page::{LARGEST, Page, PageRequest, USUAL};
use crate::domain::tags::{Owner, TagFilter, Tagged};
use crate::error::{Error, Refusal};
use crate::http::error::Failure;
use crate::http::extract::query;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// Both alphabets, with and without padding: clients may have re-encoded an offset.
const DECODERS: [GeneralPurpose; 2] =
    [GeneralPurpose::new(&URL_SAFE, LENIENT), GeneralPurpose::new(&STANDARD, LENIENT)];

/// A page of a list. `offset` is missing on the last one.
#[derive(Serialize)]
pub struct ListBody<B> {
    data: Vec<B>,
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<String>,
}

/// What the offset of a list is made of.
pub trait Position: Sized {
    /// As JSON.
    fn to_json(&self) -> Value;
    /// From JSON.
    fn from_json(value: &Value) -> Option<Self>;
}

impl Position for EntityId {
    fn to_json(&self) -> Value {
        json!(self.to_string())
    }

    fn from_json(value: &Value) -> Option<Self> {
        Self::parse(value.as_str()?)
    }
}

impl Position for Tagged {
    fn to_json(&self) -> Value {
        match self.owner {
            Owner::Key(id) => json!({ "tag": self.tag, "key": id.to_string() }),
            Owner::KeySet(id) => json!({ "tag": self.tag, "set": id.to_string() }),
        }
    }

    fn from_json(value: &Value) -> Option<Self> {
        let id = |member: &str| EntityId::parse(value.get(member)?.as_str()?);
        let owner = id("key").map(Owner::Key).or_else(|| id("set").map(Owner::KeySet))?;
        Some(Self { owner, tag: value.get("tag")?.as_str()?.to_owned() })
    }
}

impl<B> ListBody<B> {
    /// The body of a page, each row made by `body`. The next page is on the same path, with the same size and
    /// tags.
    pub fn new<'a, T, K: Position>(
        request: &HttpRequest,
        page: &'a Page<T, K>,
        body: impl Fn(&'a T) -> B,
    ) -> Self {
        let offset = page.next.as_ref().map(encode);
        let next = offset.as_ref().map(|offset| {
            let kept = ["size", "tags"].into_iter().filter_map(|name| {
                let value = query(request, name)?;
                Some(format!("&{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC)))
            });
            let path = request.uri().path().trim_end_matches('/');
            format!("{path}?offset={offset}{}", kept.collect::<String>())
        });
        Self { data: page.rows.iter().map(body).collect(), next, offset }
    }
}

fn encode(position: &impl Position) -> String {
    URL_SAFE_NO_PAD.encode(json!([position.to_json()]).to_string())
}

/// The page that the query asks for.
pub fn page<K: Position>(request: &HttpRequest) -> Result<PageRequest<K>, Failure> {
    let size = query(request, "size").map_or(Ok(USUAL), |text| size(&text))?;
    let after = query(request, "offset").map(|text| decode(&text)).transpose()?;
    Ok(PageRequest { size, after })
}

fn size(text: &str) -> Result<u32, Error> {
    if text.parse::<f64>().is_err() {
        return Err(Error::refused(Refusal::Size("size must be a number")));
    }
    let size = text.parse().ok().filter(|size| (1..=LARGEST).contains(size));
    size.ok_or_else(|| Error::refused(Refusal::Size("size must be an integer between 1 and 1000")))
}

fn decode<K: Position>(text: &str) -> Result<K, Error> {
    let refused = |problem| Error::refused(Refusal::Offset { given: text.to_owned(), problem });
    let bytes = DECODERS.iter().find_map(|decoder| decoder.decode(text).ok());
    let bytes = bytes.ok_or_else(|| refused("bad base64 encoding"))?;
    let json = serde_json::from_slice(&bytes).map_err(|_| refused("bad json encoding"))?;
    let position = match json {
        Value::Array(items) => items.first().and_then(K::from_json),
        _ => None,
    };
    position.ok_or_else(|| refused("it is not from this list"))
}

/// The tags that the query asks for.
pub fn tag_filter(request: &HttpRequest) -> Result<Option<TagFilter>, Failure> {
    let filter = query(request, "tags").map(|text| TagFilter::parse(&text)).transpose();
    filter.map_err(|problem| Error::refused(Refusal::Parameter { name: "tags", problem }).into())
}
