//! Moving all data from one database into another.

use std::sync::Arc;

use super::Report;
use crate::error::{Error, Result};
use crate::store::{self, Db, migrate};

pub use crate::store::copy::Count;

/// The two databases.
pub struct Copy {
    /// Where the data is, at this version's schema.
    pub from: Db,
    /// Where it goes.
    pub into: Db,
}

impl Copy {
    /// Brings the target to this version's schema and copies all rows into it, all or nothing. Refused when it
    /// holds any row already. Nobody else writes to either database meanwhile.
    pub async fn run(&self, report: &Report) -> Result<Vec<Count>> {
        if self.into.is_same_as(&self.from).await? {
            return Err(Error::setup("source and target are the same database: name another one"));
        }
        migrate::require_nothing_newer(&self.from).await.map_err(|error| error.about("source"))?;
        // All of this before the target is changed in any way.
        migrate::pending(&self.into).await.map_err(|error| error.about("target"))?;
        require_empty(&store::copy::held(&self.into).await.map_err(|error| error.about("target"))?)?;
        migrate::run(&self.into).await.map_err(|error| error.about("target"))?;
        let report = Arc::clone(report);
        let transfer = move |from: &mut _, into: &mut _| {
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
        };
        self.into.write_from(&self.from, "copy", transfer).await
    }
}

fn require_empty(held: &[Count]) -> Result<()> {
    let held = held.iter().filter(|count| count.rows > 0);
    let held: Vec<_> = held.map(|Count { table, rows }| format!("{rows} in {table}")).collect();
    if held.is_empty() {
        return Ok(());
    }
    Err(Error::setup(format!(
        "target: it holds rows already ({}), and a copy would mix with them: name an empty database, a new schema \
         or a file that does not exist yet",
        held.join(", ")
    )))
}
