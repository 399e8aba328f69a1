//! The benchmark of the service over HTTP. `scripts/bench` builds and runs it, and docs/BENCHMARKS.md is what it writes.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program that tells what it is doing")]

mod chart;
mod client;
mod engine;
mod load;
mod machine;
mod measure;
mod plan;
mod reference;
mod report;
mod rounds;
mod row;
mod seed;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use machine::Machine;
use measure::Bench;
use plan::Plan;

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure everything and write the report.
    Run(Run),
    /// Serve the bytes of a file on every path, for who shows an Authorization header.
    Reference {
        #[arg(long, value_name = "FILE")]
        body: PathBuf,
    },
    /// Serve a token endpoint and the receiver of a hook.
    Services,
}

#[derive(Args)]
struct Run {
    /// The binary that is measured.
    #[arg(long, value_name = "FILE")]
    product: PathBuf,
    /// A PostgreSQL server that holds nothing yet.
    #[arg(long, value_name = "URL")]
    postgres: String,
    /// An empty directory on a real disk, for databases and logs.
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
    /// Where the report goes.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Short rounds and little data, to try the harness.
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(run) => run.run(),
        Command::Reference { body } => reference::serve_bytes(&body),
        Command::Services => reference::serve_services(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark failed: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Run {
    fn run(self) -> Result<()> {
        let plan = if self.quick { Plan::quick() } else { Plan::full() };
        let bench = Bench::new(plan, self.product, self.work, self.postgres)?;
        let machine = Machine::look(&bench)?;
        let sections = bench.measure()?;
        let report = report::Report { plan: &bench.plan, machine: &machine, sections: &sections };
        std::fs::create_dir_all(&self.out)?;
        std::fs::write(self.out.join("benchmarks.svg"), chart::draw(&sections))?;
        std::fs::write(self.out.join("BENCHMARKS.md"), report.markdown())?;
        println!("{}", report.plain_table());
        Ok(())
    }
}
