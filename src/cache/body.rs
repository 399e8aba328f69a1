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

/// The body of an answer to GET, with what tells it from others.
#[derive(Debug)]
pub struct Body {
    bytes: Bytes,
    media_type: &'static str,
    etag: Bytes,
    weak_etag: Bytes,
    private: bool,
    compressed: OnceLock<Bytes>,
}

impl Body {
    /// A body that anybody may keep who may see it.
    #[must_use]
    pub fn new(media_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest = sha256(&bytes);
        let (etag, weak_etag) = tags(digest.get(..TAG_BYTES).unwrap_or_default());
        Self { bytes, media_type, etag, weak_etag, private: false, compressed: OnceLock::new() }
    }

    /// A body that shows what is sealed at rest. It is not remembered, so that no memory but the request's holds it,
    /// and not compressed, because the length of a compressed text tells of what is in it.
    ///
    /// Its tag is this process's own: from a plain digest, who sees the tag could guess what was sealed.
    #[must_use]
    pub fn private(media_type: &'static str, bytes: impl Into<Bytes>) -> Self {
        let public = Self::new(media_type, bytes);
        let halves = [0, 1].map(|half: u8| TAG_KEY.hash_one((half, &public.etag)).to_be_bytes());
        let (etag, weak_etag) = tags(&halves.concat());
        Self { private: true, etag, weak_etag, ..public }
    }

    /// The body as it is.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
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
        self.etag.clone()
    }

    /// The tag of the compressed form: the same, but weak, since the bytes are others.
    #[must_use]
    pub fn weak_etag(&self) -> Bytes {
        self.weak_etag.clone()
    }

    /// Whether it shows what is sealed at rest.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// Whether it should be compressed for who asks for that.
    #[must_use]
    pub fn is_worth_compressing(&self) -> bool {
        !self.private && self.bytes.len() >= WORTH_COMPRESSING
    }

    /// The compressed form, if it was made before.
    #[must_use]
    pub fn compressed(&self) -> Option<Bytes> {
        self.compressed.get().cloned()
    }

    /// The body in gzip (RFC 1952), made once. It takes a millisecond for 50 kB: not for a thread that serves.
    pub fn compress(&self) -> Result<Bytes> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let compressed = encoder.write_all(&self.bytes).and_then(|()| encoder.finish());
        let compressed = compressed.map_err(|error| Error::internal("compressing an answer", error))?;
        Ok(self.compressed.get_or_init(|| compressed.into()).clone())
    }

    /// What it takes in memory, in bytes: when it is compressed, it is there twice.
    #[must_use]
    pub(super) fn weight(&self) -> usize {
        if self.is_worth_compressing() { self.bytes.len() * 2 } else { self.bytes.len() }
    }
}

/// The strong and the weak tag.
fn tags(bytes: &[u8]) -> (Bytes, Bytes) {
    let strong = format!("\"{}\"", URL_SAFE_NO_PAD.encode(bytes));
    let weak = format!("W/{strong}");
    (strong.into(), weak.into())
}
