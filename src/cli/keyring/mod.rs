//! `hook-keys keyring`.

mod master;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::progress::{Bar, spin};
use super::{Location, out};
use crate::app::{Base, master_key};
use crate::config::Settings;
use crate::error::{Error, Result};
use crate::service::Keyrings;
use crate::service::keyring::{Resealed, Status as Found, Verdict};

#[derive(Subcommand)]
pub(super) enum Keyring {
    /// Show the terms and how many sealed values each holds.
    Status(Status),
    /// Open every sealed value, and compare private keys with their public halves. Changes nothing.
    Verify(Verify),
    /// Make a new term. Every server that runs seals new values under it from then on.
    ///
    /// What was sealed before stays as it is and opens; `keyring reseal` seals it anew.
    Rotate(Location),
    /// Seal every value of older terms anew, under the newest. Servers may run meanwhile.
    ///
    /// Ended before it is done, it leaves every value under the one term or the other; run it again, and it goes on.
    Reseal(Location),
    /// Remove a term that seals nothing any more.
    ///
    /// Its data key is gone then. Values that it has sealed are in backups from before, which have it too.
    Retire(Retire),
    /// Change the master key.
    #[command(subcommand)]
    Master(master::Master),
}

#[derive(Args)]
pub(super) struct Retire {
    /// The number of the term.
    #[arg(value_name = "TERM")]
    term: u32,
    #[command(flatten)]
    location: Location,
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
            Self::Rotate(location) => rotate(&location),
            Self::Reseal(location) => reseal(&location),
            Self::Retire(command) => command.run(),
            Self::Master(command) => command.run(),
        }
    }
}

fn rotate(location: &Location) -> Result<ExitCode> {
    let work = async |base: Base, settings: &Settings| {
        let master = Arc::new(master_key(settings)?);
        spin("rotating", base.keyring.rotate(&master)).await
    };
    let term = location.on_data(work)?;
    out::line(format!("term {term} seals new values from now on"))?;
    out::remark("seal what there is under it too: `hook-keys keyring reseal`");
    Ok(ExitCode::SUCCESS)
}

fn reseal(location: &Location) -> Result<ExitCode> {
    let work = async |base: Base, settings: &Settings| {
        let master = Arc::new(master_key(settings)?);
        let sealer = base.keyring.open(&master).await?.ok_or_else(no_keyring)?;
        base.keyring.reseal(&Arc::new(sealer), &Bar::new("resealing").report()).await
    };
    let Resealed { term, done, left, broken } = location.on_data(work)?;
    for (id, problem) in &broken {
        out::line(format!("{id}: {problem}"))?;
    }
    out::line(format!("{done} value(s) sealed anew under term {term}, {left} left under older terms"))?;
    if left == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    out::remark(if broken.is_empty() {
        "values were sealed under older terms meanwhile: run `hook-keys keyring reseal` again"
    } else {
        "what does not open stays as it is: restore it from a backup, or delete the key or hook"
    });
    Ok(ExitCode::FAILURE)
}

fn no_keyring() -> Error {
    Error::setup("the database has no keyring yet: the first start of the server makes it")
}

impl Retire {
    fn run(self) -> Result<ExitCode> {
        let Self { term, location } = self;
        location.on_data(async |base, _| spin("retiring", base.keyring.retire(term)).await)?;
        out::line(format!("term {term} is retired"))?;
        Ok(ExitCode::SUCCESS)
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
    match keyring.open(&Arc::new(master_key(settings)?)).await? {
        Some(opened) => keyring.verify(&Arc::new(opened), &Bar::new("opening").report()).await,
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
