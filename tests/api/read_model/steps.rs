//! What a history is made of: writes to a few names, so that they meet.

use std::fmt;
use std::time::Duration;

use proptest::prelude::*;
use reqwest::Method;
use reqwest::header::HOST;
use serde_json::{Value, json};

use super::case::{Case, Known};
use super::ledger::Bound;
use super::views::{KEYS, SETS, TAGS, TYPES};
use crate::harness::keys::small_key;
use crate::harness::{Client, answer, hook, http_channel, oauth_channel};

/// Most hook keys that one org makes in a history: each costs as much as a hundred other requests.
const HOOK_KEYS: usize = 4;

/// One write, and where.
#[derive(Debug, Clone)]
pub struct Step {
    pub node: usize,
    pub org: usize,
    pub write: Write,
    /// Whether the next step waits until the other node has noticed.
    pub settle: bool,
}

/// A write. Numbers are of names, tags and types; a [`Pick`] is of what is there or was.
#[derive(Debug, Clone)]
pub enum Write {
    CreateHookKey(usize),
    RenameHookKey(Pick, usize),
    DeleteHookKey(Pick),
    CreateHook { name: usize, kind: usize, key: Option<Pick> },
    ReplaceHook { hook: Pick, name: usize, key: Option<Pick> },
    UpdateHook(Pick, usize),
    SetStatus(Pick, &'static str),
    DeleteHook(Pick),
    CreateSet(usize, Tags),
    PutSet(Set, Tags),
    PutSetByName(usize, Tags),
    PatchSet { set: Set, name: Option<usize>, tags: Tags },
    DeleteSet(Set),
    CreateKey { name: usize, set: Set },
    MoveKey(usize, Option<Set>),
    PutKey(usize),
    DeleteKey(usize),
    PutSetOfKey { key: usize, name: usize, tags: Tags },
    PatchSetOfKey(usize, Tags),
    ReplaceToken,
}

impl Write {
    /// What gives an org one of everything.
    pub fn first() -> [Self; 6] {
        [
            Self::CreateHookKey(0),
            Self::CreateHook { name: 0, kind: 0, key: Some(Pick(0)) },
            // Three, so that there are two pages.
            Self::CreateSet(0, Tags(2)),
            Self::CreateSet(1, Tags(3)),
            Self::PutSet(Set::Chosen(3), Tags(0)),
            Self::CreateKey { name: 0, set: Set::Chosen(0) },
        ]
    }
}

/// An id that was seen: so many before the newest one of the org, or the newest one of the other org.
#[derive(Clone, Copy)]
pub struct Pick(usize);

/// A key set: by a name or an id that clients chose, or by one that was seen.
#[derive(Debug, Clone, Copy)]
pub enum Set {
    Chosen(usize),
    Seen(Pick),
}

/// `null`, an empty list, or some.
#[derive(Debug, Clone, Copy)]
pub struct Tags(usize);

impl fmt::Debug for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Self::FOREIGN => f.write_str("the other org's newest"),
            before => write!(f, "the newest but {before}"),
        }
    }
}

impl Pick {
    const FOREIGN: usize = 4;

    fn of<'a>(self, own: &'a [String], other: &'a [String]) -> &'a str {
        let id = match self.0 {
            Self::FOREIGN => other.last(),
            before => own.iter().rev().cycle().nth(before),
        };
        id.map_or("none", String::as_str)
    }
}

impl Set {
    fn of<'a>(self, own: &'a Known, other: &'a Known) -> &'a str {
        match self {
            Self::Chosen(number) => SETS[number],
            Self::Seen(pick) => pick.of(&own.sets, &other.sets),
        }
    }

    /// As the member of a key.
    fn reference(self, own: &Known, other: &Known) -> Value {
        let set = self.of(own, other);
        json!({ if set.len() < 36 { "name" } else { "id" }: set })
    }
}

impl Tags {
    fn json(self) -> Value {
        match self.0 {
            0 => Value::Null,
            1 => json!([]),
            2 => json!([TAGS[0]]),
            _ => json!([TAGS[1], TAGS[0]]),
        }
    }
}

pub fn step() -> impl Strategy<Value = Step> {
    // Histories of one org in which nodes wait for each other are the most telling, and not the only ones.
    let place = (0..2usize, prop_oneof![3 => Just(0usize), 1 => Just(1)], prop::bool::weighted(0.6));
    (place, write()).prop_map(|((node, org, settle), write)| Step { node, org, write, settle })
}

fn write() -> impl Strategy<Value = Write> {
    let hook_key = || (pick(), few());
    let of_hook_keys = prop_oneof![
        2 => few().prop_map(Write::CreateHookKey),
        3 => hook_key().prop_map(|(key, name)| Write::RenameHookKey(key, name)),
        3 => pick().prop_map(Write::DeleteHookKey),
    ];
    let key = || prop::option::weighted(0.5, pick());
    let of_hooks = prop_oneof![
        3 => (few(), 0..2usize, key())
            .prop_map(|(name, kind, key)| Write::CreateHook { name, kind, key }),
        2 => (pick(), few(), key()).prop_map(|(hook, name, key)| Write::ReplaceHook { hook, name, key }),
        2 => (pick(), few()).prop_map(|(hook, name)| Write::UpdateHook(hook, name)),
        1 => pick().prop_map(|hook| Write::SetStatus(hook, "activate")),
        1 => pick().prop_map(|hook| Write::SetStatus(hook, "deactivate")),
        3 => pick().prop_map(Write::DeleteHook),
    ];
    let name = || prop::option::of(few());
    let of_sets = prop_oneof![
        3 => (few(), tags()).prop_map(|(name, tags)| Write::CreateSet(name, tags)),
        3 => (set(), tags()).prop_map(|(set, tags)| Write::PutSet(set, tags)),
        1 => (few(), tags()).prop_map(|(name, tags)| Write::PutSetByName(name, tags)),
        3 => (set(), name(), tags()).prop_map(|(set, name, tags)| Write::PatchSet { set, name, tags }),
        3 => set().prop_map(Write::DeleteSet),
        2 => (few(), few(), tags())
            .prop_map(|(key, name, tags)| Write::PutSetOfKey { key, name, tags }),
        1 => (few(), tags()).prop_map(|(key, tags)| Write::PatchSetOfKey(key, tags)),
    ];
    let of_keys = prop_oneof![
        3 => (few(), set()).prop_map(|(name, set)| Write::CreateKey { name, set }),
        2 => (few(), prop::option::weighted(0.7, set())).prop_map(|(key, set)| Write::MoveKey(key, set)),
        1 => few().prop_map(Write::PutKey),
        2 => few().prop_map(Write::DeleteKey),
    ];
    prop_oneof![5 => of_hook_keys, 8 => of_hooks, 9 => of_sets, 5 => of_keys, 1 => Just(Write::ReplaceToken)]
}

/// The number of a name, of which the first one is in use more often than not.
fn few() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(0usize), 1 => Just(1), 1 => Just(2)]
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![6 => Just(0usize), 3 => Just(1), 1 => Just(2), 1 => Just(Pick::FOREIGN)].prop_map(Pick)
}

fn set() -> impl Strategy<Value = Set> {
    prop_oneof![1 => few().prop_map(Set::Chosen), 1 => (0..SETS.len()).prop_map(Set::Chosen), 1 => pick().prop_map(Set::Seen)]
}

fn tags() -> impl Strategy<Value = Tags> {
    (0..4usize).prop_map(Tags)
}

impl Case<'_> {
    /// Takes a step, and looks at what came of it.
    pub async fn take(&mut self, step: &Step) -> Result<(), String> {
        let Step { node, org, ref write, settle } = *step;
        if let Write::DeleteHook(hook) = *write {
            // Only a hook that is inactive can be deleted; the other node sees to that.
            self.make(1 - node, org, &Write::SetStatus(hook, "deactivate")).await?;
        }
        self.make(node, org, write).await?;
        if settle { self.settle(org).await } else { Ok(()) }
    }

    /// Makes a write, and reads everything where it was made.
    async fn make(&mut self, node: usize, org: usize, write: &Write) -> Result<(), String> {
        self.world.nodes[0].clock.advance(Duration::from_secs(1));
        let done = match write {
            Write::ReplaceToken => {
                self.replace_token(node, org).await?;
                true
            }
            write => self.send(node, org, write).await?,
        };
        self.learn(org).await;
        // Who was refused has been told nothing new.
        self.look(node, org, if done { Bound::Newest } else { Bound::Late }).await
    }

    /// Sends a write. Tells whether it was done.
    pub async fn send(&self, node: usize, org: usize, write: &Write) -> Result<bool, String> {
        let (method, path, body) = request(write, &self.orgs[org].known, &self.orgs[1 - org].known);
        let admin = &self.orgs[org].clients[node].admin;
        let request = admin.request(method.clone(), &path).header(HOST, "writers.example.com");
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = answer::send(request).await;
        match response.status().as_u16() {
            200 | 201 | 204 => Ok(true),
            400 | 404 | 409 => Ok(false),
            other => Err(format!("{method} {path} {body:?} answered {other}: {:?}", response.text().await)),
        }
    }

    /// Gives an org another token and revokes the old one, which its clients have used on both nodes.
    async fn replace_token(&mut self, node: usize, org: usize) -> Result<(), String> {
        const PATH: &str = "/key-sets";
        let server = &self.world.nodes[node];
        let (token, secret) = server.token(&self.orgs[org].name, &["all"], None).await;
        let old = self.orgs[org].token.clone();
        let revoked: [Client; 2] = self.orgs[org].clients.each_ref().map(|clients| clients.admin.clone());
        self.use_token(org, token, &secret);
        server.tokens.revoke(old).await.unwrap();
        let status = revoked[node].get(PATH).await.status;
        if status != 401 {
            return Err(format!("node {node} answered {status} to a token that it has revoked"));
        }
        revoked[1 - node].until(PATH, 401).await;
        let status = revoked[1 - node].get(PATH).await.status;
        if status != 401 {
            return Err(format!("node {} answered {status} to a token that it has refused", 1 - node));
        }
        Ok(())
    }
}

/// The request that a write is.
fn request(write: &Write, own: &Known, other: &Known) -> (Method, String, Option<Value>) {
    let hook_key = |pick: Pick| format!("/api/v1/hook-keys/{}", pick.of(&own.hook_keys, &other.hook_keys));
    let path_of_hook = |pick: Pick| format!("/api/v1/inlineHooks/{}", pick.of(&own.hooks, &other.hooks));
    let path_of_set = |set: Set| format!("/key-sets/{}", set.of(own, other));
    let key_path = |key: usize| format!("/keys/{}", KEYS[key]);
    let channel = |key: Option<Pick>| match key {
        None => http_channel("https://example.com/hook"),
        Some(pick) => {
            let key = json!({ "id": pick.of(&own.hook_keys, &other.hook_keys) });
            oauth_channel("https://example.com/token", "https://example.com/hook", &key)
        }
    };
    let body_of_hook = |name: usize, key: Option<Pick>| hook(&format!("h{name}"), channel(key));
    let keyed = |key: usize, more: Value| {
        let mut body = small_key(&format!("kid {key}"));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (method, path, body) = match *write {
        Write::CreateHookKey(name) if own.hook_keys.len() < HOOK_KEYS => {
            (Method::POST, "/api/v1/hook-keys".to_owned(), json!({ "name": format!("k{name}") }))
        }
        Write::CreateHookKey(name) => (Method::PUT, hook_key(Pick(0)), json!({ "name": format!("k{name}") })),
        Write::RenameHookKey(key, name) => {
            (Method::PUT, hook_key(key), json!({ "name": format!("k{name}") }))
        }
        Write::DeleteHookKey(key) => (Method::DELETE, hook_key(key), Value::Null),
        Write::CreateHook { name, kind, key } => {
            let mut body = body_of_hook(name, key);
            body["type"] = TYPES[kind].into();
            (Method::POST, "/api/v1/inlineHooks".to_owned(), body)
        }
        Write::ReplaceHook { hook, name, key } => (Method::PUT, path_of_hook(hook), body_of_hook(name, key)),
        Write::UpdateHook(hook, name) => {
            (Method::POST, path_of_hook(hook), json!({ "name": format!("h{name}") }))
        }
        Write::SetStatus(hook, how) => {
            (Method::POST, format!("{}/lifecycle/{how}", path_of_hook(hook)), json!({}))
        }
        Write::DeleteHook(hook) => (Method::DELETE, path_of_hook(hook), Value::Null),
        Write::CreateSet(name, tags) => {
            (Method::POST, "/key-sets".to_owned(), json!({ "name": SETS[name], "tags": tags.json() }))
        }
        Write::PutSet(set, tags) => (Method::PUT, path_of_set(set), json!({ "tags": tags.json() })),
        Write::PutSetByName(name, tags) => {
            (Method::PUT, "/key-sets".to_owned(), json!({ "name": SETS[name], "tags": tags.json() }))
        }
        Write::PatchSet { set, name, tags } => {
            let name = name.map(|name| SETS[name]);
            (Method::PATCH, path_of_set(set), json!({ "name": name, "tags": tags.json() }))
        }
        Write::DeleteSet(set) => (Method::DELETE, path_of_set(set), Value::Null),
        Write::CreateKey { name, set } => {
            let more = json!({ "name": KEYS[name], "set": set.reference(own, other) });
            (Method::POST, "/keys".to_owned(), keyed(name, more))
        }
        Write::MoveKey(key, set) => {
            let set = set.map(|set| set.reference(own, other));
            (Method::PATCH, key_path(key), json!({ "set": set }))
        }
        Write::PutKey(key) => (Method::PUT, key_path(key), keyed(key, json!({}))),
        Write::DeleteKey(key) => (Method::DELETE, key_path(key), Value::Null),
        Write::PutSetOfKey { key, name, tags } => {
            let body = json!({ "name": SETS[name], "tags": tags.json() });
            (Method::PUT, format!("{}/set", key_path(key)), body)
        }
        Write::PatchSetOfKey(key, tags) => {
            (Method::PATCH, format!("{}/set", key_path(key)), json!({ "tags": tags.json() }))
        }
        Write::ReplaceToken => unreachable!("no request does it"),
    };
    (method, path, Some(body).filter(|body| !body.is_null()))
}
