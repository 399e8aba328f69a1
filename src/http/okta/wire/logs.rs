//! The System Log: its query, and events in Okta's form.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::Serialize;
use url::form_urlencoded;

use crate::domain::Timestamp;
use crate::domain::audit::filter::Selection;
use crate::domain::audit::{Cursor, Event, EventType, HOOK_KEY, Outcome, Query, Recorded, Target, Who};
use crate::domain::ids::OrgId;
use crate::domain::page::{LARGEST, USUAL};
use crate::error::{Error, Result};
use crate::http::extract::query;

/// How far back a request looks that does not say.
const USUAL_SPAN: TimeDelta = TimeDelta::days(7);

/// What a request asks for.
pub struct LogsRequest {
    /// The events. One more than asked for, where it must be told whether there are more.
    pub query: Query,
    /// Most events of the answer.
    size: usize,
    /// Whether it is asked again and again for what is new.
    polls: bool,
    /// The parameters as they came, but for `after`.
    given: Vec<(&'static str, String)>,
}

impl LogsRequest {
    /// Reads the query. A parameter that is wrong is named; one that is not known is ignored.
    pub fn read(request: &HttpRequest, org: &OrgId, now: Timestamp) -> Result<Self> {
        let mut given = Vec::new();
        let mut parameter = |name: &'static str| {
            let value = query(request, name)?;
            given.push((name, value.clone()));
            Some(value)
        };
        let since = parameter("since").map(|text| moment("since", &text)).transpose()?;
        let until = parameter("until").map(|text| moment("until", &text)).transpose()?;
        let selection = parameter("filter").map(|text| Selection::parse(&text)).transpose()?;
        let newest_first = match parameter("sortOrder").as_deref() {
            None | Some("ASCENDING") => false,
            Some("DESCENDING") => true,
            Some(_) => return Err(Error::invalid("sortOrder", "It must be ASCENDING or DESCENDING")),
        };
        let limit = parameter("limit").map_or(Some(USUAL), |text| text.parse().ok());
        let limit = limit.filter(|limit| *limit <= LARGEST);
        let limit = limit.ok_or_else(|| Error::invalid("limit", "It must be a number from 0 to 1000"))?;
        let after = query(request, "after").map(|text| {
            let cursor = Cursor::parse(&text);
            cursor.ok_or_else(|| Error::invalid("after", "It must be taken from the link to the next page"))
        });
        let after = after.transpose()?;
        if query(request, "q").is_some() {
            return Err(Error::invalid("q", "It is not supported: use filter"));
        }
        if until.is_some_and(|until| since.is_some_and(|since| since > until)) {
            return Err(Error::invalid("since", "It must not be after until"));
        }
        // Who goes on from an event has seen what came before.
        let usual = until.unwrap_or(now).checked_sub_signed(USUAL_SPAN).filter(|_| after.is_none());
        let polls = until.is_none() && !newest_first;
        let query = Query {
            org: Some(org.clone()),
            since: since.or(usual),
            until,
            selection: selection.unwrap_or(Selection::ALL),
            newest_first,
            after,
            limit: limit + u32::from(!polls),
        };
        Ok(Self { query, size: limit as usize, polls, given })
    }

    /// The query of the next page, or of the next look for what is new; `None` when this is the end.
    #[must_use]
    pub fn next(&self, found: &[Recorded]) -> Option<String> {
        if !self.polls && (found.len() <= self.size || self.size == 0) {
            return None;
        }
        let last = self.shown(found).last().map(Cursor::of);
        let after = last.or_else(|| self.query.after.clone()).map(|cursor| cursor.to_string());
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        pairs.extend_pairs(&self.given).extend_pairs(after.map(|after| ("after", after)));
        Some(pairs.finish())
    }

    /// The events of the answer.
    #[must_use]
    pub fn shown<'a>(&self, found: &'a [Recorded]) -> &'a [Recorded] {
        found.get(..self.size).unwrap_or(found)
    }
}

/// A moment of RFC 3339, the profile of ISO 8601 that Okta takes.
fn moment(name: &'static str, text: &str) -> Result<Timestamp> {
    // A plus sign in a query that was not encoded comes as a blank.
    let moment = DateTime::parse_from_rfc3339(&text.replace(' ', "+"));
    moment.map(|moment| moment.with_timezone(&Utc)).map_err(|_| {
        Error::invalid(name, "It must be a time of ISO 8601 with its zone, such as 2026-01-31T23:59:59.000Z")
    })
}

/// An event as Okta shows it. What is not known here is null.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEvent<'a> {
    actor: Actor<'a>,
    client: Client<'a>,
    device: (),
    authentication_context: AuthenticationContext<'a>,
    display_message: &'a str,
    event_type: &'a str,
    outcome: OutcomeBody<'a>,
    published: String,
    security_context: SecurityContext,
    severity: &'static str,
    debug_context: DebugContext<'a>,
    legacy_event_type: (),
    transaction: Transaction<'a>,
    uuid: &'a str,
    version: &'static str,
    request: RequestBody<'a>,
    target: Vec<TargetBody<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Actor<'a> {
    id: &'a str,
    r#type: &'static str,
    alternate_id: &'a str,
    display_name: &'a str,
    detail_entry: (),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Client<'a> {
    user_agent: (),
    zone: (),
    device: (),
    id: (),
    ip_address: Option<&'a str>,
    geographical_context: (),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthenticationContext<'a> {
    authentication_provider: (),
    credential_provider: (),
    credential_type: (),
    issuer: (),
    interface: (),
    authentication_step: u8,
    external_session_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct OutcomeBody<'a> {
    result: Outcome,
    reason: Option<&'a str>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct SecurityContext {
    as_number: (),
    as_org: (),
    isp: (),
    domain: (),
    is_proxy: (),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DebugContext<'a> {
    debug_data: BTreeMap<&'static str, &'a str>,
}

#[derive(Debug, Serialize)]
struct Transaction<'a> {
    r#type: &'static str,
    id: &'a str,
    detail: BTreeMap<&'static str, &'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestBody<'a> {
    ip_chain: Vec<Hop<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Hop<'a> {
    ip: &'a str,
    geographical_context: (),
    version: &'static str,
    source: (),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetBody<'a> {
    id: &'a str,
    r#type: &'a str,
    alternate_id: Option<&'a str>,
    display_name: Option<&'a str>,
    detail_entry: (),
}

impl<'a> LogEvent<'a> {
    /// The event.
    #[must_use]
    pub fn new(recorded: &'a Recorded) -> Self {
        let event = &recorded.event;
        let known = EventType::ALL.iter().find(|kind| kind.name() == event.kind);
        let (id, kind, name) = match &event.who {
            Who::Token { id, name } => (id, "ApiToken", name),
            Who::Command { user } => (user, "Operator", user),
        };
        let token = (kind == "ApiToken").then_some(id.as_str());
        let address = event.address.as_deref();
        let hop = |ip: &'a str| Hop {
            ip,
            geographical_context: (),
            version: if ip.contains(':') { "V6" } else { "V4" },
            source: (),
        };
        Self {
            actor: Actor { id, r#type: kind, alternate_id: id, display_name: name, detail_entry: () },
            client: Client {
                user_agent: (),
                zone: (),
                device: (),
                id: (),
                ip_address: address,
                geographical_context: (),
            },
            device: (),
            authentication_context: AuthenticationContext {
                authentication_provider: (),
                credential_provider: (),
                credential_type: (),
                issuer: (),
                interface: (),
                authentication_step: 0,
                external_session_id: token,
            },
            display_message: known.map_or(event.kind.as_str(), |kind| kind.message()),
            event_type: &event.kind,
            outcome: OutcomeBody { result: event.outcome, reason: event.reason.as_deref() },
            published: published(event.at),
            security_context: SecurityContext::default(),
            severity: if event.outcome == Outcome::Success { "INFO" } else { "WARN" },
            debug_context: DebugContext { debug_data: debug_data(event) },
            legacy_event_type: (),
            transaction: Transaction {
                r#type: if token.is_some() { "WEB" } else { "JOB" },
                id: event.request_id.as_deref().unwrap_or(&event.id),
                detail: token.map(|id| ("requestApiTokenId", id)).into_iter().collect(),
            },
            uuid: &event.id,
            version: "0",
            request: RequestBody { ip_chain: address.into_iter().map(hop).collect() },
            target: event.targets.iter().map(TargetBody::new).collect(),
        }
    }
}

impl<'a> TargetBody<'a> {
    fn new(target: &'a Target) -> Self {
        Self {
            id: &target.id,
            r#type: &target.kind,
            alternate_id: target.alternate_id.as_deref(),
            display_name: target.display_name.as_deref(),
            detail_entry: (),
        }
    }
}

/// What Okta tells of a hook key (contract §4).
fn debug_data(event: &Event) -> BTreeMap<&'static str, &str> {
    let Some(key) = event.targets.iter().find(|target| target.kind == HOOK_KEY) else {
        return BTreeMap::new();
    };
    let known = [
        ("hook_key_id", Some(key.id.as_str())),
        ("hook_key_name", key.display_name.as_deref()),
        ("key_alias", key.alternate_id.as_deref()),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// To the millisecond, in UTC.
fn published(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
