//! Reading fields by their types, and noting every violation instead of stopping at the first (contract §4).

use serde_json::{Map, Value};

use crate::domain::Timestamp;
use crate::domain::change::Change;
use crate::domain::ids::EntityId;
use crate::domain::key::{LONGEST_NAME, Selector};
use crate::domain::secret::Secret;
use crate::domain::tags::{MOST_TAGS, Tags};
use crate::domain::text::{LOOKS_LIKE_KEY, looks_like_key, told};
use crate::error::{Part, Violations};

/// The last second of the year 9999.
const LATEST: i64 = 253_402_300_799;

/// The fields of a body that were not read yet, and what was found wrong with the others.
pub struct Fields {
    members: Map<String, Value>,
    /// Whether all values are texts: then a number is a text of digits, and one text may stand for a list.
    is_form: bool,
    violations: Violations,
}

impl Fields {
    /// Fields of a body.
    #[must_use]
    pub fn new(members: Map<String, Value>, is_form: bool) -> Self {
        Self { members, is_form, violations: Violations::default() }
    }

    /// The same with the name that the path gives instead of one in the body (contract §1): it obeys the same rules.
    #[must_use]
    pub fn named_by(mut self, selector: &Selector) -> Self {
        if let Selector::Name(name) = selector {
            self.members.insert("name".to_owned(), Value::String(name.clone()));
        }
        self
    }

    /// An id that the client has chosen.
    pub(super) fn id(&mut self) -> Option<EntityId> {
        let problem = match self.members.remove("id") {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) => match EntityId::parse(&text) {
                Some(id) => return Some(id),
                None => "expected a valid UUID",
            },
            Some(_) => "expected a string",
        };
        self.violations.field("id", problem);
        None
    }

    /// A name or the like.
    pub(super) fn name(&mut self, field: &'static str) -> Change<String> {
        let value = self.members.remove(field);
        match name(value) {
            Ok(change) => change,
            Err(problem) => {
                self.violations.field(field, problem);
                Change::Keep
            }
        }
    }

    /// A text that may be secret.
    pub(super) fn secret(&mut self, field: &'static str, longest: usize) -> Change<Secret> {
        let value = self.members.remove(field);
        self.secret_of(value, longest, field, Part::Whole)
    }

    /// The tags.
    pub(super) fn tags(&mut self) -> Change<Tags> {
        let items = match self.members.remove("tags") {
            None => return Change::Keep,
            Some(Value::Null) => return Change::Clear,
            Some(Value::Array(items)) => items,
            Some(text @ Value::String(_)) if self.is_form => vec![text],
            // How Lua's JSON knows an empty list.
            Some(Value::Object(members)) if members.is_empty() => Vec::new(),
            Some(_) => {
                self.violations.field("tags", "expected a set");
                return Change::Keep;
            }
        };
        if items.len() > MOST_TAGS {
            self.violations.field("tags", format!("length must be at most {MOST_TAGS}"));
            return Change::Keep;
        }
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) => texts.push(text),
                _ => self.violations.part("tags", Part::Item(index + 1), "expected a string"),
            }
        }
        if self.violations.touch("tags") {
            return Change::Keep;
        }
        Change::Set(Tags::parse(texts, &mut self.violations))
    }

    /// The times. The one of the last change is the service's own, but must be a time.
    pub(super) fn created(&mut self) -> Option<Timestamp> {
        self.time("updated_at");
        self.time("created_at")
    }

    fn time(&mut self, field: &'static str) -> Option<Timestamp> {
        let seconds = match self.members.remove(field) {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) if self.is_form => text.parse().ok(),
            Some(value) => whole(&value),
        };
        let moment = match seconds {
            None => Err("expected an integer".to_owned()),
            Some(seconds) if !(0..=LATEST).contains(&seconds) => {
                Err(format!("value should be between 0 and {LATEST}"))
            }
            Some(seconds) => Ok(Timestamp::from_timestamp(seconds, 0)),
        };
        moment.unwrap_or_else(|problem| {
            self.violations.field(field, problem);
            None
        })
    }

    /// A record. What is found wrong inside is noted under the name of the field.
    pub(super) fn record(&mut self, field: &'static str) -> Change<Record<'_>> {
        match self.members.remove(field) {
            None => Change::Keep,
            Some(Value::Null) => Change::Clear,
            Some(Value::Object(members)) => Change::Set(Record { field, members, fields: self }),
            Some(_) => {
                self.violations.field(field, "expected a record");
                Change::Keep
            }
        }
    }

    /// Ends the reading: what is left is unknown.
    pub(super) fn finish(mut self) -> Violations {
        for name in self.members.keys() {
            self.violations.field(told(name), "unknown field");
        }
        self.violations
    }

    fn secret_of(
        &mut self,
        value: Option<Value>,
        longest: usize,
        field: &'static str,
        part: Part,
    ) -> Change<Secret> {
        match text(value, longest) {
            Ok(Change::Set(text)) => Change::Set(Secret::new(text)),
            Ok(Change::Clear) => Change::Clear,
            Ok(Change::Keep) => Change::Keep,
            Err(problem) => {
                self.violations.part(field, part, problem);
                Change::Keep
            }
        }
    }
}

/// A whole number, which some clients write with a fraction of zero: their language knows one kind of numbers.
fn whole(value: &Value) -> Option<i64> {
    let with_fraction = || value.as_f64().filter(|number| number.fract() == 0.0);
    value.as_i64().or_else(|| format!("{:.0}", with_fraction()?).parse().ok())
}

/// The members of a record.
pub(super) struct Record<'a> {
    field: &'static str,
    members: Map<String, Value>,
    fields: &'a mut Fields,
}

impl Record<'_> {
    /// Removes a member; null is the same as none.
    pub(super) fn take(&mut self, member: &str) -> Option<Value> {
        self.members.remove(member).filter(|value| !value.is_null())
    }

    /// A name; null is the same as none.
    pub(super) fn name(&mut self, member: &str) -> Result<Option<String>, String> {
        Ok(name(self.take(member))?.after(None))
    }

    /// Notes what is wrong with a member.
    pub(super) fn refuse(&mut self, member: &str, problem: &str) {
        self.fields.violations.part(self.field, Part::Member(told(member)), problem);
    }

    /// A text that may be secret.
    pub(super) fn secret(&mut self, member: &'static str, longest: usize) -> Change<Secret> {
        let value = self.members.remove(member);
        self.fields.secret_of(value, longest, self.field, Part::Member(member.to_owned()))
    }

    /// Ends the reading: what is left is unknown.
    pub(super) fn finish(mut self) {
        for name in std::mem::take(&mut self.members).keys() {
            self.refuse(name, "unknown field");
        }
    }
}

fn name(value: Option<Value>) -> Result<Change<String>, String> {
    match text(value, LONGEST_NAME)? {
        Change::Set(text) if looks_like_key(&text) => Err(LOOKS_LIKE_KEY.to_owned()),
        change => Ok(change),
    }
}

fn text(value: Option<Value>, longest: usize) -> Result<Change<String>, String> {
    match value {
        None => Ok(Change::Keep),
        Some(Value::Null) => Ok(Change::Clear),
        Some(Value::String(text)) if text.is_empty() => Err("length must be at least 1".to_owned()),
        Some(Value::String(text)) if text.chars().count() > longest => {
            Err(format!("length must be at most {longest}"))
        }
        // PostgreSQL cannot store it, and nobody means it.
        Some(Value::String(text)) if text.contains('\0') => {
            Err("must not contain the character U+0000".to_owned())
        }
        Some(Value::String(text)) => Ok(Change::Set(text)),
        Some(_) => Err("expected a string".to_owned()),
    }
}
