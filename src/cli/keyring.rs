//! `hook-keys keyring`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::progress::Bar;
use super::{Location, out};
use crate::app::master_key;
use crate::config::Settings;
use crate::error::Result;
use crate::service::Keyrings;
use crate::service::keyring::{Status as Found, Verdict};

#[derive(Subcommand)]
pub(super) enum Keyring {
    /// Show the terms and how many sealed values each holds.
    Status(Status),
    /// Open every sealed value, and compare private keys with their public halves. Changes nothing.
    Verify(Verify),
}

#[derive(Args)]
pub(super) struct Status {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    location: Location,
}

#[derive(Args)]
pub(super) struct Verify {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    location: Location,
}

#[derive(Serialize)]
struct StatusJson {
    terms: Vec<TermJson>,
    orphans: u64,
}

#[derive(Serialize)]
struct TermJson {
    term: u32,
    created: String,
    blobs: u64,
    current: bool,
}

#[derive(Serialize)]
pub(super) struct VerdictJson<'a> {
    sound: u64,
    broken: Vec<BrokenJson<'a>>,
}

#[derive(Serialize)]
struct BrokenJson<'a> {
    id: &'a str,
    problem: &'a str,
}

impl<'a> From<&'a Verdict> for VerdictJson<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        let broken = verdict.broken.iter().map(|(id, problem)| BrokenJson { id, problem });
        Self { sound: verdict.sound, broken: broken.collect() }
    }
}

impl Keyring {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Status(command) => command.run(),
            Self::Verify(command) => command.run(),
        }
    }
}

impl Status {
    fn run(self) -> Result<ExitCode> {
        let Found { terms, orphans } = self.location.on_data(async |base, _| base.keyring.status().await)?;
        if self.json {
            let terms = terms.iter().map(|term| TermJson {
                term: term.term,
                created: out::moment(term.created),
                blobs: term.blobs,
                current: term.current,
            });
            out::json(&StatusJson { terms: terms.collect(), orphans })?;
            return Ok(ExitCode::SUCCESS);
        }
        let rows: Vec<_> = terms
            .iter()
            .map(|term| {
                let note = if term.current { "seals new values" } else { "" };
                [term.term.to_string(), out::moment(term.created), term.blobs.to_string(), note.to_owned()]
            })
            .collect();
        out::table(["TERM", "CREATED", "BLOBS", ""], &rows)?;
        if orphans > 0 {
            out::line(format!(
                "{orphans} sealed value(s) belong to no term: run `hook-keys keyring verify`"
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    fn run(self) -> Result<ExitCode> {
        let verdict = self.location.on_data(async |base, settings| verify(&base.keyring, settings).await)?;
        if self.json {
            out::json(&VerdictJson::from(&verdict))?;
        } else {
            print(&verdict)?;
        }
        Ok(if verdict.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Opens every sealed value. Without a keyring there is none.
pub(super) async fn verify(keyring: &Keyrings, settings: &Settings) -> Result<Verdict> {
    match keyring.open(&master_key(settings)?).await? {
        Some(opened) => keyring.verify(&opened, &Bar::new("opening").report()).await,
        None => Ok(Verdict::default()),
    }
}

/// Prints what is broken, and how much is not.
pub(super) fn print(verdict: &Verdict) -> Result<()> {
    for (id, problem) in &verdict.broken {
        out::line(format!("{id}: {problem}"))?;
    }
    out::line(format!("{} sound, {} broken", verdict.sound, verdict.broken.len()))
}
