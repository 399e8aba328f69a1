//! `hook-keys backup`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::keyring::verify;
use super::progress::Bar;
use super::{Location, block_on, copy, out};
use crate::app::{Base, Parts, Purpose, master_key};
use crate::config::Layers;
use crate::error::Result;
use crate::service::copy::Count;
use crate::service::keyring::Verdict;
use crate::service::{self, Draft};

#[derive(Args)]
pub(super) struct Backup {
    /// The file to write, which must not exist yet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Do not open the sealed values of the backup. Then the master key is not needed.
    #[arg(long)]
    no_verify: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    location: Location,
}

impl Backup {
    pub(super) fn run(self) -> Result<ExitCode> {
        let layers = self.location.data_layers()?;
        let (tables, verdict) = block_on(self.write(&layers))?;
        copy::print(self.json, &tables, verdict.as_ref())?;
        if verdict.is_none_or(|verdict| verdict.broken.is_empty()) {
            return Ok(ExitCode::SUCCESS);
        }
        out::remark(
            "hook-keys: the backup holds all rows, each as it is in the database, and what is broken there is broken in \
             it: `hook-keys keyring verify` should find the same",
        );
        Ok(ExitCode::FAILURE)
    }

    async fn write(&self, layers: &Layers) -> Result<(Vec<Count>, Option<Verdict>)> {
        let from = layers.check()?;
        let master = if self.no_verify { None } else { Some(Arc::new(master_key(&from)?)) };
        let source = Base::open(&from, Parts::default(), Purpose::Command).await?;
        if let Some(master) = &master {
            // Quick, and it tells a wrong master key before anything is written.
            source.keyring.open(master).await?;
        }
        let draft = Draft::begin(&self.file)?;
        let to = layers.clone().with_flag("database_url", draft.url()?)?.check()?;
        let target = Base::open_as_is(&to, Parts::default(), false).await?;
        let bar = Bar::new("backing up");
        let work = service::Backup { from: source.db.clone(), into: target.db.clone() };
        let tables = work.run(&bar.report()).await?;
        drop(bar);
        source.db.close();
        let verdict = match &master {
            Some(_) => Some(verify(&target.keyring, &to).await?),
            None => None,
        };
        target.db.close();
        draft.publish()?;
        Ok((tables, verdict))
    }
}
