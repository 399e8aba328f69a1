//! `hook-keys copy`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{ArgGroup, Args};
use serde::Serialize;

use super::keyring::{self, VerdictJson, verify};
use super::progress::Bar;
use super::{Location, block_on, out};
use crate::app::{Base, Parts, Purpose, master_key};
use crate::config::Settings;
use crate::error::Result;
use crate::service;
use crate::service::copy::Count;
use crate::service::keyring::Verdict;

#[derive(Args)]
#[command(group = ArgGroup::new("ends").args(["from", "to"]).required(true).multiple(true))]
pub(super) struct Copy {
    /// The database to copy, as the setting `database_url` names one. Left out, it is the one of the settings or
    /// of the data directory.
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The empty database to copy into; a SQLite file is made. Left out, it is the one of the settings or of the
    /// data directory: then no password need stand on the command line.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    location: Location,
}

#[derive(Serialize)]
struct CopiedJson<'a> {
    tables: Vec<TableJson>,
    #[serde(flatten)]
    verdict: Option<VerdictJson<'a>>,
}

#[derive(Serialize)]
struct TableJson {
    table: &'static str,
    rows: u64,
}

impl Copy {
    pub(super) fn run(self) -> Result<ExitCode> {
        let (from, to) = self.settings()?;
        let (tables, verdict) = block_on(copy(&from, &to))?;
        print(self.json, &tables, Some(&verdict))?;
        if verdict.broken.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        out::remark(
            "hook-keys: the target holds all rows, each as it is in the source, and what is broken was copied \
             broken: `hook-keys keyring verify` should find the same in the source",
        );
        Ok(ExitCode::FAILURE)
    }

    /// The settings with the one and with the other database.
    fn settings(&self) -> Result<(Settings, Settings)> {
        let layers = match (&self.from, &self.to) {
            (Some(_), Some(_)) => self.location.layers()?,
            _ => self.location.data_layers()?,
        };
        // What is wrong with other settings belongs to neither side.
        layers.check()?;
        let with = |url: &Option<String>, side| {
            let layers = layers.clone();
            let layers = match url {
                Some(url) => layers.with_flag("database_url", url.as_str())?,
                None => layers,
            };
            layers.check().map_err(|error| error.about(side))
        };
        Ok((with(&self.from, "source")?, with(&self.to, "target")?))
    }
}

/// Prints what was copied, and what opens of it, where that was tried.
pub(super) fn print(json: bool, tables: &[Count], verdict: Option<&Verdict>) -> Result<()> {
    let rows = tables.iter().map(|count| (count.table, count.rows));
    if json {
        let tables = rows.map(|(table, rows)| TableJson { table, rows }).collect();
        return out::json(&CopiedJson { tables, verdict: verdict.map(VerdictJson::from) });
    }
    let rows: Vec<_> = rows.map(|(table, rows)| [table.to_owned(), rows.to_string()]).collect();
    out::table(["TABLE", "ROWS"], &rows)?;
    verdict.map_or(Ok(()), keyring::print)
}

async fn copy(from: &Settings, to: &Settings) -> Result<(Vec<Count>, Verdict)> {
    let master = master_key(from)?;
    let source = Base::open(from, Parts::default(), Purpose::Command).await;
    let source = source.map_err(|error| error.about("source"))?;
    // Quick, and it tells a wrong master key before anything is copied.
    source.keyring.open(&Arc::new(master)).await.map_err(|error| error.about("source"))?;
    let target = Base::open_as_is(to, Parts::default(), true).await.map_err(|error| error.about("target"))?;
    let bar = Bar::new("copying");
    let work = service::Copy {
        from: source.db.clone(),
        into: target.db.clone(),
        entropy: Arc::clone(&target.keyring.entropy),
    };
    let tables = work.run(&bar.report()).await?;
    drop(bar);
    // After the commit: 100,000 hook keys take half a minute, in which nobody could write to the source. And a value
    // that is broken in the source must not keep all others from being moved.
    match verify(&target.keyring, to).await {
        Ok(verdict) => Ok((tables, verdict)),
        Err(error) => {
            out::remark(
                "hook-keys: the target holds all rows, each as it is in the source, but its sealed values could \
                 not be opened to the end: `hook-keys keyring verify` does that again",
            );
            Err(error.about("target"))
        }
    }
}
