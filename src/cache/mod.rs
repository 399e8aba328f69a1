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

use crate::domain::ids::{HookKeyId, OrgId};
use crate::domain::token::Token;
use crate::domain::window::Window;
use crate::error::Result;
use crate::metrics::Count;
use crate::store::changes::{Change, Entity};
use crate::store::conn::BLIND;
use crate::store::tokens::Digest;
use crate::store::{self, Db};

pub use body::Body;
pub use refresher::{Refresher, forget_old_changes};

use versions::{Stamp, Subject, Versions};

/// How many bytes of a body count as one row.
const BYTES_A_ROW: usize = 512;

/// The read model of this process.
pub struct Cache {
    sight: Sight,
    versions: Versions,
    tokens: sync::Cache<Digest, Kept<Known>>,
    bodies: sync::Cache<Target, Kept<Body>, Rows>,
    keeping: Mutex<()>,
    token_lookups: Lookups,
    body_lookups: Lookups,
}

/// How often something was remembered when it was asked for, and how often not.
#[derive(Debug, Default)]
pub struct Lookups {
    /// It was.
    pub hits: Count,
    /// It was not, or did not count any more.
    pub misses: Count,
}

/// When the database was last looked at.
struct Sight {
    start: Instant,
    /// Milliseconds from `start` to the last look, and one more; 0 while nobody follows.
    seen: AtomicU64,
}

/// A token, and what its requests are counted in.
#[derive(Debug)]
pub struct Known {
    /// The token.
    pub token: Token,
    /// The same for as long as the token is remembered anywhere.
    pub window: Arc<Window>,
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

/// What an answer shows, and so what overtakes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// The hook keys of the org.
    HookKeys,
    /// One hook key, or its public half.
    HookKey(HookKeyId),
    /// The inline hooks of the org.
    InlineHooks,
    /// The key sets of the org.
    KeySets,
}

impl Topic {
    fn subjects<'a>(&'a self, org: &'a OrgId) -> [Subject<'a>; 2] {
        let org = org.as_str();
        match self {
            // Whether a key is used hangs on the inline hooks.
            Self::HookKeys => [Subject::HookKeys(org), Subject::InlineHooks(org)],
            Self::HookKey(id) => [Subject::HookKey(id.as_str()), Subject::InlineHooks(org)],
            Self::InlineHooks => [Subject::InlineHooks(org); 2],
            Self::KeySets => [Subject::KeySets(org); 2],
        }
    }
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
            token_lookups: Lookups::default(),
            body_lookups: Lookups::default(),
        }
    }

    /// Whether the database was looked at in the last 5 seconds. While it was not, every read goes there.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.sight.is_clear()
    }

    /// How long ago the database was last looked at; `None` while nobody follows it.
    #[must_use]
    pub fn last_look(&self) -> Option<Duration> {
        self.sight.age()
    }

    /// How often tokens were looked for, and how many are remembered.
    #[must_use]
    pub fn tokens(&self) -> (&Lookups, u64) {
        (&self.token_lookups, self.tokens.len() as u64)
    }

    /// How often answers were looked for, how many are remembered, and as how many rows they count.
    #[must_use]
    pub fn answers(&self) -> (&Lookups, u64, u64) {
        (&self.body_lookups, self.bodies.len() as u64, self.bodies.weight())
    }

    /// The token with this digest, live or not, if it is remembered.
    #[must_use]
    pub fn remembered_token(&self, digest: &Digest) -> Option<Arc<Known>> {
        self.token_lookups.note(self.current(&self.tokens, digest))
    }

    /// The token with this digest, live or not, from the database. It is remembered, with what `window` gives for it.
    pub async fn read_token(
        &self,
        db: &Db,
        digest: Digest,
        window: impl FnOnce() -> Arc<Window>,
    ) -> Result<Option<Arc<Known>>> {
        let before = self.versions.stamp(Subject::AnyToken);
        let token = db.read(move |conn| store::tokens::find_by_digest(conn, &digest)).await?;
        Ok(token.map(|token| {
            let subjects = [Subject::Token(token.id.as_str()), Subject::Org(token.org.as_str())];
            let on = self.stamps_since(before, subjects);
            let value = Arc::new(Known { token, window: window() });
            if let Some(on) = on {
                self.tokens.insert(digest, Kept { value: Arc::clone(&value), on });
            }
            value
        }))
    }

    /// The answer to a question: from memory, or what `make` makes of the database now.
    pub async fn answer<E>(
        &self,
        question: Question<'_>,
        make: impl AsyncFnOnce() -> std::result::Result<(Topic, Body), E>,
    ) -> std::result::Result<Arc<Body>, E> {
        if let Some(body) = self.body_lookups.note(self.current(&self.bodies, &question)) {
            return Ok(body);
        }
        let before = self.versions.stamp(Subject::Shown(question.org.as_str()));
        // Boxed, so that an answer from memory need not carry the room for it.
        let (topic, body) = Box::pin(make()).await?;
        let body = Arc::new(body);
        if !body.is_private()
            && let Some(on) = self.stamps_since(before, topic.subjects(question.org))
        {
            self.keep(question, Kept { value: Arc::clone(&body), on });
        }
        Ok(body)
    }

    /// Stamps for something that was read from the database, of which only now is known on what it hangs. `before` is
    /// the stamp, from before it was read, of all that it may hang on: if any of that has changed meanwhile, it may
    /// have been this.
    fn stamps_since(&self, before: Stamp, subjects: [Subject<'_>; 2]) -> Option<[Stamp; 2]> {
        let on = subjects.map(|subject| self.versions.stamp(subject));
        (self.is_followed() && self.versions.is_current(before)).then_some(on)
    }

    /// Keeps a body, unless another one was found meanwhile: then one of the two is older, and nobody knows which.
    fn keep(&self, question: Question<'_>, kept: Kept<Body>) {
        let _one_at_a_time = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        match self.current(&self.bodies, &question) {
            Some(other) if other.etag() != kept.value.etag() => {
                kept.on.into_iter().for_each(|stamp| self.versions.outdate(stamp));
            }
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
        let (id, org) = (change.id.as_str(), change.org.as_deref().unwrap_or_default());
        // What stands for many comes first: who has a stamp of the one from before it was raised looks at the many
        // after they were.
        let subjects: &[Subject<'_>] = match change.entity {
            Some(Entity::ApiToken) => &[Subject::AnyToken, Subject::Token(id)],
            Some(Entity::HookKey) => &[Subject::Shown(org), Subject::HookKeys(org), Subject::HookKey(id)],
            Some(Entity::InlineHook) => &[Subject::Shown(org), Subject::InlineHooks(org)],
            Some(Entity::KeySet) => &[Subject::Shown(org), Subject::KeySets(org)],
            Some(Entity::Org) => &[
                Subject::AnyToken,
                Subject::Shown(id),
                Subject::Org(id),
                Subject::HookKeys(id),
                Subject::InlineHooks(id),
                Subject::KeySets(id),
            ],
            Some(Entity::Keyring | Entity::Key) => &[],
            // Who wrote it may mean anything by it.
            None => return self.versions.raise_all(),
        };
        for subject in subjects {
            self.versions.raise(*subject);
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

impl Lookups {
    fn note<T>(&self, found: Option<T>) -> Option<T> {
        if found.is_some() { &self.hits } else { &self.misses }.add();
        found
    }
}

impl Sight {
    fn is_clear(&self) -> bool {
        let seen = self.seen.load(Ordering::Acquire);
        // By the clock, so that it holds for a process that was stopped and goes on, too.
        seen > 0 && self.start.elapsed() < Duration::from_millis(seen - 1) + BLIND
    }

    fn age(&self) -> Option<Duration> {
        let seen = self.seen.load(Ordering::Acquire);
        (seen > 0).then(|| self.start.elapsed().saturating_sub(Duration::from_millis(seen - 1)))
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

    fn hook_key(letter: &str) -> HookKeyId {
        HookKeyId::parse(&format!("HKY{}", letter.repeat(17))).unwrap()
    }

    fn topics() -> [Topic; 5] {
        let keys = ["a", "b"].map(|letter| Topic::HookKey(hook_key(letter)));
        let [one, other] = keys;
        [Topic::HookKeys, one, other, Topic::InlineHooks, Topic::KeySets]
    }

    /// Asks for `path`; the database has `now`, and `meanwhile` happens after it was read. Tells the answer.
    async fn ask(cache: &Cache, path: &str, topic: Topic, now: &'static str, meanwhile: impl Fn()) -> String {
        let make = async || {
            meanwhile();
            Ok::<_, Infallible>((topic, Body::new("text/plain", now.as_bytes())))
        };
        let question = Question { org: &org(), base: "", path };
        let Ok(body) = cache.answer(question, make).await;
        String::from_utf8(body.bytes().to_vec()).unwrap()
    }

    /// A change of the entity; of the hook keys it is the first that has changed.
    fn change(entity: Option<Entity>) -> Change {
        let id = if entity == Some(Entity::HookKey) { hook_key("a").to_string() } else { org().to_string() };
        // Who does not know of what, does not know of whose.
        Change { rev: 1, id, org: entity.map(|_| org().to_string()), entity }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_overtakes_the_answers_that_hang_on_it_and_no_others() {
        let all = Entity::ALL.map(|(entity, _)| Some(entity));
        for entity in all.into_iter().chain([None]) {
            let cache = cache();
            for topic in topics() {
                assert_eq!(ask(&cache, &format!("{topic:?}"), topic, "old", || {}).await, "old");
            }
            cache.apply(&[change(entity)], Instant::now());
            for topic in topics() {
                let overtaken = match entity {
                    Some(Entity::HookKey) => {
                        topic == Topic::HookKeys || topic == Topic::HookKey(hook_key("a"))
                    }
                    Some(Entity::InlineHook) => topic != Topic::KeySets,
                    Some(Entity::KeySet) => topic == Topic::KeySets,
                    Some(Entity::Org) | None => true,
                    Some(Entity::ApiToken | Entity::Keyring | Entity::Key) => false,
                };
                let expected = if overtaken { "new" } else { "old" };
                let what = format!("{topic:?}");
                let answer = ask(&cache, &what, topic, "new", || {}).await;
                assert_eq!(answer, expected, "{what} after {entity:?}");
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
            let make = async || {
                Ok::<_, Infallible>((Topic::InlineHooks, Body::private("text/plain", now.as_bytes())))
            };
            let question = Question { org: &org, base: "", path };
            let Ok(body) = cache.answer(question, make).await;
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
            let value = Arc::new(Body::new("text/plain", &vec![b'a'; length]));
            assert_eq!(Rows.weight(&target(), &Kept { value, on }), rows, "{length}");
        }
    }
}
