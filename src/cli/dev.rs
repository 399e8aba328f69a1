//! `hook-keys dev`: from nothing to a working service in one command.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::files::DataDir;
use super::serve::{Overrides, serve};
use super::{Location, out};
use crate::app::Base;
use crate::config::{Layers, OutboundSettings, Source};
use crate::domain::ids::OrgId;
use crate::domain::org::OrgName;
use crate::domain::permission::Grant;
use crate::domain::text::DisplayName;
use crate::domain::token::ApiToken;
use crate::error::{Kind, Result};

const ORG: &str = "default";

#[derive(Args)]
pub(super) struct Dev {
    /// The directory for database, master key and token.
    #[arg(long, value_name = "DIR", default_value = "./hook-keys-data")]
    data_dir: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

impl Dev {
    pub(super) fn run(self) -> Result<ExitCode> {
        let directory = DataDir::new(&self.data_dir);
        let location = Location { data_dir: Some(self.data_dir.clone()), config: None };
        let (mut settings, _log) = self.overrides.settle(allow_loopback(location.layers()?)?)?;
        if settings.tls.take().is_some() {
            tracing::warn!("dev speaks plain HTTP: the settings of TLS are for serve");
        }
        let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
        let OutboundSettings { allow, allow_http, .. } = &settings.outbound;
        let loopback = *allow_http && allow.iter().any(|range| range.contains(&localhost));
        serve(
            &settings,
            true,
            || directory.prepare(),
            async |base| admin_token(base, &directory).await,
            |address, token| announce(address, &self.data_dir, &token, loopback),
        )
    }
}

/// Lets inline hooks call services on this machine, unless the environment says where or how they may call.
fn allow_loopback(layers: Layers) -> Result<Layers> {
    let said = |key| layers.source(key) != Some(Source::Default);
    if said("outbound.allow") || said("outbound.allow_http") {
        return Ok(layers);
    }
    let ranges = ["127.0.0.0/8", "::1/128"].map(str::to_owned).to_vec();
    layers.with_flag("outbound.allow", ranges)?.with_flag("outbound.allow_http", true)
}

/// The token that the directory holds, if it still works; else a new one, which the directory then holds.
async fn admin_token(base: &Base, directory: &DataDir) -> Result<ApiToken> {
    let org = default_org(base).await?;
    if let Some(token) = directory.read_token() {
        match base.tokens.authenticate(&token).await {
            Ok(caller) if caller.org == org && caller.grant == Grant::All => return Ok(token),
            Err(error) if *error.kind() != Kind::BadCredentials => return Err(error),
            _ => {}
        }
    }
    let name = DisplayName::parse("dev".to_owned())?;
    let token = ApiToken::generate(&*base.tokens.entropy)?;
    // The file first: a start that is killed in between leaves a token that nobody knows and the next start
    // replaces, and not one that works and nobody knows of.
    directory.write_token(&token)?;
    base.tokens.store(&token, org, name, Grant::All, None).await?;
    Ok(token)
}

async fn default_org(base: &Base) -> Result<OrgId> {
    let found = base.orgs.list().await?.into_iter().find(|org| org.name == ORG);
    match found {
        Some(org) => Ok(org.id),
        None => Ok(base.orgs.create(OrgName::parse(ORG)?, None).await?.id),
    }
}

fn announce(address: SocketAddr, data_dir: &Path, token: &ApiToken, loopback: bool) -> Result<()> {
    let base = format!("http://{}", reachable(address));
    let token = token.reveal();
    let note = if loopback {
        "Inline hooks may call this machine over plain HTTP; serve must be told to allow that.\n\n"
    } else {
        ""
    };
    out::line(format!(
        "hook-keys {version} for development; its data is in {data_dir}\n\n  \
         Base URL   {base}\n  \
         API token  {token}\n\n\
         {note}\
         Try it:\n\n  \
         curl -H 'Authorization: SSWS {token}' {base}/api/v1/hook-keys\n",
        version = env!("CARGO_PKG_VERSION"),
        data_dir = data_dir.display(),
    ))
}

/// An address that a client on this machine can call.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
