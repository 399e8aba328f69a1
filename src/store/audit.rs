//! The table `audit_events`: rows are added, found and, when they are old, removed. None is ever changed. Only one
//! transaction writes at a time, so a row that is seen has none before it that is not.

use diesel::prelude::*;

use super::conn::{Conn, on_backend};
use super::schema::audit_events;
use super::{corrupt, from_ms};
use crate::domain::Timestamp;
use crate::domain::audit::filter::Kinds;
use crate::domain::audit::{Cursor, Event, Outcome, Query, Recorded, Who};
use crate::domain::ids::OrgId;
use crate::error::{Error, Result};

/// Rows of one statement: SQLite takes 32,766 values in one, PostgreSQL twice as many.
const BATCH: usize = 1000;

const TOKEN: &str = "token";
const COMMAND: &str = "command";

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_events, treat_none_as_default_value = false)]
struct Row {
    id: String,
    org_id: Option<String>,
    at_ms: i64,
    kind: String,
    outcome: String,
    reason: Option<String>,
    actor: String,
    actor_id: Option<String>,
    actor_name: String,
    address: Option<String>,
    request_id: Option<String>,
    targets: String,
}

impl Row {
    fn of(event: &Event) -> Result<Self> {
        let (actor, actor_id, actor_name) = match &event.who {
            Who::Token { id, name } => (TOKEN, Some(id.clone()), name),
            Who::Command { user } => (COMMAND, None, user),
        };
        let targets = serde_json::to_string(&event.targets);
        Ok(Self {
            id: event.id.clone(),
            org_id: event.org.clone(),
            at_ms: event.at.timestamp_millis(),
            kind: event.kind.clone(),
            outcome: event.outcome.name().to_owned(),
            reason: event.reason.clone(),
            actor: actor.to_owned(),
            actor_id,
            actor_name: actor_name.clone(),
            address: event.address.clone(),
            request_id: event.request_id.clone(),
            targets: targets.map_err(|error| Error::internal("writing an event", error))?,
        })
    }
}

fn from_row((seq, row): (i64, Row)) -> Result<Recorded> {
    let id = row.id;
    let wrong = |column| corrupt("audit_events", &id, column);
    let who = match (row.actor.as_str(), row.actor_id) {
        (TOKEN, Some(id)) => Who::Token { id, name: row.actor_name },
        (COMMAND, None) => Who::Command { user: row.actor_name },
        _ => return Err(wrong("actor")),
    };
    let event = Event {
        org: row.org_id,
        at: from_ms(row.at_ms, "audit_events", &id, "at_ms")?,
        kind: row.kind,
        outcome: Outcome::parse(&row.outcome).ok_or_else(|| wrong("outcome"))?,
        reason: row.reason,
        who,
        address: row.address,
        request_id: row.request_id,
        targets: serde_json::from_str(&row.targets).map_err(|_| wrong("targets"))?,
        id,
    };
    Ok(Recorded { seq, event })
}

/// Adds a row.
pub fn insert(conn: &mut Conn, event: &Event) -> Result<()> {
    let row = Row::of(event)?;
    on_backend!(conn, |c| diesel::insert_into(audit_events::table).values(row).execute(c))?;
    Ok(())
}

/// Adds many.
pub fn insert_all(conn: &mut Conn, events: &[Event]) -> Result<()> {
    for batch in events.chunks(BATCH) {
        let rows = batch.iter().map(Row::of).collect::<Result<Vec<_>>>()?;
        on_backend!(conn, |c| diesel::insert_into(audit_events::table).values(rows).execute(c))?;
    }
    Ok(())
}

/// Up to `limit` rows from where `after` says, in the order that is asked for.
pub fn page(conn: &mut Conn, query: &Query) -> Result<Vec<Recorded>> {
    let after = query.after.as_ref().map(|cursor| place(conn, query.org.as_ref(), cursor)).transpose()?;
    let ms = |moment: Option<Timestamp>| moment.map(|moment| moment.timestamp_millis());
    let (since, until) = (ms(query.since), ms(query.until));
    let rows = on_backend!(conn, |c| {
        let columns = (audit_events::seq, Row::as_select());
        let mut rows = audit_events::table.select(columns).limit(i64::from(query.limit)).into_boxed();
        if let Some(org) = &query.org {
            rows = rows.filter(audit_events::org_id.eq(org.as_str()));
        }
        if let Some(since) = since {
            rows = rows.filter(audit_events::at_ms.ge(since));
        }
        if let Some(until) = until {
            rows = rows.filter(audit_events::at_ms.lt(until));
        }
        let success = || audit_events::outcome.eq(Outcome::Success.name());
        let failure = || audit_events::outcome.eq(Outcome::Failure.name());
        rows = match (&query.selection.success, &query.selection.failure) {
            (Kinds::All, Kinds::All) => rows,
            (Kinds::All, Kinds::Only(kinds)) => {
                rows.filter(success().or(audit_events::kind.eq_any(kinds.iter())))
            }
            (Kinds::Only(kinds), Kinds::All) => {
                rows.filter(failure().or(audit_events::kind.eq_any(kinds.iter())))
            }
            (Kinds::Only(done), Kinds::Only(failed)) => rows.filter(
                success()
                    .and(audit_events::kind.eq_any(done.iter()))
                    .or(failure().and(audit_events::kind.eq_any(failed.iter()))),
            ),
        };
        rows = match (after, query.newest_first) {
            (Some(seq), false) => rows.filter(audit_events::seq.gt(seq)),
            (Some(seq), true) => rows.filter(audit_events::seq.lt(seq)),
            (None, _) => rows,
        };
        rows = if query.newest_first {
            rows.order(audit_events::seq.desc())
        } else {
            rows.order(audit_events::seq.asc())
        };
        rows.load::<(i64, Row)>(c)
    })?;
    rows.into_iter().map(from_row).collect()
}

/// The number that the event of a cursor has here. An event that is gone keeps its number.
fn place(conn: &mut Conn, org: Option<&OrgId>, cursor: &Cursor) -> Result<i64> {
    let here = audit_events::table.find(cursor.seq).select(audit_events::id);
    let here: Option<String> = on_backend!(conn, |c| here.first(c).optional())?;
    if here.as_deref() == Some(&cursor.id) {
        return Ok(cursor.seq);
    }
    let seq: Option<i64> = on_backend!(conn, |c| {
        let mut named = audit_events::table.filter(audit_events::id.eq(&cursor.id)).into_boxed();
        if let Some(org) = org {
            named = named.filter(audit_events::org_id.eq(org.as_str()));
        }
        named.select(audit_events::seq).first(c).optional()
    })?;
    Ok(seq.unwrap_or(cursor.seq))
}

/// The newest row's number.
pub fn newest(conn: &mut Conn) -> Result<Option<i64>> {
    let newest = audit_events::table.order(audit_events::seq.desc()).select(audit_events::seq);
    Ok(on_backend!(conn, |c| newest.first(c).optional())?)
}

/// Removes what is older than `before` among the `many` rows after number `after`, oldest first. The number of the last
/// row that was looked at, and how many were removed; `None` when there is no row.
pub fn remove(conn: &mut Conn, after: i64, many: u32, before: Timestamp) -> Result<Option<(i64, usize)>> {
    let before = before.timestamp_millis();
    let some = audit_events::table
        .filter(audit_events::seq.gt(after))
        .order(audit_events::seq)
        .limit(i64::from(many))
        .select(audit_events::seq);
    let some: Vec<i64> = on_backend!(conn, |c| some.load(c))?;
    let Some(last) = some.last().copied() else { return Ok(None) };
    let old = audit_events::seq.gt(after).and(audit_events::seq.le(last)).and(audit_events::at_ms.lt(before));
    let removed = on_backend!(conn, |c| diesel::delete(audit_events::table.filter(old)).execute(c))?;
    Ok(Some((last, removed)))
}
