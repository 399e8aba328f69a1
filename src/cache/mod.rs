//! What this process remembers of the database, and how it stays true.
//!
//! A miss reads the database and keeps what it found: tokens, and the bodies of answers as they are sent.
//! [`Refresher`] follows the table `changes` and says what was written by whichever process, and what was remembered
//! of that does not count any more. A write waits until the refresher of its own process has seen it, so who reads
//! after a write sees it; another process may lag by the interval at which it looks.
//!
//! What is sealed at rest is never kept.

mod body;
mod refresher;
mod versions;

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::{Equivalent, Weighter, sync};
use tokio::time::Instant;

use crate::domain::ids::OrgId;
use crate::domain::token::Token;
use crate::error::Result;
use crate::store::changes::{Change, Entity};
use crate::store::conn::BLIND;
use crate::store::tokens::Digest;
use crate::store::{self, Db};

pub use body::Body;
pub use refresher::{Refresher, forget_old_changes};
pub use versions::Topic;

use versions::{Stamp, Subject, Versions};

/// How many bytes of a body count as one row.
const BYTES_A_ROW: usize = 512;

/// The read model of this process.
pub struct Cache {
    sight: Sight,
    versions: Versions,
    tokens: sync::Cache<Digest, Kept<Token>>,
    bodies: sync::Cache<Target, Kept<Body>, Rows>,
    keeping: Mutex<()>,
}

/// When the database was last looked at.
struct Sight {
    start: Instant,
    /// Milliseconds from `start` to the last look, and one more; 0 while nobody follows.
    seen: AtomicU64,
}

/// Something that is remembered, and what it hangs on.
struct Kept<T> {
    value: Arc<T>,
    on: [Stamp; 2],
}

/// What was asked for: an answer hangs on nothing else but the state of the database.
#[derive(PartialEq, Eq, Hash)]
struct Target {
    org: OrgId,
    base: Box<str>,
    path: Box<str>,
}

/// A question whose answer is the same for everybody in the org who may ask it.
#[derive(Debug, Clone, Copy, Hash)]
pub struct Question<'a> {
    /// The org of the caller.
    pub org: &'a OrgId,
    /// Where links in the answer lead; empty where there are none.
    pub base: &'a str,
    /// Path and query.
    pub path: &'a str,
}

/// Counts a body as the rows that it stands for.
#[derive(Clone)]
struct Rows;

impl Cache {
    /// An empty one for up to `capacity` tokens, and for bodies of as many half kilobytes. It keeps nothing until a
    /// [`Refresher`] follows the database.
    #[must_use]
    pub fn new(capacity: u32) -> Self {
        let rows = capacity as usize;
        Self {
            sight: Sight { start: Instant::now(), seen: AtomicU64::new(0) },
            versions: Versions::new(),
            tokens: sync::Cache::new(rows),
            bodies: sync::Cache::with_weighter(rows, u64::from(capacity), Rows),
            keeping: Mutex::default(),
        }
    }

    /// Whether the database was looked at in the last 5 seconds. While it was not, every read goes there.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.sight.is_clear()
    }

    /// The token with this digest, live or not, if it is remembered.
    #[must_use]
    pub fn remembered_token(&self, digest: &Digest) -> Option<Arc<Token>> {
        self.current(&self.tokens, digest)
    }

    /// The token with this digest, live or not, from the database. It is remembered.
    pub async fn read_token(&self, db: &Db, digest: Digest) -> Result<Option<Arc<Token>>> {
        let before = self.versions.stamp(Subject::AnyToken);
        let token = db.read(move |conn| store::tokens::find_by_digest(conn, &digest)).await?;
        Ok(token.map(|token| {
            let on = [Subject::Token(token.id.as_str()), Subject::Org(token.org.as_str())];
            // Only now is known on what it hangs. If any token has changed meanwhile, it may have been this one.
            let on = on.map(|subject| self.versions.stamp(subject));
            let value = Arc::new(token);
            if self.is_followed() && self.versions.is_current(before) {
                self.tokens.insert(digest, Kept { value: Arc::clone(&value), on });
            }
            value
        }))
    }

    /// The answer to a question about `topic`: from memory, or what `make` makes of the database now.
    pub async fn answer<E>(
        &self,
        question: Question<'_>,
        topic: Topic,
        make: impl AsyncFnOnce() -> std::result::Result<Body, E>,
    ) -> std::result::Result<Arc<Body>, E> {
        if let Some(body) = self.current(&self.bodies, &question) {
            return Ok(body);
        }
        let subject = Subject::Answers(question.org.as_str(), topic);
        let on = self.versions.stamp(subject);
        // Boxed, so that an answer from memory need not carry the room for it.
        let body = Arc::new(Box::pin(make()).await?);
        if self.is_followed() && !body.is_private() {
            self.keep(question, subject, Kept { value: Arc::clone(&body), on: [on, on] });
        }
        Ok(body)
    }

    /// Keeps a body, unless another one was found meanwhile: then one of the two is older, and nobody knows which.
    fn keep(&self, question: Question<'_>, subject: Subject<'_>, kept: Kept<Body>) {
        let _one_at_a_time = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        match self.current(&self.bodies, &question) {
            Some(other) if other.etag() != kept.value.etag() => self.versions.raise(subject),
            _ => self.bodies.insert(question.into(), kept),
        }
    }

    /// What is remembered under `key`, if it counts still.
    fn current<K, Q, T, W>(&self, kept: &sync::Cache<K, Kept<T>, W>, key: &Q) -> Option<Arc<T>>
    where
        K: Eq + Hash,
        Q: Hash + Equivalent<K>,
        W: Weighter<K, Kept<T>> + Clone,
    {
        if !self.is_followed() {
            return None;
        }
        let found = kept.get(key)?;
        found.on.iter().all(|stamp| self.versions.is_current(*stamp)).then_some(found.value)
    }

    /// Takes note of changes. They are all there were when the look began at `seen`.
    fn apply(&self, changes: &[Change], seen: Instant) {
        for change in changes {
            self.overtake(change);
        }
        self.sight.saw(seen);
    }

    fn overtake(&self, change: &Change) {
        let raise = |subject| self.versions.raise(subject);
        let answers = |topics: &[Topic]| {
            let org = change.org.as_deref().unwrap_or_default();
            for topic in topics {
                raise(Subject::Answers(org, *topic));
            }
        };
        match change.entity {
            Some(Entity::ApiToken) => {
                // In this order: who has looked at the second before it was raised looks at the first after it was.
                raise(Subject::AnyToken);
                raise(Subject::Token(&change.id));
            }
            Some(Entity::HookKey) => answers(&[Topic::HookKeys]),
            Some(Entity::InlineHook) => answers(&[Topic::InlineHooks, Topic::HookKeys]),
            Some(Entity::KeySet) => answers(&[Topic::KeySets]),
            Some(Entity::Org) => {
                raise(Subject::AnyToken);
                raise(Subject::Org(&change.id));
                answers(&Topic::ALL);
            }
            Some(Entity::Keyring | Entity::Key) => {}
            // Who wrote it may mean anything by it.
            None => self.versions.raise_all(),
        }
    }

    /// Begins anew: nothing from before the look at `seen` counts.
    fn begin(&self, seen: Instant) {
        self.versions.raise_all();
        self.sight.saw(seen);
    }

    /// From now on nothing counts.
    fn end(&self) {
        self.sight.lost();
    }
}

impl Sight {
    fn is_clear(&self) -> bool {
        let seen = self.seen.load(Ordering::Acquire);
        // By the clock, so that it holds for a process that was stopped and goes on, too.
        seen > 0 && self.start.elapsed() < Duration::from_millis(seen - 1) + BLIND
    }

    fn saw(&self, seen: Instant) {
        let since = seen.duration_since(self.start).as_millis();
        self.seen.store(u64::try_from(since).unwrap_or(u64::MAX - 1) + 1, Ordering::Release);
    }

    fn lost(&self) {
        self.seen.store(0, Ordering::Release);
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { value: Arc::clone(&self.value), on: self.on }
    }
}

impl Equivalent<Target> for Question<'_> {
    fn equivalent(&self, key: &Target) -> bool {
        *self.org == key.org && *self.base == *key.base && *self.path == *key.path
    }
}

impl From<Question<'_>> for Target {
    fn from(question: Question<'_>) -> Self {
        Self { org: question.org.clone(), base: question.base.into(), path: question.path.into() }
    }
}

impl Weighter<Target, Kept<Body>> for Rows {
    fn weight(&self, target: &Target, kept: &Kept<Body>) -> u64 {
        let bytes = target.base.len() + target.path.len() + kept.value.weight();
        (1 + bytes / BYTES_A_ROW) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::domain::entropy::Entropy;

    struct Zeros;

    impl Entropy for Zeros {
        fn fill(&self, out: &mut [u8]) -> Result<()> {
            out.fill(0);
            Ok(())
        }
    }

    fn cache() -> Cache {
        let cache = Cache::new(100);
        cache.begin(Instant::now());
        cache
    }

    fn org() -> OrgId {
        OrgId::generate(&Zeros).unwrap()
    }

    /// Asks for `path`; the database has `now`, and `meanwhile` happens after it was read. Tells the answer.
    async fn ask(cache: &Cache, path: &str, topic: Topic, now: &'static str, meanwhile: impl Fn()) -> String {
        let make = async || {
            meanwhile();
            Ok::<_, Infallible>(Body::new("text/plain", now))
        };
        let question = Question { org: &org(), base: "", path };
        let Ok(body) = cache.answer(question, topic, make).await;
        String::from_utf8(body.bytes().to_vec()).unwrap()
    }

    fn change(entity: Option<Entity>) -> Change {
        // Who does not know of what, does not know of whose.
        Change { rev: 1, id: org().to_string(), org: entity.map(|_| org().to_string()), entity }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_overtakes_the_answers_that_hang_on_it_and_no_others() {
        let all = Entity::ALL.map(|(entity, _)| Some(entity));
        for entity in all.into_iter().chain([None]) {
            let cache = cache();
            for topic in Topic::ALL {
                assert_eq!(ask(&cache, &format!("{topic:?}"), topic, "old", || {}).await, "old");
            }
            cache.apply(&[change(entity)], Instant::now());
            for topic in Topic::ALL {
                let overtaken = match entity {
                    Some(Entity::HookKey) => topic == Topic::HookKeys,
                    Some(Entity::InlineHook) => topic != Topic::KeySets,
                    Some(Entity::KeySet) => topic == Topic::KeySets,
                    Some(Entity::Org) | None => true,
                    Some(Entity::ApiToken | Entity::Keyring | Entity::Key) => false,
                };
                let expected = if overtaken { "new" } else { "old" };
                let answer = ask(&cache, &format!("{topic:?}"), topic, "new", || {}).await;
                assert_eq!(answer, expected, "{topic:?} after {entity:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_before_a_change_does_not_count_after_it() {
        let cache = cache();
        let change = || cache.apply(&[change(Some(Entity::HookKey))], Instant::now());
        assert_eq!(ask(&cache, "/", Topic::HookKeys, "old", change).await, "old");
        assert_eq!(ask(&cache, "/", Topic::HookKeys, "new", || {}).await, "new");
        assert_eq!(ask(&cache, "/", Topic::HookKeys, "newer", || {}).await, "new", "remembered");
        cache.begin(Instant::now());
        assert_eq!(ask(&cache, "/", Topic::HookKeys, "newer", || {}).await, "newer", "begun anew");
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_answers_found_at_the_same_time_neither_is_kept() {
        let cache = cache();
        let overtaken = || {
            let newer = ask(&cache, "/", Topic::KeySets, "new", || {}).now_or_never();
            assert_eq!(newer.unwrap(), "new");
        };
        assert_eq!(ask(&cache, "/", Topic::KeySets, "old", overtaken).await, "old");
        assert_eq!(ask(&cache, "/", Topic::KeySets, "newer", || {}).await, "newer");
        assert_eq!(ask(&cache, "/", Topic::KeySets, "newest", || {}).await, "newer", "remembered");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_or_counts_while_nobody_follows() {
        let cache = Cache::new(100);
        let answers = async |now| ask(&cache, "/", Topic::KeySets, now, || {}).await;
        assert_eq!((answers("a").await, answers("b").await), ("a".to_owned(), "b".to_owned()));
        cache.begin(Instant::now());
        assert_eq!((answers("c").await, answers("d").await), ("c".to_owned(), "c".to_owned()));
        cache.end();
        assert_eq!((answers("e").await, answers("f").await), ("e".to_owned(), "f".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_counts_until_the_database_is_out_of_sight() {
        let cache = cache();
        assert_eq!(ask(&cache, "/", Topic::HookKeys, "old", || {}).await, "old");
        let half = BLIND / 2;
        tokio::time::advance(half).await;
        assert!(cache.is_followed());
        assert_eq!(ask(&cache, "/", Topic::HookKeys, "new", || {}).await, "old");
        tokio::time::advance(half).await;
        assert!(!cache.is_followed());
        assert_eq!(ask(&cache, "/", Topic::HookKeys, "new", || {}).await, "new");
        cache.apply(&[], Instant::now());
        assert!(cache.is_followed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_shows_what_is_sealed_is_not_kept() {
        let cache = cache();
        let (org, path) = (org(), "/");
        for now in ["old", "new"] {
            let make = async || Ok::<_, Infallible>(Body::private("text/plain", now));
            let question = Question { org: &org, base: "", path };
            let Ok(body) = cache.answer(question, Topic::InlineHooks, make).await;
            assert_eq!(body.bytes(), now);
        }
    }

    #[test]
    fn a_long_body_counts_as_many_rows() {
        let (org, base) = (org(), "");
        let target = || Target::from(Question { org: &org, base, path: "/" });
        let versions = Versions::new();
        let on = [versions.stamp(Subject::AnyToken); 2];
        for (length, rows) in [(0, 1), (BYTES_A_ROW - 2, 1), (BYTES_A_ROW - 1, 2), (10 * 1024, 41)] {
            let value = Arc::new(Body::new("text/plain", vec![b'a'; length]));
            assert_eq!(Rows.weight(&target(), &Kept { value, on }), rows, "{length}");
        }
    }
}
