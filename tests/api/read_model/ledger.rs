//! What the database has answered over time, and whether an answer of a node that remembers fits into that.
//!
//! A node may be late, but it may not go back, and it may not answer what never was.

use std::collections::HashMap;

/// Who reads what, and under which name of the service: the links in an answer begin with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct View {
    pub org: usize,
    pub reader: Reader,
    pub host: &'static str,
    pub path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reader {
    /// May do everything.
    Admin,
    /// May read the keys of Kong's side, and nothing else.
    Narrow,
    /// Has no token.
    Nobody,
}

/// An answer, as far as it must be the same from every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub status: u16,
    pub body: String,
}

/// How much a node may lag when it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// It has acknowledged the last write itself, or has shown all of it.
    Newest,
    /// It may not have noticed yet.
    Late,
}

#[derive(Default)]
pub struct Ledger {
    /// The answers of the database to each view, oldest first. `None` for the time before it was first asked.
    states: HashMap<View, Vec<Option<Seen>>>,
    /// The last answer that a node gave, by its place among the states.
    places: HashMap<(usize, View), usize>,
    /// What each tag stands for.
    tags: HashMap<(View, String), Seen>,
    /// The last tag of each view.
    last_tags: HashMap<View, String>,
}

impl Ledger {
    /// Notes what the database answers now.
    pub fn learn(&mut self, view: &View, seen: Seen) {
        let states = self.states.entry(view.clone()).or_insert_with(|| vec![None]);
        let seen = Some(seen);
        if states.last() != Some(&seen) {
            states.push(seen);
        }
    }

    /// Notes what a node answers now. Tells whether that is what the database answers, or why it cannot be.
    pub fn judge(&mut self, node: usize, view: &View, seen: &Seen, bound: Bound) -> Result<bool, String> {
        let states = &self.states[view];
        let newest = states.last().and_then(Option::as_ref);
        let is_newest = newest == Some(seen);
        let place = self.places.entry((node, view.clone())).or_default();
        let found = match bound {
            Bound::Newest => is_newest.then(|| states.len() - 1),
            Bound::Late => {
                let known = states.iter().skip(*place).position(|state| state.as_ref() == Some(seen));
                known.map(|after| *place + after).or_else(|| (*place == 0).then_some(0))
            }
        };
        if let Some(found) = found {
            *place = found;
            return Ok(is_newest);
        }
        let was = states.iter().any(|state| state.as_ref() == Some(seen));
        let what = if was { "is not true any more" } else { "never was" };
        Err(format!("node {node} answers what {what}: {view:?}: {seen:?}; the database answers {newest:?}"))
    }

    /// The tag to ask with, if any node has given one.
    pub fn tag(&self, view: &View) -> Option<&String> {
        self.last_tags.get(view)
    }

    /// Notes the tag of an answer. One that stood for something else is of no use to anybody.
    pub fn tagged(&mut self, view: &View, tag: &str, seen: &Seen) -> Result<(), String> {
        self.last_tags.insert(view.clone(), tag.to_owned());
        let known = self.tags.entry((view.clone(), tag.to_owned())).or_insert_with(|| seen.clone());
        if known == seen {
            return Ok(());
        }
        Err(format!("the tag {tag} stands for two answers to {view:?}: {known:?} and {seen:?}"))
    }

    /// What a 304 stands for.
    pub fn untagged(&self, view: &View, tag: &str) -> Seen {
        self.tags[&(view.clone(), tag.to_owned())].clone()
    }
}

mod tests {
    use super::{Bound, Ledger, Reader, Seen, View};

    fn seen(body: &str) -> Seen {
        Seen { status: 200, body: body.to_owned() }
    }

    fn view() -> View {
        View { org: 0, reader: Reader::Admin, host: "localhost", path: "/".to_owned() }
    }

    /// A ledger in which the database has answered these, one after the other.
    fn ledger(states: &[&str]) -> Ledger {
        let mut ledger = Ledger::default();
        for state in states {
            ledger.learn(&view(), seen(state));
        }
        ledger
    }

    #[test]
    fn a_node_may_be_late_and_may_not_go_back() {
        let mut ledger = ledger(&["a", "b", "c"]);
        let mut late = |body| ledger.judge(0, &view(), &seen(body), Bound::Late);
        assert_eq!(late("a"), Ok(false));
        assert_eq!(late("a"), Ok(false));
        assert_eq!(late("b"), Ok(false));
        assert!(late("a").unwrap_err().contains("not true any more"));
        assert_eq!(late("c"), Ok(true));
        assert!(late("b").is_err());
        assert!(late("d").unwrap_err().contains("never was"));
        assert_eq!(ledger.judge(1, &view(), &seen("a"), Bound::Late), Ok(false), "another node is later");
    }

    #[test]
    fn what_was_once_and_is_again_may_be_either() {
        let mut ledger = ledger(&["a", "b", "a"]);
        let mut late = |body| ledger.judge(0, &view(), &seen(body), Bound::Late);
        assert_eq!(late("a"), Ok(true));
        assert_eq!(late("b"), Ok(false));
        assert_eq!(late("a"), Ok(true));
        assert!(late("b").is_err());
    }

    #[test]
    fn who_has_acknowledged_a_write_is_not_late() {
        let mut ledger = ledger(&["a", "b"]);
        assert!(ledger.judge(0, &view(), &seen("a"), Bound::Newest).is_err());
        assert_eq!(ledger.judge(0, &view(), &seen("b"), Bound::Newest), Ok(true));
    }

    #[test]
    fn what_a_late_node_shows_from_before_the_first_look_is_not_known_and_not_shown_twice() {
        let mut ledger = ledger(&["a"]);
        let mut late = |body| ledger.judge(0, &view(), &seen(body), Bound::Late);
        assert_eq!(late("from before"), Ok(false));
        assert_eq!(late("a"), Ok(true));
        assert!(late("from before").is_err());
    }

    #[test]
    fn a_tag_stands_for_one_answer() {
        let mut ledger = Ledger::default();
        ledger.tagged(&view(), "1", &seen("a")).unwrap();
        ledger.tagged(&view(), "1", &seen("a")).unwrap();
        assert_eq!(ledger.untagged(&view(), "1"), seen("a"));
        assert!(ledger.tagged(&view(), "1", &seen("b")).is_err());
    }
}
