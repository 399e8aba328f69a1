//! Why a key or a key set was refused: everything the caller needs to mend it, free of HTTP.

use std::collections::BTreeMap;
use std::fmt;

/// Why a request about keys or key sets was refused. Values in it are the caller's own, or such as the caller may
/// read; private halves are never among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The entity breaks rules of its schema.
    Schema(Violations),
    /// Another entity of the org has the id that was asked for.
    IdTaken(String),
    /// Another entity of the org has the name.
    NameTaken(String),
    /// Another key of the same set, or another one without a set, has the kid.
    KidTaken {
        /// The kid.
        kid: String,
        /// The id of the set, if any.
        set: Option<String>,
    },
    /// No key set of the org has the id in the field `set`.
    SetUnknown(String),
    /// No key set of the org has the name in the field `set`.
    SetUnresolved(String),
    /// Nothing to change has this id.
    NoEntityOfId(String),
    /// Nothing to change has this name.
    NoEntityOfName(String),
    /// The offset of a list is none that the service gave.
    Offset {
        /// The offset.
        given: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The size of a page is out of range.
    Size(&'static str),
    /// A parameter of the query is wrong.
    Parameter {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// The part of a field that a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The field itself.
    Whole,
    /// The field as a record: how its members go together.
    Record,
    /// A member of a record.
    Member(String),
    /// An item of a list, counted from 1.
    Item(usize),
}

/// Most broken rules about fields that are told.
const MOST_TOLD: usize = 100;

/// Broken rules: those about the entity as a whole, and those about its fields by the name of the field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    entity: Vec<String>,
    fields: BTreeMap<String, BTreeMap<Part, String>>,
    told: usize,
}

impl Violations {
    /// Adds a rule about how fields go together.
    pub fn entity(&mut self, problem: impl Into<String>) {
        self.entity.push(problem.into());
    }

    /// Adds a rule about a field.
    pub fn field(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.part(field, Part::Whole, problem);
    }

    /// Adds a rule about a part of a field. A second one about the same part is appended to the first. After the
    /// first hundred nothing is added: a large body must not make a much larger answer.
    pub fn part(&mut self, field: impl Into<String>, part: Part, problem: impl Into<String>) {
        if self.told == MOST_TOLD {
            return;
        }
        self.told += 1;
        let problem = problem.into();
        let known = self.fields.entry(field.into()).or_default().entry(part);
        known.and_modify(|text| *text = format!("{text}; {problem}")).or_insert(problem);
    }

    /// Whether a rule about this field is broken.
    #[must_use]
    pub fn touch(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Whether no rule is broken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entity.is_empty() && self.fields.is_empty()
    }

    /// The rules about the entity as a whole.
    #[must_use]
    pub fn of_entity(&self) -> &[String] {
        &self.entity
    }

    /// The rules about fields, by name.
    pub fn of_fields(&self) -> impl Iterator<Item = (&str, &BTreeMap<Part, String>)> {
        self.fields.iter().map(|(field, parts)| (field.as_str(), parts))
    }

    /// One sentence for each broken rule: the entity's first, then those of the fields by name.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let of_fields = self.fields.iter().flat_map(|(field, parts)| {
            parts.iter().map(move |(part, problem)| match part {
                Part::Whole | Part::Record => format!("{field}: {problem}"),
                Part::Member(member) => format!("{field}.{member}: {problem}"),
                Part::Item(number) => format!("{field}.{number}: {problem}"),
            })
        });
        self.entity.iter().cloned().chain(of_fields).collect()
    }
}

/// For the log: without what callers made up, which may be a key that ended up in the wrong place.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Schema(violations) => return f.write_str(&violations.sentences().join("; ")),
            Self::Parameter { name, problem } => return write!(f, "{name}: {problem}"),
            Self::IdTaken(_) => "the id is taken",
            Self::NameTaken(_) => "the name is taken",
            Self::KidTaken { .. } => "the kid is taken in the key set",
            Self::SetUnknown(_) => "no key set has the id",
            Self::SetUnresolved(_) => "no key set has the name",
            Self::NoEntityOfId(_) => "nothing has the id",
            Self::NoEntityOfName(_) => "nothing has the name",
            Self::Offset { problem, .. } | Self::Size(problem) => problem,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entity_comes_first_then_the_fields_by_name() {
        let mut violations = Violations::default();
        violations.part("tags", Part::Item(2), "bad");
        violations.field("kid", "missing");
        violations.part("set", Part::Member("id".to_owned()), "no UUID");
        violations.entity("both");
        assert_eq!(
            violations.sentences(),
            ["both", "kid: missing", "set.id: no UUID", "tags.2: bad"].map(str::to_owned)
        );
    }

    #[test]
    fn a_second_problem_of_one_part_does_not_replace_the_first() {
        let mut violations = Violations::default();
        violations.field("pem", "one");
        violations.field("pem", "two");
        assert_eq!(violations.sentences(), ["pem: one; two"]);
    }
}
