//! `hook-keys man`: the manual pages, made of what clap knows of the commands and of the sample settings.

mod settings;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command, CommandFactory as _, ValueHint};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::{Cli, SYSTEM_CONFIG, out};
use crate::config::{CONFIG_VARIABLE, MASTER_KEY_VARIABLE};
use crate::error::{Error, Result};

#[derive(Args)]
pub(super) struct Man {
    /// Where they go; it is made if it is not there. `man -l FILE` shows one.
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    directory: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> Result<ExitCode> {
        // The command `help` has no page: it shows what the others have.
        let mut root = Cli::command().disable_help_subcommand(true);
        root.build();
        let write = || -> io::Result<usize> {
            fs::create_dir_all(&self.directory)?;
            fs::write(self.directory.join("hook-keys.toml.5"), settings::page())?;
            Ok(1 + write_pages(&root, None, &self.directory)?)
        };
        let count = write().map_err(|error| {
            Error::setup(format!(
                "the manual pages cannot be written to {}: {error}",
                self.directory.display()
            ))
        })?;
        out::remark(format!("{count} manual pages are in {}", self.directory.display()));
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the page of a command and of all below it, and counts them.
fn write_pages(command: &Command, parent: Option<&str>, directory: &Path) -> io::Result<usize> {
    let name = name_of(command);
    fs::write(directory.join(format!("{name}.1")), page(command, parent)?)?;
    command
        .get_subcommands()
        .try_fold(1, |count, below| Ok(count + write_pages(below, Some(&name), directory)?))
}

fn name_of(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(command: &Command, parent: Option<&str>) -> io::Result<Vec<u8>> {
    let mut text = title(&name_of(command), "1").into_bytes();
    let page = Page::new(command.clone());
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut text)?;
    }
    sections(command, parent).to_writer(&mut text)?;
    Ok(text)
}

/// The first line of a page. It has no date, so that a version's page is the same whenever it is made; clap's own would
/// leave the empty one out, and its version would be taken for the date.
fn title(name: &str, section: &str) -> String {
    format!(".TH {name} {section} \"\" \"hook-keys {}\" \"hook-keys\"\n", env!("CARGO_PKG_VERSION"))
}

/// What clap does not know: what a command does with the world around it.
fn sections(command: &Command, parent: Option<&str>) -> Roff {
    let mut roff = Roff::new();
    let serves = command.get_arguments().any(|argument| argument.get_id() == "listen");
    let reads_settings = command.get_arguments().any(|argument| argument.get_id() == "config");
    if serves {
        entries(
            &mut roff,
            "SIGNALS",
            &[
                (
                    "SIGTERM, SIGINT",
                    "Stop: after shutdown.grace, take no new connection, end what is under way, and exit with 0. A second \
                     one ends the process at once, with 128 and its number.",
                ),
                ("SIGHUP", "Read the files of the settings [tls] again, for connections to come."),
            ],
        );
    }
    // A name that others follow does nothing alone.
    if !command.has_subcommands() {
        entries(
            &mut roff,
            "EXIT STATUS",
            &[
                ("0", "It was done."),
                ("1", "It failed, or was refused, or found something wrong; standard error says what."),
                ("2", "The command line is not a valid one."),
            ],
        );
    }
    if reads_settings || parent.is_none() {
        entries(
            &mut roff,
            "ENVIRONMENT",
            &[
                (CONFIG_VARIABLE, "The settings file, where neither --config nor --data-dir is given."),
                (MASTER_KEY_VARIABLE, "The master key itself, in place of the setting master_key_file."),
                ("HOOK_KEYS_...", "Any setting: hook-keys.toml(5) has the variable of each."),
            ],
        );
        entries(
            &mut roff,
            "FILES",
            &[
                (SYSTEM_CONFIG, "The settings, where nothing else says where the data is."),
                (
                    "DIR/hook-keys.db, DIR/master.key, DIR/admin-token",
                    "Database, master key and API token in a directory made by `hook-keys dev`.",
                ),
            ],
        );
    }
    see_also(&mut roff, command, parent);
    roff
}

/// A section of terms and what they mean.
fn entries(roff: &mut Roff, title: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (term, meaning) in entries {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*meaning)]);
    }
}

/// The pages above and below, and that of the settings.
fn see_also(roff: &mut Roff, command: &Command, parent: Option<&str>) {
    let below = command.get_subcommands().map(|command| (name_of(command), "(1)"));
    let above = parent.map(|name| (name.to_owned(), "(1)"));
    let settings = ("hook-keys.toml".to_owned(), "(5)");
    let mut line = Vec::new();
    for (name, section) in above.into_iter().chain(below).chain([settings]) {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([italic(name), roman(section)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text(line);
}
