//! The audit trail: who acts, what is asked of it, and how long it is kept. A write adds its own row, in its own
//! transaction.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use crate::domain::audit::{Cursor, Event, Origin, Query, Recorded, Who};
use crate::domain::{Clock, Entropy};
use crate::error::Result;
use crate::store::{self, Conn, Db};

/// Rows that one transaction of the retention looks at: a few milliseconds in which others wait.
const BATCH: u32 = 500;

/// How long it leaves to others then.
const PAUSE: Duration = Duration::from_millis(50);

/// How often old rows are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10 * 60);

/// The use cases of the audit trail. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long rows are kept; `None` for ever.
    pub retention: Option<Duration>,
}

impl Audit {
    /// The events that are asked for.
    pub async fn page(&self, query: Query) -> Result<Vec<Recorded>> {
        self.db.read(move |conn| store::audit::page(conn, &query)).await
    }

    /// All events that there are now and that are asked for, in pages of `query.limit`.
    pub async fn pages(&self, mut query: Query, mut each: impl FnMut(&Recorded) -> Result<()>) -> Result<()> {
        // What is written meanwhile is not waited for: this comes to an end however busy the servers are.
        let Some(newest) = self.db.read(store::audit::newest).await? else { return Ok(()) };
        loop {
            let page = self.page(query.clone()).await?;
            for recorded in page.iter().filter(|recorded| recorded.seq <= newest) {
                each(recorded)?;
            }
            match page.last() {
                Some(last) if last.seq < newest || query.newest_first => query.after = Some(Cursor::of(last)),
                _ => return Ok(()),
            }
        }
    }

    /// Adds the row of something that is no write, or of a write that was refused.
    pub async fn record(&self, event: Event) -> Result<()> {
        self.db.write("record_event", move |conn| store::audit::insert(conn, &event)).await
    }

    /// Removes what is too old, a few rows at a time. How many there were.
    pub async fn remove_old(&self) -> Result<usize> {
        let Some(kept) = self.retention.and_then(|kept| TimeDelta::from_std(kept).ok()) else { return Ok(0) };
        let Some(before) = self.clock.now().checked_sub_signed(kept) else { return Ok(0) };
        let (mut after, mut total) = (0, 0);
        loop {
            let remove = move |conn: &mut Conn| store::audit::remove(conn, after, BATCH, before);
            match self.db.write("remove_old_events", remove).await? {
                // Rows are nearly in the order of their times.
                Some((last, removed)) if removed > 0 => (after, total) = (last, total + removed),
                _ => return Ok(total),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Does so again and again.
    pub async fn keep_short(self) {
        loop {
            match self.remove_old().await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "old rows of the audit trail were removed"),
                Err(error) => {
                    tracing::warn!(cause = error.private(), "old rows of the audit trail stay for now");
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// The user of the operating system who runs the commands of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Operator(Arc<str>);

impl Operator {
    /// The one whose process this is. Who came by sudo is named too.
    #[must_use]
    pub fn of_this_process() -> Self {
        let id = rustix::process::getuid().as_raw().to_string();
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let named = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == id).then(|| name.to_owned())
        });
        let name = named.unwrap_or(format!("uid {id}"));
        let sudo = std::env::var("SUDO_USER").ok().filter(|user| {
            (1..=64).contains(&user.len()) && !user.chars().any(char::is_control) && *user != name
        });
        Self(match sudo {
            Some(user) => format!("{name} (sudo: {user})").into(),
            None => name.into(),
        })
    }

    /// Something that the operator does now.
    pub fn origin(&self, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Origin> {
        let mut seed = [0; 16];
        entropy.fill(&mut seed)?;
        let who = Who::Command { user: self.0.to_string() };
        Ok(Origin { who, address: None, request_id: None, at: clock.now(), seed })
    }
}
