//! `hook-keys audit`.

use std::collections::HashMap;
use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::{Location, out};
use crate::app::Base;
use crate::config::parse_span;
use crate::domain::Timestamp;
use crate::domain::audit::filter::Selection;
use crate::domain::audit::{EventType, Outcome, Query, Recorded, Target, Who};
use crate::domain::ids::OrgId;
use crate::domain::org::OrgName;
use crate::error::{Error, Result};

/// Rows that the export holds in memory. One that reveals a page of keys has some 100 kB.
const PAGE: u32 = 500;

#[derive(Subcommand)]
pub(super) enum Audit {
    /// Show the newest events of the audit trail, the latest last.
    List(List),
    /// Print events as JSON, one a line, oldest first. Servers may go on meanwhile.
    Export(Export),
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    wanted: Wanted,
    /// Most events.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    location: Location,
}

#[derive(Args)]
pub(super) struct Export {
    #[command(flatten)]
    wanted: Wanted,
    /// The form of each line.
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    #[command(flatten)]
    location: Location,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// One JSON object a line.
    Jsonl,
}

/// Which events.
#[derive(Args)]
struct Wanted {
    /// Only those of this org: its name or, for one that was deleted, its id.
    #[arg(long, value_name = "NAME|ID")]
    org: Option<String>,
    /// Only those since then: a time such as 2026-01-31T23:59:59Z, or a span such as 24h before now.
    #[arg(long, value_name = "TIME|SPAN")]
    since: Option<String>,
    /// Only those before then, written in the same way.
    #[arg(long, value_name = "TIME|SPAN")]
    until: Option<String>,
    /// Only those of this type, such as kong.key.revealed.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    seq: i64,
    uuid: &'a str,
    published: String,
    org: Option<&'a str>,
    event_type: &'a str,
    outcome: Outcome,
    reason: Option<&'a str>,
    actor: Actor<'a>,
    address: Option<&'a str>,
    request_id: Option<&'a str>,
    targets: &'a [Target],
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Actor<'a> {
    Token { id: &'a str, name: &'a str },
    Command { user: &'a str },
}

impl Audit {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Self::List(command) => command.run()?,
            Self::Export(command) => command.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Wanted {
    async fn query(&self, base: &Base, newest_first: bool, limit: u32) -> Result<Query> {
        let now = base.audit.clock.now();
        let moment =
            |name, text: &Option<String>| text.as_deref().map(|text| moment(name, text, now)).transpose();
        let org = match self.org.as_deref().map(|text| (text, OrgId::parse(text))) {
            None => None,
            Some((_, Some(id))) => Some(id),
            Some((name, None)) => Some(base.orgs.find(OrgName::parse(name)?).await?.id),
        };
        Ok(Query {
            org,
            since: moment("--since", &self.since)?,
            until: moment("--until", &self.until)?,
            selection: self.kind.as_deref().map_or(Ok(Selection::ALL), selection)?,
            newest_first,
            after: None,
            limit,
        })
    }
}

impl List {
    fn run(self) -> Result<()> {
        let (orgs, mut events) = self.location.on_data(async |base, _| {
            let query = self.wanted.query(&base, true, self.limit).await?;
            Ok((base.orgs.list().await?, base.audit.page(query).await?))
        })?;
        events.reverse();
        let orgs: HashMap<_, _> = orgs.iter().map(|org| (org.id.as_str(), org.name.as_str())).collect();
        let rows: Vec<_> = events.iter().map(|event| cells(event, &orgs)).collect();
        out::table(["TIME", "ORG", "EVENT", "OUTCOME", "WHO", "ADDRESS", "WHAT", "REASON"], &rows)
    }
}

impl Export {
    fn run(self) -> Result<()> {
        let Format::Jsonl = self.format;
        self.location.on_data(async |base, _| {
            let query = self.wanted.query(&base, false, PAGE).await?;
            base.audit.pages(query, |recorded| out::line(line(recorded)?)).await
        })
    }
}

/// A moment, or one so long before now.
fn moment(name: &str, text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.with_timezone(&Utc));
    }
    let span = parse_span(name, text).ok().and_then(|span| TimeDelta::from_std(span).ok());
    span.and_then(|span| now.checked_sub_signed(span)).ok_or_else(|| {
        Error::setup(format!(
            "{name}: {text:?} is neither a time such as 2026-01-31T23:59:59Z nor a span such as 24h"
        ))
    })
}

fn selection(kind: &str) -> Result<Selection> {
    if EventType::ALL.iter().any(|known| known.name() == kind) {
        return Ok(Selection::of_type(kind));
    }
    let known = EventType::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
    Err(Error::setup(format!("--type: {kind:?} is not a type of event: use one of {known}")))
}

fn cells(Recorded { event, .. }: &Recorded, orgs: &HashMap<&str, &str>) -> [String; 8] {
    let org = event.org.as_deref().map_or("-", |id| orgs.get(id).copied().unwrap_or(id));
    let who = match &event.who {
        Who::Token { id, name } => format!("{name} ({id})"),
        Who::Command { user } => format!("command: {user}"),
    };
    let what = match event.targets.as_slice() {
        [] => "-".to_owned(),
        [target] => named(target),
        [target, others @ ..] => format!("{} and {} more", named(target), others.len()),
    };
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [
        out::moment(event.at),
        org.to_owned(),
        event.kind.clone(),
        event.outcome.name().to_owned(),
        who,
        or_none(&event.address),
        what,
        event.reason.clone().unwrap_or_default(),
    ]
    // Names are the callers' own: none of them gets to the terminal as a command.
    .map(|cell| cell.replace(char::is_control, " "))
}

fn named(target: &Target) -> String {
    match &target.display_name {
        Some(name) => format!("{} {} ({name})", target.kind, target.id),
        None => format!("{} {}", target.kind, target.id),
    }
}

fn line(recorded: &Recorded) -> Result<String> {
    let event = &recorded.event;
    let line = Line {
        seq: recorded.seq,
        uuid: &event.id,
        published: event.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        org: event.org.as_deref(),
        event_type: &event.kind,
        outcome: event.outcome,
        reason: event.reason.as_deref(),
        actor: match &event.who {
            Who::Token { id, name } => Actor::Token { id, name },
            Who::Command { user } => Actor::Command { user },
        },
        address: event.address.as_deref(),
        request_id: event.request_id.as_deref(),
        targets: &event.targets,
    };
    serde_json::to_string(&line).map_err(|error| Error::internal("printing an event", error))
}
