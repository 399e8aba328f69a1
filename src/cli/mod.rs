//! The commands, one file each. They share where the data is (`Location`), how they speak (`out`) and how they show
//! that they are not done yet (`progress`).

mod backup;
mod config;
mod copy;
mod dev;
mod doctor;
mod files;
mod json;
mod keyring;
mod lines;
mod log;
mod migrate;
mod org;
mod out;
mod progress;
mod restore;
mod serve;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::{Base, Parts, Purpose};
use crate::config::{Layers, Settings, Source};
use crate::error::{Error, Result};

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
}

/// Where the data is.
#[derive(Args, Clone)]
struct Location {
    /// A directory made by `hook-keys dev`.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// A settings file; `hook-keys config sample` prints one.
    #[arg(long, value_name = "FILE")]
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
        Command::Keyring(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Migrate(command) => command.run(),
        Command::Copy(command) => command.run(),
        Command::Backup(command) => command.run(),
        Command::Restore(command) => command.run(),
        Command::Config(command) => command.run(),
    };
    outcome.unwrap_or_else(|error| {
        out::complain(&error);
        ExitCode::FAILURE
    })
}

impl Location {
    /// The settings before flags: file and environment, with the data directory's files where one is given.
    fn layers(&self) -> Result<Layers> {
        let layers = Layers::defaults()?;
        let layers = match &self.config {
            Some(file) => layers.with_file(file)?,
            None => layers,
        };
        let layers = layers.with_environment(std::env::vars_os())?;
        match &self.data_dir {
            Some(directory) => files::DataDir::new(directory).apply(layers),
            None => Ok(layers),
        }
    }

    /// The same, refused when nothing says where the data is.
    fn data_layers(&self) -> Result<Layers> {
        let layers = self.layers()?;
        if self.config.is_none() && layers.source("database_url") == Some(Source::Default) {
            return Err(Error::setup(
                "say where the data is: --data-dir DIR (a directory made by `hook-keys dev`) or --config FILE",
            ));
        }
        Ok(layers)
    }

    /// Runs `work` on the data, which must be at this version's schema.
    fn on_data<T>(&self, work: impl AsyncFnOnce(Base, &Settings) -> Result<T>) -> Result<T> {
        let settings = self.data_layers()?.check()?;
        block_on(async {
            work(Base::open(&settings, Parts::default(), Purpose::Command).await?, &settings).await
        })
    }
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::internal("starting a runtime", error))?.block_on(work)
}
