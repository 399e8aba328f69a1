//! `hook-keys migrate`.

use std::process::ExitCode;

use clap::Args;

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
            let pending = migrate::pending(&base.db).await?;
            for name in &pending {
                out::line(name)?;
            }
            if self.check {
                out::remark(format!("{} migration(s) pending", pending.len()));
                return Ok(if pending.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
            let applied = migrate::run(&base.db).await?;
            out::remark(format!("{applied} migration(s) applied"));
            Ok(ExitCode::SUCCESS)
        })
    }
}
