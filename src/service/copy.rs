//! Moving all data from one database into another.

use std::sync::Arc;

use super::Report;
use crate::domain::Entropy;
use crate::domain::ids::EntityId;
use crate::error::{Error, Result};
use crate::store::conn::Source;
use crate::store::{self, Conn, Db, migrate};

pub use crate::store::copy::Count;

/// The two databases, and what tells the arrival from any other.
pub struct Copy {
    /// Where the data is, at this version's schema.
    pub from: Db,
    /// Where it goes.
    pub into: Db,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl Copy {
    /// Brings the target to this version's schema and copies all rows into it, all or nothing. Refused when it
    /// holds any row already. Nobody else writes to either database meanwhile.
    pub async fn run(&self, report: &Report) -> Result<Vec<Count>> {
        if self.into.is_same_as(&self.from).await? {
            return Err(Error::setup("source and target are the same database: name another one"));
        }
        migrate::require_nothing_newer(&self.from).await.map_err(|error| error.about("source"))?;
        make_ready(&self.into).await?;
        let (report, arrival) = (Arc::clone(report), EntityId::generate(&*self.entropy)?.to_string());
        let copy = move |from: &mut Conn, into: &mut Conn| {
            store::changes::note_arrival(into, &arrival)?;
            transfer(from, into, &report)
        };
        self.into.write_from(&self.from, Source::Still, "copy", copy).await
    }
}

/// Brings a database that holds no row to this version's schema, and refuses any other.
pub(super) async fn make_ready(into: &Db) -> Result<()> {
    let about = |error: Error| error.about("target");
    // All of this before the target is changed in any way.
    migrate::pending(into).await.map_err(about)?;
    require_empty(&store::copy::held(into).await.map_err(about)?)?;
    migrate::run(into).await.map_err(about)?;
    Ok(())
}

/// All rows of the one into the other, which must be empty, counted before and after.
pub(super) fn transfer(from: &mut Conn, into: &mut Conn, report: &Report) -> Result<Vec<Count>> {
    // Again, now that nobody else can write: a server may have been started on it.
    require_empty(&store::copy::counts(into)?)?;
    let expected = store::copy::counts(from)?;
    let (mut done, total) = (0, expected.iter().map(|count| count.rows).sum());
    report(done, total);
    store::copy::rows(from, into, |rows| {
        done += rows;
        report(done, total);
    })?;
    let found = store::copy::counts(into)?;
    if found == expected {
        return Ok(found);
    }
    Err(Error::internal("counting", format_args!("{found:?} came of {expected:?}")))
}

fn require_empty(held: &[Count]) -> Result<()> {
    let held = held.iter().filter(|count| count.rows > 0);
    let held: Vec<_> = held.map(|Count { table, rows }| format!("{rows} in {table}")).collect();
    if held.is_empty() {
        return Ok(());
    }
    Err(Error::setup(format!(
        "target: it holds rows already ({}), and what comes would mix with them: name an empty database, a new schema \
         or a file that does not exist yet",
        held.join(", ")
    )))
}
