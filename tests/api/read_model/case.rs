//! Three servers on one database, of which one remembers nothing, and two orgs of which everything is read on all of
//! them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use hook_keys::app::Parts;
use hook_keys::domain::ids::TokenId;
use reqwest::Method;
use reqwest::header::{ETAG, HOST, IF_NONE_MATCH};

use super::ledger::{Bound, Ledger, Reader, Seen, View};
use super::views;
use crate::harness::{Client, FORGETTING, PATIENCE, Server, answer};

/// How many requests are under way at once.
const AT_ONCE: usize = 4;

/// Two nodes that remember, and beside them one that asks the database every time.
pub struct World {
    pub nodes: [Server; 2],
    oracle: Server,
}

/// One history, in two orgs of its own.
pub struct Case<'a> {
    pub world: &'a World,
    pub orgs: [Org; 2],
    ledger: Ledger,
}

/// An org, and all that was ever there.
pub struct Org {
    pub name: String,
    pub token: TokenId,
    /// Those of the two nodes.
    pub clients: [Clients; 2],
    oracle: Clients,
    narrow: String,
    pub known: Known,
}

#[derive(Default)]
pub struct Known {
    pub hook_keys: Vec<String>,
    pub key_ids: Vec<String>,
    pub hooks: Vec<String>,
    pub sets: Vec<String>,
    pub pages: BTreeSet<String>,
}

/// The clients of one server.
pub struct Clients {
    pub admin: Client,
    narrow: Client,
    nobody: Client,
}

/// What came back. Nothing is seen where a tag was sent and still holds.
struct Answered {
    view: View,
    sent: Option<String>,
    seen: Option<Seen>,
    tag: Option<String>,
}

impl World {
    /// Nodes that look for changes often, each with more settings.
    pub async fn start(more: [&[(&str, &str)]; 2]) -> Self {
        let often = ("HOOK_KEYS_CACHE_POLL_INTERVAL", "20ms");
        // Some histories read as fast as they can, for as long as others write.
        let unlimited = ("HOOK_KEYS_RATE_LIMITS_REQUESTS", "0");
        let [first, second] = more.map(|more| [&[often, unlimited], more].concat());
        let first = Server::start_with(&first, Parts::default()).await;
        let second = first.beside_with(&second).await;
        let oracle = first.beside_with(&[FORGETTING, unlimited]).await;
        Self { nodes: [first, second], oracle }
    }

    /// A history that begins with two orgs, which have nothing yet.
    pub async fn case(&self, name: &str) -> Case<'_> {
        let orgs = [self.org(&format!("{name}-0")).await, self.org(&format!("{name}-1")).await];
        Case { world: self, orgs, ledger: Ledger::default() }
    }

    async fn org(&self, name: &str) -> Org {
        self.nodes[0].org(name).await;
        let (token, secret) = self.nodes[0].token(name, &["all"], None).await;
        let (_, narrow) = self.nodes[0].token(name, &["keys.read"], None).await;
        let clients = self.nodes.each_ref().map(|node| Clients::new(node, &secret, &narrow));
        let oracle = Clients::new(&self.oracle, &secret, &narrow);
        Org { name: name.to_owned(), token, clients, oracle, narrow, known: Known::default() }
    }
}

impl Clients {
    fn new(server: &Server, token: &str, narrow: &str) -> Self {
        let [admin, narrow] =
            [token, narrow].map(|token| server.with_authorization(Some(&format!("SSWS {token}"))));
        Self { admin, narrow, nobody: server.with_authorization(None) }
    }

    async fn read_all(&self, asked: Vec<(View, Option<String>)>) -> Vec<Answered> {
        let answers = stream::iter(asked).map(|(view, tag)| self.read(view, tag));
        answers.buffered(AT_ONCE).collect().await
    }

    async fn read(&self, view: View, sent: Option<String>) -> Answered {
        let client = match view.reader {
            Reader::Admin => &self.admin,
            Reader::Narrow => &self.narrow,
            Reader::Nobody => &self.nobody,
        };
        let mut request = client.request(Method::GET, &view.path).header(HOST, view.host);
        if let Some(tag) = &sent {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let response = answer::send(request).await;
        let status = response.status().as_u16();
        let tag = response.headers().get(ETAG).map(|tag| tag.to_str().unwrap().to_owned());
        let body = without_error_id(response.text().await.unwrap());
        let unchanged = status == 304 && sent.is_some();
        Answered { view, sent, seen: (!unchanged).then_some(Seen { status, body }), tag }
    }
}

impl Case<'_> {
    /// Lets an org's clients use another token.
    pub fn use_token(&mut self, org: usize, token: TokenId, secret: &str) {
        let (world, org) = (self.world, &mut self.orgs[org]);
        org.token = token;
        org.clients = world.nodes.each_ref().map(|node| Clients::new(node, secret, &org.narrow));
        org.oracle = Clients::new(&world.oracle, secret, &org.narrow);
    }

    /// Begins a new ledger: what was answered before does not count.
    pub fn forget(&mut self) {
        self.ledger = Ledger::default();
    }

    /// Finds out what is there, and what the database answers to every view of it.
    pub async fn learn(&mut self, org: usize) {
        let Org { oracle, known, .. } = &mut self.orgs[org];
        for (path, members) in [
            ("/api/v1/hook-keys", vec![(&mut known.hook_keys, "id"), (&mut known.key_ids, "keyId")]),
            ("/api/v1/inlineHooks", vec![(&mut known.hooks, "id")]),
            ("/key-sets?size=1000", vec![(&mut known.sets, "id")]),
        ] {
            let body = oracle.admin.get(path).await.expect(200).json();
            let items = body.as_array().or_else(|| body["data"].as_array()).unwrap();
            for (ids, member) in members {
                let found = items.iter().map(|item| item[member].as_str().unwrap().to_owned());
                let new: Vec<_> = found.filter(|id| !ids.contains(id)).collect();
                ids.extend(new);
            }
        }
        let mut next = Some("/key-sets?size=2".to_owned());
        while let Some(path) = next {
            next = oracle.admin.get(&path).await.expect(200).json()["next"].as_str().map(str::to_owned);
            known.pages.insert(path);
        }
        let asked = self.views(org).into_iter().map(|view| (view, None)).collect();
        for answer in self.orgs[org].oracle.read_all(asked).await {
            self.ledger.learn(&answer.view, answer.seen.unwrap());
        }
    }

    /// Reads everything of an org on a node.
    pub async fn look(&mut self, node: usize, org: usize, bound: Bound) -> Result<(), String> {
        let views = self.views(org);
        self.look_at(node, org, views, bound, false).await.map(drop)
    }

    /// Waits until both nodes show what the database answers, and holds them to it.
    pub async fn settle(&mut self, org: usize) -> Result<(), String> {
        for node in 0..self.world.nodes.len() {
            let begun = Instant::now();
            let mut late = self.views(org);
            loop {
                late = self.look_at(node, org, late, Bound::Late, false).await?;
                if late.is_empty() {
                    break;
                }
                if begun.elapsed() > PATIENCE {
                    // What was late all the time is told as what is wrong.
                    self.look_at(node, org, late.clone(), Bound::Newest, false).await?;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let views = self.views(org);
            self.look_at(node, org, views, Bound::Newest, true).await?;
        }
        Ok(())
    }

    /// Reads these views, perhaps with the tags that are known. Returns those that are late.
    async fn look_at(
        &mut self,
        node: usize,
        org: usize,
        views: Vec<View>,
        bound: Bound,
        with_tags: bool,
    ) -> Result<Vec<View>, String> {
        let tag = |view: &View| self.ledger.tag(view).filter(|_| with_tags).cloned();
        let asked = views.into_iter().map(|view| (tag(&view), view)).map(|(tag, view)| (view, tag)).collect();
        let mut late = Vec::new();
        for Answered { view, sent, seen, tag } in self.orgs[org].clients[node].read_all(asked).await {
            let (seen, tag) = match seen {
                Some(seen) => (seen, tag),
                // What was sent is what is true.
                None => (self.ledger.untagged(&view, &sent.unwrap()), None),
            };
            if !self.ledger.judge(node, &view, &seen, bound)? {
                late.push(view.clone());
            }
            if let Some(tag) = tag {
                self.ledger.tagged(&view, &tag, &seen)?;
            }
        }
        Ok(late)
    }

    fn views(&self, org: usize) -> Vec<View> {
        views::of(org, &self.orgs[org].known, &self.orgs[1 - org].known)
    }
}

/// Failures of Okta's side have an id of their own, each time another one.
fn without_error_id(body: String) -> String {
    const MEMBER: &str = "\"errorId\":\"";
    let Some(begin) = body.find(MEMBER).map(|at| at + MEMBER.len()) else { return body };
    let Some(length) = body[begin..].find('"') else { return body };
    format!("{}{}", &body[..begin], &body[begin + length..])
}
