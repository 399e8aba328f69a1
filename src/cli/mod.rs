//! The commands, one file each. They share where the data is (`Location`), how they speak (`out`) and how they show
//! that they are not done yet (`progress`).

mod audit;
mod backup;
mod completions;
mod config;
mod copy;
mod dev;
mod doctor;
mod files;
mod healthcheck;
mod json;
mod keyring;
mod lines;
mod log;
mod man;
mod migrate;
mod notify;
mod org;
mod out;
mod progress;
mod restore;
mod running;
mod serve;
mod token;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueHint};

use crate::app::{Base, Parts, Purpose};
use crate::config::{CONFIG_VARIABLE, Layers, Settings, Source};
use crate::error::{Error, Result};

/// Where the settings file of an installation is, for commands that are told of no other.
const SYSTEM_CONFIG: &str = "/etc/hook-keys/hook-keys.toml";

/// A self-hosted key service that speaks Okta's hook-keys and inline-hooks APIs, and Kong's keys and key-sets APIs.
#[derive(Parser)]
#[command(name = "hook-keys", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run for development: makes what is missing, and prints a token and a line to try.
    Dev(dev::Dev),
    /// Run in production; bring the database to this version's schema first.
    Serve(serve::Serve),
    /// Manage orgs, the tenants.
    #[command(subcommand)]
    Org(org::Org),
    /// Manage API tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// Look at the audit trail: who wrote, revealed or called what, and who was refused.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Inspect and change the keys that private halves and secrets are sealed with.
    #[command(subcommand)]
    Keyring(keyring::Keyring),
    /// Look for what is wrong or risky with the installation, and exit with 1 if something is wrong.
    Doctor(doctor::Doctor),
    /// Bring the database to this version's schema.
    Migrate(migrate::Migrate),
    /// Copy all data into another database, which must be empty: SQLite or PostgreSQL, either way.
    ///
    /// Stop the servers first: while the copy runs they cannot write, and what they write afterwards is not
    /// copied. All rows are committed at once: a copy that ends before, however it ends, leaves none in the
    /// target. Values stay sealed as they are, so the master key stays the same, and each of them is then opened
    /// in the target. The settings `[postgres]` hold for both databases.
    Copy(copy::Copy),
    /// Write all data to a file, while servers go on serving.
    ///
    /// The file is the state of one moment, and everything in it stays sealed as it is: keep the master key too, and
    /// somewhere else. It is made completely or not at all, for its owner only, and never in place of another. Each
    /// sealed value in it is then opened. docs/BACKUP.md has what is in it and what is not.
    Backup(backup::Backup),
    /// Put a backup into an empty database: SQLite or PostgreSQL, whichever it was made from.
    ///
    /// Stop the servers first. The file is checked from its first octet to its last before anything is written, and
    /// all rows are committed at once. Each sealed value in the database is then opened.
    Restore(restore::Restore),
    /// Check or show the settings, or print a sample file.
    #[command(subcommand)]
    Config(config::Config),
    /// Ask a running server whether it answers, and exit with 1 if it does not.
    ///
    /// For supervisors that run a command, such as those of containers. Without --url, it asks the address of the
    /// setting `listen`, on this machine.
    Healthcheck(healthcheck::Healthcheck),
    /// Print what makes a shell complete the commands and flags of hook-keys.
    Completions(completions::Completions),
    /// Write the manual pages to a directory.
    Man(man::Man),
}

/// Where the data is.
#[derive(Args, Clone)]
struct Location {
    /// A directory made by `hook-keys dev`.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// A settings file; `hook-keys config sample` prints one.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Dev(command) => command.run(),
        Command::Serve(command) => command.run(),
        Command::Org(command) => command.run(),
        Command::Token(command) => command.run(),
        Command::Audit(command) => command.run(),
        Command::Keyring(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Migrate(command) => command.run(),
        Command::Copy(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Restore(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Healthcheck(command) => command.run(),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    };
    outcome.unwrap_or_else(|error| {
        out::complain(&error);
        ExitCode::FAILURE
    })
}

impl Location {
    /// The settings before flags: file and environment, with the data directory's files where one is given.
    fn layers(&self) -> Result<Layers> {
        let layers = with_environment(self.file().as_deref())?;
        match &self.data_dir {
            Some(directory) => files::DataDir::new(directory).apply(layers),
            None => Ok(layers),
        }
    }

    /// The same, with the settings file of the installation where nothing else says where the data is. And whether
    /// anything says it at all.
    fn known_layers(&self) -> Result<(Layers, bool)> {
        let layers = self.layers()?;
        let system = Path::new(SYSTEM_CONFIG);
        if self.file().is_some() || layers.source("database_url") != Some(Source::Default) {
            return Ok((layers, true));
        }
        // One that cannot be looked at is read all the same: the error then names it.
        if !system.try_exists().unwrap_or(true) {
            return Ok((layers, false));
        }
        Ok((with_environment(Some(system))?, true))
    }

    /// The same, refused when nothing says where the data is.
    fn data_layers(&self) -> Result<Layers> {
        match self.known_layers()? {
            (layers, true) => Ok(layers),
            _ => Err(Error::setup(format!(
                "say where the data is: --data-dir DIR (a directory made by `hook-keys dev`), --config FILE or the \
                 variable {CONFIG_VARIABLE}; without them, {SYSTEM_CONFIG} is read if it is there"
            ))),
        }
    }

    /// The settings file that the flag names, or else the environment. A data directory needs none.
    fn file(&self) -> Option<PathBuf> {
        let variable = || std::env::var_os(CONFIG_VARIABLE).filter(|file| !file.is_empty());
        self.config.clone().or_else(|| variable().filter(|_| self.data_dir.is_none()).map(PathBuf::from))
    }

    /// Runs `work` on the data, which must be at this version's schema.
    fn on_data<T>(&self, work: impl AsyncFnOnce(Base, &Settings) -> Result<T>) -> Result<T> {
        let settings = self.data_layers()?.check()?;
        block_on(async {
            work(Base::open(&settings, Parts::default(), Purpose::Command).await?, &settings).await
        })
    }
}

fn with_environment(file: Option<&Path>) -> Result<Layers> {
    let layers = Layers::defaults()?;
    let layers = match file {
        Some(file) => layers.with_file(file)?,
        None => layers,
    };
    layers.with_environment(std::env::vars_os())
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::internal("starting a runtime", error))?.block_on(work)
}
