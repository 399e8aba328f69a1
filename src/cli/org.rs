//! `hook-keys org`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::progress::spin;
use super::{Location, out};
use crate::domain::org::{self, OrgName};
use crate::error::{Error, Result};

#[derive(Subcommand)]
pub(super) enum Org {
    /// Make an org.
    Create(Create),
    /// List all orgs.
    List(List),
    /// Change the limit of an org.
    Update(Update),
    /// Delete an org with its tokens.
    Delete(Delete),
}

#[derive(Args)]
pub(super) struct Create {
    /// 1 to 63 lower-case letters, digits and hyphens.
    name: String,
    /// Most hook keys the org may have, in place of `limits.hook_keys_per_org`.
    #[arg(long, value_name = "N")]
    max_hook_keys: Option<u32>,
    /// Print the org as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    location: Location,
}

#[derive(Args)]
pub(super) struct List {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    location: Location,
}

#[derive(Args)]
pub(super) struct Update {
    /// The org's name.
    name: String,
    /// Most hook keys the org may have; `default` follows `limits.hook_keys_per_org`. Keys beyond a lowered
    /// limit stay.
    #[arg(long, value_name = "N|default", value_parser = limit)]
    max_hook_keys: Limit,
    #[command(flatten)]
    location: Location,
}

#[derive(Args)]
pub(super) struct Delete {
    /// The org's name.
    name: String,
    /// Also when it still has hook keys, inline hooks or keys, whose private halves and secrets are then lost.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    location: Location,
}

/// A limit of its own, or none.
#[derive(Clone, Copy)]
struct Limit(Option<u32>);

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "default" => Ok(Limit(None)),
        number => number.parse().map(|n| Limit(Some(n))).map_err(|_| "use a number or `default`".to_owned()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: &'a str,
    name: &'a str,
    max_hook_keys: Option<u32>,
    created: String,
}

impl<'a> From<&'a org::Org> for Row<'a> {
    fn from(org: &'a org::Org) -> Self {
        Self {
            id: org.id.as_str(),
            name: &org.name,
            max_hook_keys: org.hook_key_limit,
            created: out::moment(org.created),
        }
    }
}

impl Org {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Create(command) => command.run()?,
            Self::List(command) => command.run()?,
            Self::Update(command) => command.run()?,
            Self::Delete(command) => command.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    fn run(self) -> Result<()> {
        let name = OrgName::parse(&self.name)?;
        let org = self.location.on_data(async |base, _| base.orgs.create(name, self.max_hook_keys).await)?;
        if self.json {
            return out::json(&Row::from(&org));
        }
        out::line(format!("made the org {} ({})", org.name, org.id))?;
        Ok(())
    }
}

impl List {
    fn run(self) -> Result<()> {
        let orgs = self.location.on_data(async |base, _| base.orgs.list().await)?;
        if self.json {
            return out::json(&orgs.iter().map(Row::from).collect::<Vec<_>>());
        }
        let rows: Vec<_> = orgs
            .iter()
            .map(|org| {
                let limit = org.hook_key_limit.map_or_else(|| "default".to_owned(), |n| n.to_string());
                [org.name.clone(), org.id.to_string(), limit, out::moment(org.created)]
            })
            .collect();
        out::table(["NAME", "ID", "MAX HOOK KEYS", "CREATED"], &rows)?;
        Ok(())
    }
}

impl Update {
    fn run(self) -> Result<()> {
        let name = OrgName::parse(&self.name)?;
        let Limit(limit) = self.max_hook_keys;
        let org = self.location.on_data(async |base, _| base.orgs.set_hook_key_limit(name, limit).await)?;
        out::line(match limit {
            Some(limit) => format!("{} may have at most {limit} hook keys", org.name),
            None => format!("{} may have as many hook keys as the settings say", org.name),
        })?;
        Ok(())
    }
}

impl Delete {
    fn run(self) -> Result<()> {
        let name = OrgName::parse(&self.name)?;
        self.location.on_data(async |base, _| spin("deleting", base.orgs.delete(name, self.force)).await)?;
        out::line(format!("deleted the org {}", self.name))?;
        Ok::<_, Error>(())
    }
}
