//! `hook-keys completions`.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::{Shell, generate};

use super::{Cli, out};
use crate::error::{Error, Result};

#[derive(Args)]
pub(super) struct Completions {
    /// The shell that will read them.
    shell: Known,
}

/// The shells that are tried out in the tests or are close to one that is.
#[derive(Clone, Copy, ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub(super) fn run(self) -> Result<ExitCode> {
        let shell = match self.shell {
            Known::Bash => Shell::Bash,
            Known::Zsh => Shell::Zsh,
            Known::Fish => Shell::Fish,
        };
        let mut script = Vec::new();
        generate(shell, &mut Cli::command(), "hook-keys", &mut script);
        let script =
            String::from_utf8(script).map_err(|error| Error::internal("making completions", error))?;
        // The script for bash spells the program's own hyphen in two ways, and then finds no subcommand.
        let script = script.replace("hook__subcmd__keys", "hook__keys");
        out::line(script.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}
