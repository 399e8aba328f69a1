//! `hook-keys keyring`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::progress::Bar;
use super::{Location, out};
use crate::app::master_key;
use crate::error::Result;
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
struct VerdictJson<'a> {
    sound: u64,
    broken: Vec<BrokenJson<'a>>,
}

#[derive(Serialize)]
struct BrokenJson<'a> {
    id: &'a str,
    problem: &'a str,
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
        let Verdict { sound, broken } = self.location.on_data(async |base, settings| {
            match base.keyring.open(&master_key(settings)?).await? {
                Some(keyring) => base.keyring.verify(&keyring, &Bar::new("opening").report()).await,
                None => Ok(Verdict::default()),
            }
        })?;
        if self.json {
            let broken = broken.iter().map(|(id, problem)| BrokenJson { id, problem });
            out::json(&VerdictJson { sound, broken: broken.collect() })?;
        } else {
            for (id, problem) in &broken {
                out::line(format!("{id}: {problem}"))?;
            }
            out::line(format!("{sound} sound, {} broken", broken.len()))?;
        }
        Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
