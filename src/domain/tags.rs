//! Tags of keys and key sets, and filters by tag.

use super::ids::EntityId;
use super::text::{LOOKS_LIKE_KEY, looks_like_key};
use crate::error::{Part, Violations};

/// Most tags of one entity.
pub const MOST_TAGS: usize = 100;

/// Most characters of one tag.
pub const LONGEST_TAG: usize = 255;

/// Most tags that a filter may name (contract §7).
const MOST_FILTERED: usize = 5;

/// The longest bad tag that is told back, in bytes: shorter than any key.
const LONGEST_TOLD: usize = 32;

/// The tags of an entity, in the order in which they were given, none twice. An empty list and no list are
/// different things.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags(Vec<String>);

impl Tags {
    /// Checks tags, at most [`MOST_TAGS`], and drops repetitions. What is wrong is added to `violations`.
    pub fn parse(texts: Vec<String>, violations: &mut Violations) -> Self {
        let mut tags = Vec::<String>::with_capacity(texts.len());
        for (index, tag) in texts.into_iter().enumerate() {
            if let Err(problem) = check(&tag) {
                violations.part("tags", Part::Item(index + 1), problem);
            } else if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        Self(tags)
    }

    /// Tags that were checked when they were stored.
    #[must_use]
    pub fn stored(tags: Vec<String>) -> Self {
        Self(tags)
    }

    /// The tags.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// Blanks, letters of every script and emoji are allowed; `,` and `/` separate tags in filters (contract §7).
fn check(tag: &str) -> Result<(), String> {
    if tag.is_empty() {
        return Err("length must be at least 1".to_owned());
    }
    if tag.chars().count() > LONGEST_TAG {
        return Err(format!("length must be at most {LONGEST_TAG}"));
    }
    if looks_like_key(tag) {
        return Err(LOOKS_LIKE_KEY.to_owned());
    }
    if tag.chars().any(|c| c.is_control() || c == ',' || c == '/') {
        // A long one may be a key that ended up in the wrong place.
        let shown = if tag.len() <= LONGEST_TOLD { tag } else { "…" };
        return Err(format!(
            "invalid tag '{shown}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
        ));
    }
    Ok(())
}

/// Which entities a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagFilter {
    /// Those that have all of these tags.
    All(Vec<String>),
    /// Those that have any of them.
    Any(Vec<String>),
}

impl TagFilter {
    /// Reads `a,b` (all of) or `a/b` (any of); the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("cannot be null".to_owned());
        }
        let split = |separator| text.split(separator).map(str::to_owned).collect::<Vec<_>>();
        let (tags, any) = match (text.contains(','), text.contains('/')) {
            (true, true) => return Err("invalid filter syntax".to_owned()),
            (false, true) => (split('/'), true),
            _ => (split(','), false),
        };
        if tags.iter().any(|tag| check(tag).is_err()) {
            return Err("invalid filter syntax".to_owned());
        }
        if tags.len() > MOST_FILTERED {
            return Err(format!("cannot query more than {MOST_FILTERED} tags"));
        }
        Ok(if any { Self::Any(tags) } else { Self::All(tags) })
    }
}

/// Who has a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A key.
    Key(EntityId),
    /// A key set.
    KeySet(EntityId),
}

/// One tag of one entity. Lists of them are in the order of the tags, then of the ids; of a key and a key set with
/// the same id, the key comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// Who has it.
    pub owner: Owner,
    /// The tag.
    pub tag: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(texts: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut violations = Violations::default();
        let tags = Tags::parse(texts.iter().map(|&text| text.to_owned()).collect(), &mut violations);
        (tags.0, violations.sentences())
    }

    #[test]
    fn tags_keep_their_order_and_lose_repetitions() {
        assert_eq!(tags(&["b", "a b", "😀", "b"]), (["b", "a b", "😀"].map(str::to_owned).into(), vec![]));
    }

    #[test]
    fn a_bad_tag_is_told_with_its_place() {
        let problem = "expected printable ascii (except `,` and `/`) or valid utf-8 sequences";
        for bad in ["a,b", "a/b", "a\u{7}"] {
            assert_eq!(tags(&["ok", bad]).1, [format!("tags.2: invalid tag '{bad}': {problem}")]);
        }
        assert_eq!(tags(&[""]).1, ["tags.1: length must be at least 1"]);
        assert_eq!(tags(&[&"x".repeat(256)]).1, ["tags.1: length must be at most 255"]);
    }

    #[test]
    fn a_bad_tag_that_may_be_a_key_is_not_told_back() {
        let key = "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF/";
        assert!(tags(&[key]).1[0].starts_with("tags.1: invalid tag '…': expected"));
    }

    #[test]
    fn a_filter_asks_for_all_or_for_any() {
        let own = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect::<Vec<_>>();
        assert_eq!(TagFilter::parse("a"), Ok(TagFilter::All(own(&["a"]))));
        assert_eq!(TagFilter::parse("a,b c"), Ok(TagFilter::All(own(&["a", "b c"]))));
        assert_eq!(TagFilter::parse("a/b"), Ok(TagFilter::Any(own(&["a", "b"]))));
        for (text, problem) in [
            ("", "cannot be null"),
            ("a,b/c", "invalid filter syntax"),
            ("a,,b", "invalid filter syntax"),
            ("a,", "invalid filter syntax"),
            ("a,b,c,d,e,f", "cannot query more than 5 tags"),
        ] {
            assert_eq!(TagFilter::parse(text), Err(problem.to_owned()), "{text}");
        }
    }
}
