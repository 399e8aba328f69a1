//! All data in one file, and back.

mod file;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::copy::{self, Count};
use super::{Report, keyring};
use crate::domain::Entropy;
use crate::domain::ids::EntityId;
use crate::error::{Error, Result};
use crate::seal::MasterKey;
use crate::store::conn::Source;
use crate::store::{self, Conn, Db, migrate};

pub use file::Draft;

/// Copies the state of a database, while others use it, into one that is to be a file.
pub struct Backup {
    /// Where the data is, at this version's schema.
    pub from: Db,
    /// The database in the [`Draft`].
    pub into: Db,
}

impl Backup {
    /// Copies all rows, as they are at one moment. Holds up nobody.
    pub async fn run(&self, report: &Report) -> Result<Vec<Count>> {
        migrate::require_nothing_newer(&self.from).await.map_err(|error| error.about("source"))?;
        copy::make_ready(&self.into).await?;
        let report = Arc::clone(report);
        let copy = move |from: &mut Conn, into: &mut Conn| copy::transfer(from, into, &report);
        self.into.write_from(&self.from, Source::Snapshot, "backup", copy).await
    }
}

/// A backup that is whole.
pub struct Archive {
    path: PathBuf,
    conn: Conn,
}

impl Archive {
    /// Opens a backup, of this version or of an older one, after it was found to be what was once written.
    pub fn open(path: &Path, report: &Report) -> Result<Self> {
        let about = |error: Error| error.about(&path.display().to_string());
        file::check(path, report).map_err(about)?;
        let conn = store::backup::open(path).map_err(about)?;
        Ok(Self { path: path.to_owned(), conn })
    }

    /// Refuses a master key that does not open its keyring. A backup without a keyring holds nothing sealed.
    pub fn require(&mut self, master: &Arc<MasterKey>) -> Result<()> {
        let opened = keyring::terms(&mut self.conn).and_then(|terms| keyring::opened(master, terms));
        opened.map(drop).map_err(|error| error.about(&self.path.display().to_string()))
    }

    /// Brings an empty database to this version's schema and puts all rows into it, all or nothing. Refused when it
    /// holds any row already. Who had followed another state of the database learns that it is another one.
    pub async fn restore(self, into: &Db, entropy: &dyn Entropy, report: &Report) -> Result<Vec<Count>> {
        copy::make_ready(into).await?;
        let (report, arrival) = (Arc::clone(report), EntityId::generate(entropy)?.to_string());
        let restore = move |from: &mut Conn, into: &mut Conn| {
            store::changes::note_arrival(into, &arrival)?;
            copy::transfer(from, into, &report)
        };
        into.write_with(self.conn, "restore", restore).await
    }
}
