//! The body of an answer, ready to be sent.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io::Write as _;
use std::sync::{LazyLock, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::crypto::digest::sha256;
use crate::error::{Error, Result};

/// Bodies that are shorter are not compressed: they fit into one packet as they are.
const WORTH_COMPRESSING: usize = 1024;

/// Keys the tags of private bodies.
static TAG_KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// How many bytes of the digest tell two bodies apart: 128 bits.
const TAG_BYTES: usize = 16;

/// What makes a tag weak (RFC 9110 §8.8.3).
const WEAK: &[u8] = b"W/";

/// Where the text begins in the bytes of a [`Body`]: after the weak tag.
const TEXT: usize = WEAK.len() + TAG;

/// Bytes of a strong tag: a digest in base64url without padding, in quotes.
const TAG: usize = 1 + (TAG_BYTES * 8).div_ceil(6) + 1;

/// The body of an answer to GET, with what tells it from others.
#[derive(Debug)]
pub struct Body {
    /// The weak tag, of which the strong one is a part, and then the text: there are very many bodies, and so each is
    /// one piece of memory.
    bytes: Bytes,
    media_type: &'static str,
    private: bool,
    compressed: OnceLock<Box<Bytes>>,
}

impl Body {
    /// A body that anybody may keep who may see it.
    #[must_use]
    pub fn new(media_type: &'static str, text: &[u8]) -> Self {
        let digest = sha256(text);
        let bytes = tagged(digest.get(..TAG_BYTES).unwrap_or_default(), text);
        Self { bytes, media_type, private: false, compressed: OnceLock::new() }
    }

    /// A body that shows what is sealed at rest. It is not remembered, so that no memory but the request's holds it,
    /// and not compressed, because the length of a compressed text tells of what is in it.
    ///
    /// Its tag is this process's own: from a plain digest, who sees the tag could guess what was sealed.
    #[must_use]
    pub fn private(media_type: &'static str, text: &[u8]) -> Self {
        let digest = sha256(text);
        let halves = [0, 1].map(|half: u8| TAG_KEY.hash_one((half, digest)).to_be_bytes());
        Self { private: true, bytes: tagged(&halves.concat(), text), ..Self::new(media_type, &[]) }
    }

    /// The body as it is.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes.slice(TEXT..)
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// Its entity tag, in quotes: the same for the same bytes, and on every node if it is not private (RFC 9110
    /// §8.8.3).
    #[must_use]
    pub fn etag(&self) -> Bytes {
        self.bytes.slice(WEAK.len()..TEXT)
    }

    /// The tag of the compressed form: the same, but weak, since the bytes are others.
    #[must_use]
    pub fn weak_etag(&self) -> Bytes {
        self.bytes.slice(..TEXT)
    }

    /// Whether it shows what is sealed at rest.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// Whether it should be compressed for who asks for that.
    #[must_use]
    pub fn is_worth_compressing(&self) -> bool {
        !self.private && self.len() >= WORTH_COMPRESSING
    }

    /// The compressed form, if it was made before.
    #[must_use]
    pub fn compressed(&self) -> Option<Bytes> {
        self.compressed.get().map(|compressed| (**compressed).clone())
    }

    /// The body in gzip (RFC 1952), made once. It takes a millisecond for 50 kB: not for a thread that serves.
    pub fn compress(&self) -> Result<Bytes> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let compressed = encoder.write_all(&self.bytes()).and_then(|()| encoder.finish());
        let compressed = compressed.map_err(|error| Error::internal("compressing an answer", error))?;
        Ok((**self.compressed.get_or_init(|| Box::new(compressed.into()))).clone())
    }

    fn len(&self) -> usize {
        self.bytes.len() - TEXT
    }

    /// What it takes in memory, in bytes: when it is compressed, it is there twice.
    #[must_use]
    pub(super) fn weight(&self) -> usize {
        if self.is_worth_compressing() { self.len() * 2 } else { self.len() }
    }
}

/// The weak tag of these bytes, and the text.
fn tagged(tag: &[u8], text: &[u8]) -> Bytes {
    let tag = URL_SAFE_NO_PAD.encode(tag);
    [WEAK, b"\"", tag.as_bytes(), b"\"", text].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_text_are_where_they_are_looked_for() {
        for body in [Body::new, Body::private] {
            let body = body("text/plain", b"text");
            assert_eq!(body.bytes(), "text");
            let etag = String::from_utf8(body.etag().to_vec()).unwrap();
            let inner = etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"')).unwrap();
            assert_eq!(URL_SAFE_NO_PAD.decode(inner).unwrap().len(), TAG_BYTES);
            assert_eq!(body.weak_etag(), format!("W/{etag}"));
        }
        assert_ne!(Body::private("text/plain", b"text").etag(), Body::new("text/plain", b"text").etag());
    }
}
