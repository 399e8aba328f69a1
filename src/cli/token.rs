//! `hook-keys token`.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Location, out};
use crate::config::parse_span;
use crate::domain::Timestamp;
use crate::domain::ids::TokenId;
use crate::domain::org::OrgName;
use crate::domain::permission::{Grant, Permission};
use crate::domain::text::DisplayName;
use crate::domain::token::{self, Expiry};
use crate::error::{Error, Result};

#[derive(Subcommand)]
pub(super) enum Token {
    /// Make a token and print it, the only time it can be seen.
    Create(Create),
    /// List tokens, without their secrets.
    List(List),
    /// Revoke a token. Servers that run learn of it within `cache.poll_interval`.
    Revoke(Revoke),
}

#[derive(Args)]
pub(super) struct Create {
    /// The org it acts in.
    #[arg(long, value_name = "NAME")]
    org: String,
    /// A label to know it by.
    #[arg(long, value_name = "LABEL")]
    name: String,
    /// What it may do: okta.inlineHooks.read, okta.inlineHooks.manage, keys.read, keys.manage, keys.reveal,
    /// okta.logs.read or all.
    /// Say it again for more than one.
    #[arg(long, value_name = "PERMISSION", default_values = [Permission::InlineHooksManage.name()])]
    permission: Vec<String>,
    /// End it this long from now, whatever its use (90d, 12h). Without it, it ends 30 days after its last
    /// use, or what `tokens.idle_expiry` says.
    #[arg(long, value_name = "SPAN")]
    expires_in: Option<String>,
    /// Print the token with its id and expiry as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    location: Location,
}

#[derive(Args)]
pub(super) struct List {
    /// Only those of this org.
    #[arg(long, value_name = "NAME")]
    org: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    location: Location,
}

#[derive(Args)]
pub(super) struct Revoke {
    /// The token's id, as `token list` shows it.
    id: String,
    #[command(flatten)]
    location: Location,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    org: &'a str,
    name: &'a str,
    permissions: String,
    created: String,
    last_used: Option<String>,
    expires: String,
    sliding: bool,
    state: String,
}

impl<'a> Row<'a> {
    fn new(token: &'a token::Token, org: &'a str, now: Timestamp) -> Self {
        Self {
            id: token.id.as_str(),
            token: None,
            org,
            name: &token.name,
            permissions: token.grant.to_string(),
            created: out::moment(token.created),
            last_used: token.last_used.map(out::moment),
            expires: out::moment(token.expires()),
            sliding: matches!(token.expiry, Expiry::Idle(_)),
            state: token.state(now).to_string(),
        }
    }
}

impl Token {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Create(command) => command.run()?,
            Self::List(command) => command.run()?,
            Self::Revoke(command) => command.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    fn run(self) -> Result<()> {
        let org = OrgName::parse(&self.org)?;
        let name = DisplayName::parse(self.name)?;
        let grant = Grant::parse(self.permission.iter().map(String::as_str))?;
        let expires_in: Option<Duration> =
            self.expires_in.map(|span| parse_span("--expires-in", &span)).transpose()?;
        let (token, secret) = self.location.on_data(async |base, _| {
            let org = base.orgs.find(org).await?;
            base.tokens.create(org.id, name, grant, expires_in).await
        })?;
        let row = Row { token: Some(secret.reveal()), ..Row::new(&token, &self.org, token.created) };
        if self.json {
            return out::json(&row);
        }
        out::line(secret.reveal())?;
        out::remark(format!("Keep it: it is not shown again. Its id is {}.", token.id));
        Ok(())
    }
}

impl List {
    fn run(self) -> Result<()> {
        let only = self.org.as_deref().map(OrgName::parse).transpose()?;
        let (orgs, tokens, now) = self.location.on_data(async |base, _| {
            let only = match only {
                Some(name) => Some(base.orgs.find(name).await?.id),
                None => None,
            };
            Ok((base.orgs.list().await?, base.tokens.list(only).await?, base.tokens.clock.now()))
        })?;
        let names: HashMap<_, _> = orgs.iter().map(|org| (org.id.clone(), org.name.as_str())).collect();
        let rows: Vec<_> = tokens
            .iter()
            .map(|token| Row::new(token, names.get(&token.org).copied().unwrap_or_default(), now))
            .collect();
        if self.json {
            return out::json(&rows);
        }
        let cells = |row: &Row<'_>| {
            let last_used = row.last_used.clone().unwrap_or_else(|| "never".to_owned());
            [row.id, row.org, row.name, &row.state, &row.permissions, &last_used, &row.expires]
                .map(str::to_owned)
        };
        let titles = ["ID", "ORG", "NAME", "STATE", "PERMISSIONS", "LAST USED", "EXPIRES"];
        out::table(titles, &rows.iter().map(cells).collect::<Vec<_>>())?;
        Ok(())
    }
}

impl Revoke {
    fn run(self) -> Result<()> {
        let id = TokenId::parse(&self.id).ok_or_else(|| {
            Error::invalid(
                "token",
                format_args!("{:?} is not a token id: `hook-keys token list` shows them", self.id),
            )
        })?;
        let within = self.location.on_data(async |base, settings| {
            base.tokens.revoke(id).await?;
            Ok(settings.cache.poll_interval)
        })?;
        out::line(format!("revoked {}", self.id))?;
        out::remark(format!("servers that run refuse it within {within:?}"));
        Ok(())
    }
}
