//! `hook-keys migrate`.

use std::process::ExitCode;

use clap::Args;

use super::progress::spin;
use super::{Location, block_on, out};
use crate::app::{Base, Parts};
use crate::error::Result;
use crate::store::migrate;

#[derive(Args)]
pub(super) struct Migrate {
    /// Change nothing: list what is missing, and exit with 1 if anything is.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    location: Location,
}

impl Migrate {
    pub(super) fn run(self) -> Result<ExitCode> {
        let settings = self.location.data_layers()?.check()?;
        block_on(async {
            let base = Base::open_as_is(&settings, Parts::default(), !self.check).await?;
            let names = if self.check {
                migrate::pending(&base.db).await?
            } else {
                spin("migrating", migrate::run(&base.db)).await?
            };
            for name in &names {
                out::line(name)?;
            }
            let done = if self.check { "pending" } else { "applied" };
            out::remark(format!("{} migration(s) {done}", names.len()));
            Ok(if self.check && !names.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        })
    }
}
