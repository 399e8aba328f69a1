//! The rows of the report: a value, what it is compared with, and its target.

use crate::rounds::{Rounds, extremes, median};

/// Some rows that were measured in one way.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) title: String,
    /// What was measured and how.
    pub(crate) how: String,
    pub(crate) rows: Vec<Row>,
    /// What is worth saying about the outcome.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// Ours and theirs, with units; empty where there is nothing.
    pub(crate) ours: String,
    pub(crate) reference: String,
    pub(crate) value: f64,
    pub(crate) unit: Unit,
    /// The least and the largest value of the rounds.
    pub(crate) spread: Option<(f64, f64)>,
    pub(crate) target: Option<Target>,
    /// Each round, for who wants to see the noise.
    pub(crate) rounds: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Ratio,
    Milliseconds,
    Megabytes,
    PerSecond,
    Microseconds,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Row {
    /// A row for the ratio of two sides, each measured in `unit`.
    pub(crate) fn ratio(
        what: impl Into<String>,
        rounds: &Rounds,
        unit: Unit,
        target: Option<Target>,
    ) -> Self {
        let Rounds { ours, theirs } = rounds;
        Self {
            what: what.into(),
            ours: unit.show(median(ours)),
            reference: unit.show(median(theirs)),
            value: rounds.ratio(),
            unit: Unit::Ratio,
            spread: Some(rounds.spread()),
            target,
            rounds: Some(format!("ours {}; reference {}", each(ours, unit), each(theirs, unit))),
        }
    }

    /// A row for the median of some values.
    pub(crate) fn median(
        what: impl Into<String>,
        values: &[f64],
        unit: Unit,
        target: Option<Target>,
    ) -> Self {
        Self {
            spread: Some(extremes(values)),
            rounds: Some(each(values, unit)),
            ..Self::single(what, median(values), unit, target)
        }
    }

    /// A row for one value.
    pub(crate) fn single(what: impl Into<String>, value: f64, unit: Unit, target: Option<Target>) -> Self {
        Self {
            what: what.into(),
            ours: unit.show(value),
            reference: String::new(),
            value,
            unit,
            spread: None,
            target,
            rounds: None,
        }
    }

    /// Whether the target is reached, if there is one. By the value itself, not by what is shown of it.
    pub(crate) fn reached(&self) -> Option<bool> {
        match self.target? {
            Target::AtLeast(least) => Some(self.value >= least),
            Target::AtMost(most) => Some(self.value <= most),
        }
    }
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Ratio => format!("{value:.2}"),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::Microseconds => format!("{value:.0} µs"),
            Self::PerSecond if value < 100.0 => format!("{value:.1}/s"),
            Self::PerSecond => format!("{}/s", thousands(value)),
        }
    }
}

impl Target {
    pub(crate) fn number(self) -> f64 {
        match self {
            Self::AtLeast(number) | Self::AtMost(number) => number,
        }
    }

    pub(crate) fn show(self, unit: Unit) -> String {
        match self {
            Self::AtLeast(number) => format!("at least {}", unit.show(number)),
            Self::AtMost(number) => format!("at most {}", unit.show(number)),
        }
    }
}

fn each(values: &[f64], unit: Unit) -> String {
    values.iter().map(|value| unit.show(*value)).collect::<Vec<_>>().join(", ")
}

/// A whole number with commas between its thousands.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
