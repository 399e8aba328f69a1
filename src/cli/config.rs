//! `hook-keys config`.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Location, log, out};
use crate::app::Files;
use crate::config::SAMPLE;
use crate::error::Result;

#[derive(Subcommand)]
pub(super) enum Config {
    /// Check the settings and the files they name, and exit with 1 if `serve` would refuse them.
    Check(Location),
    /// Show every setting with its value and where it came from.
    Show(Location),
    /// Print a commented settings file with all defaults.
    Sample,
}

impl Config {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Check(location) => check(&location)?,
            Self::Show(location) => show(&location)?,
            Self::Sample => out::line(SAMPLE.trim_end())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn check(location: &Location) -> Result<()> {
    let layers = location.data_layers()?;
    let settings = layers.check()?;
    log::filter(&settings.log)?;
    Files::read(&settings)?;
    for name in layers.unknown_variables() {
        out::remark(format!("{name} looks like a setting but is none"));
    }
    out::line("the settings are valid")?;
    Ok(())
}

fn show(location: &Location) -> Result<()> {
    let rows: Vec<_> = location
        .known_layers()?
        .0
        .explain()
        .into_iter()
        .map(|(key, value, source)| [key, value, source.to_string()])
        .collect();
    out::table(["SETTING", "VALUE", "FROM"], &rows)?;
    Ok(())
}
