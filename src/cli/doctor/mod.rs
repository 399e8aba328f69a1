//! `hook-keys doctor`: what is wrong with an installation, and what mends it. Changes nothing.

mod files;
mod settings;
mod tls;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::progress::Bar;
use super::{Location, block_on, out};
use crate::app::{Base, Parts, master_key};
use crate::config::{DatabaseSettings, Settings};
use crate::error::{Error, Result};
use crate::service::keyring::Status;
use crate::store::migrate;

#[derive(Args)]
pub(super) struct Doctor {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    location: Location,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// As it should be.
    Ok,
    /// It works, and it may do harm.
    Risk,
    /// It does not work, or others may read what they should not.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    about: &'static str,
    what: String,
    /// The command that mends it, or what else does.
    mend: Option<String>,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

#[derive(Serialize)]
struct FindingsJson<'a> {
    findings: &'a [Finding],
    wrong: usize,
    risks: usize,
}

impl Findings {
    fn ok(&mut self, about: &'static str, what: impl Into<String>) {
        self.0.push(Finding { level: Level::Ok, about, what: what.into(), mend: None });
    }

    fn risk(&mut self, about: &'static str, what: impl Into<String>, mend: impl Into<String>) {
        let (what, mend) = (what.into(), Some(mend.into()));
        self.0.push(Finding { level: Level::Risk, about, what, mend });
    }

    fn wrong(&mut self, about: &'static str, what: impl Into<String>, mend: impl Into<String>) {
        let (what, mend) = (what.into(), Some(mend.into()));
        self.0.push(Finding { level: Level::Wrong, about, what, mend });
    }

    /// Something that an error tells of, with its remedy in it if the operator can mend it.
    fn error(&mut self, about: &'static str, error: &Error) {
        let what = match error.private() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        self.0.push(Finding { level: Level::Wrong, about, what, mend: None });
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }
}

impl Doctor {
    pub(super) fn run(self) -> Result<ExitCode> {
        let layers = self.location.data_layers()?;
        let mut found = Findings::default();
        match layers.check() {
            Err(error) => found.error("settings", &error),
            Ok(settings) => {
                files::master_key(&mut found, &settings, self.location.data_dir.is_some());
                files::database(&mut found, &settings);
                tls::look(&mut found, &settings);
                block_on(async {
                    data(&mut found, &settings).await;
                    Ok(())
                })?;
                settings::look(&mut found, &settings, layers.unknown_variables());
            }
        }
        let (wrong, risks) = (found.count(Level::Wrong), found.count(Level::Risk));
        if self.json {
            out::json(&FindingsJson { findings: &found.0, wrong, risks })?;
        } else {
            for finding in &found.0 {
                print(finding)?;
            }
            out::line(format!("{wrong} wrong, {risks} at risk"))?;
        }
        Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print(finding: &Finding) -> Result<()> {
    let level = match finding.level {
        Level::Ok => "ok",
        Level::Risk => "RISK",
        Level::Wrong => "WRONG",
    };
    out::line(format!("{level:5}  {}: {}", finding.about, finding.what))?;
    match &finding.mend {
        Some(mend) => out::line(format!("       mend it: {mend}")),
        None => Ok(()),
    }
}

/// Looks at the database and what is sealed in it.
async fn data(found: &mut Findings, settings: &Settings) {
    let base = match Base::open_as_is(settings, Parts::default(), false).await {
        Ok(base) => base,
        Err(error) => return found.error("database", &error),
    };
    let name = match &settings.database {
        DatabaseSettings::Sqlite(path) => format!("SQLite, {}", path.display()),
        DatabaseSettings::Postgres(_) => "PostgreSQL".to_owned(),
    };
    match migrate::pending(&base.db).await {
        Err(error) => return found.error("database", &error),
        Ok(missing) if !missing.is_empty() => {
            let what = format!("{name}: it lacks {} migration(s): {}", missing.len(), missing.join(", "));
            return found.wrong("database", what, "hook-keys migrate");
        }
        Ok(_) => found.ok("database", format!("{name}: it opens, at this version's schema")),
    }
    match base.keyring.status().await {
        Err(error) => return found.error("keyring", &error),
        Ok(status) => terms(found, &status),
    }
    values(found, &base, settings).await;
}

fn terms(found: &mut Findings, status: &Status) {
    if status.terms.is_empty() && status.orphans == 0 {
        found.ok("keyring", "there is none yet: the first start of the server makes it");
    }
    for term in &status.terms {
        let (number, created) = (term.term, out::moment(term.created));
        let what = format!("term {number} of {created} seals {} value(s)", term.blobs);
        match (term.current, term.blobs) {
            (true, _) => found.ok("keyring", format!("{what}, and new ones")),
            (false, 0) => {
                let mend = format!("hook-keys keyring retire {number}");
                found.risk("keyring", format!("{what}: its data key is kept for nothing"), mend);
            }
            (false, _) => {
                found.risk("keyring", format!("{what}, and is not the newest"), "hook-keys keyring reseal");
            }
        }
    }
    if status.orphans > 0 {
        let what = format!("{} sealed value(s) belong to no term", status.orphans);
        found.wrong("keyring", what, "hook-keys keyring verify, which names them; restore a backup");
    }
}

/// Opens every sealed value.
async fn values(found: &mut Findings, base: &Base, settings: &Settings) {
    // What is wrong with the key itself was told with its file.
    let Ok(master) = master_key(settings).map(Arc::new) else { return };
    let verdict = match base.keyring.open(&master).await {
        Ok(None) => return,
        Ok(Some(sealer)) => base.keyring.verify(&Arc::new(sealer), &Bar::new("opening").report()).await,
        Err(error) => Err(error),
    };
    match verdict {
        Err(error) => found.error("keyring", &error),
        Ok(verdict) => {
            found.ok("values", format!("{} sealed value(s) open", verdict.sound));
            for (id, problem) in verdict.broken {
                let mend = "restore a backup, or delete the key or hook";
                found.wrong("values", format!("{id}: {problem}"), mend);
            }
        }
    }
}
