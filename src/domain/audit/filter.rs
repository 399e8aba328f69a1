//! Filters of events: the part of SCIM's language (RFC 7644 §3.4.2.2) that asks for types and outcomes.

use std::collections::BTreeSet;

use super::Outcome;
use crate::error::{Error, Result};

/// What is understood, for who wrote something else.
const UNDERSTOOD: &str = "use eventType eq \"...\" and outcome.result eq \"SUCCESS\" or \"FAILURE\", with `and`, `or` and \
                          parentheses between them";

/// Parentheses within parentheses at most.
const DEEPEST: usize = 20;

/// Which events a filter lets through: for each outcome, which types. Every filter comes down to this, because it can
/// ask for nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Of those that were done.
    pub success: Kinds,
    /// Of those that were not.
    pub failure: Kinds,
}

/// A set of types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kinds {
    /// All, also those of newer versions.
    All,
    /// Those of these names.
    Only(BTreeSet<String>),
}

impl Kinds {
    fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, kinds) | (kinds, Self::All) => kinds,
            (Self::Only(one), Self::Only(other)) => Self::Only(&one & &other),
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(one), Self::Only(other)) => Self::Only(&one | &other),
            _ => Self::All,
        }
    }
}

impl Selection {
    /// Everything.
    pub const ALL: Self = Self { success: Kinds::All, failure: Kinds::All };

    /// Those of this type.
    #[must_use]
    pub fn of_type(name: &str) -> Self {
        let kinds = Kinds::Only(BTreeSet::from([name.to_owned()]));
        Self { success: kinds.clone(), failure: kinds }
    }

    fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => Self { success: Kinds::All, failure: Kinds::none() },
            Outcome::Failure => Self { success: Kinds::none(), failure: Kinds::All },
        }
    }

    /// What both let through.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { success: self.success.and(other.success), failure: self.failure.and(other.failure) }
    }

    /// What one of the two lets through.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { success: self.success.or(other.success), failure: self.failure.or(other.failure) }
    }

    /// Reads a filter. `and` binds more than `or`. Operators are read in any case, as SCIM has it.
    pub fn parse(text: &str) -> Result<Self> {
        let parsed = tokens(text).and_then(|tokens| {
            let mut rest = tokens.as_slice();
            let selection = alternatives(&mut rest, 0)?;
            rest.is_empty().then_some(selection)
        });
        parsed.ok_or_else(|| Error::invalid("filter", format_args!("It is not understood: {UNDERSTOOD}")))
    }
}

#[derive(Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Word(String),
    Text(String),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '(' => (Token::Open, rest.get(1..)?),
            ')' => (Token::Close, rest.get(1..)?),
            '"' => {
                // No type has a quotation mark in it, and PostgreSQL does not even take a question with U+0000.
                let (value, after) = rest.get(1..)?.split_once('"')?;
                if value.contains(char::is_control) {
                    return None;
                }
                (Token::Text(value.to_owned()), after)
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "()\"".contains(c)).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                (Token::Word(word.to_owned()), after)
            }
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Some(tokens)
}

fn alternatives(rest: &mut &[Token], depth: usize) -> Option<Selection> {
    let mut selection = conjunction(rest, depth)?;
    while takes(rest, "or") {
        selection = selection.or(conjunction(rest, depth)?);
    }
    Some(selection)
}

fn conjunction(rest: &mut &[Token], depth: usize) -> Option<Selection> {
    let mut selection = comparison(rest, depth)?;
    while takes(rest, "and") {
        selection = selection.and(comparison(rest, depth)?);
    }
    Some(selection)
}

fn comparison(rest: &mut &[Token], depth: usize) -> Option<Selection> {
    match *rest {
        [Token::Open, after @ ..] if depth < DEEPEST => {
            *rest = after;
            let selection = alternatives(rest, depth + 1)?;
            let [Token::Close, after @ ..] = *rest else { return None };
            *rest = after;
            Some(selection)
        }
        [Token::Word(attribute), Token::Word(operator), Token::Text(value), after @ ..]
            if operator.eq_ignore_ascii_case("eq") =>
        {
            *rest = after;
            // Names of attributes have no case either (RFC 7643 §2.1).
            if attribute.eq_ignore_ascii_case("eventType") {
                return Some(Selection::of_type(value));
            }
            let is_outcome = attribute.eq_ignore_ascii_case("outcome.result");
            Outcome::parse(value).filter(|_| is_outcome).map(Selection::of_outcome)
        }
        _ => None,
    }
}

fn takes(rest: &mut &[Token], operator: &str) -> bool {
    match *rest {
        [Token::Word(word), after @ ..] if word.eq_ignore_ascii_case(operator) => {
            *rest = after;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> Kinds {
        Kinds::Only(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn a_filter_comes_down_to_types_for_each_outcome() {
        let of = |text| Selection::parse(text).unwrap();
        for (text, success, failure) in [
            ("eventType eq \"a\"", only(&["a"]), only(&["a"])),
            ("eventType eq \"a\" or eventType eq \"b\"", only(&["a", "b"]), only(&["a", "b"])),
            ("eventType eq \"a\" and eventType eq \"b\"", only(&[]), only(&[])),
            ("outcome.result eq \"FAILURE\"", only(&[]), Kinds::All),
            ("outcome.result eq \"FAILURE\" and eventType eq \"a\"", only(&[]), only(&["a"])),
            ("outcome.result eq \"SUCCESS\" or outcome.result eq \"FAILURE\"", Kinds::All, Kinds::All),
            ("OUTCOME.Result EQ \"SUCCESS\" AND EventType Eq \"a\"", only(&["a"]), only(&[])),
        ] {
            assert_eq!(of(text), Selection { success, failure }, "{text}");
        }
    }

    #[test]
    fn and_binds_more_than_or_and_parentheses_more_than_both() {
        let (a, b) = ("eventType eq \"a\"", "eventType eq \"b\"");
        let success = "outcome.result eq \"SUCCESS\"";
        let loose = Selection::parse(&format!("{a} or {b} and {success}")).unwrap();
        assert_eq!(loose, Selection { success: only(&["a", "b"]), failure: only(&["a"]) });
        let tight = Selection::parse(&format!("({a} or {b})and({success})")).unwrap();
        assert_eq!(tight, Selection { success: only(&["a", "b"]), failure: only(&[]) });
    }

    #[test]
    fn anything_else_is_refused_and_told_what_is_understood() {
        let deep = format!("{}eventType eq \"a\"{}", "(".repeat(30), ")".repeat(30));
        for text in [
            "",
            " ",
            "eventType",
            "eventType eq",
            "eventType eq a",
            "eventType eq \"a",
            "eventType ne \"a\"",
            "eventType sw \"a\"",
            "not (eventType eq \"a\")",
            "actor.id eq \"a\"",
            "outcome.result eq \"MAYBE\"",
            "eventType eq \"a\" eventType eq \"b\"",
            "eventType eq \"a\" and",
            "(eventType eq \"a\"",
            "eventType eq \"a\")",
            "()",
            "é eq \"a\"",
            "eventType eq \"\0\"",
            &deep,
        ] {
            let refused = Selection::parse(text).unwrap_err().to_string();
            assert!(refused.contains("filter: ") && refused.contains("eventType eq"), "{text}: {refused}");
        }
    }
}
