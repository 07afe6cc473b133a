//! mcr-bench: this registry side by side with what a user would pick instead. Only ties the parts
//! together; every figure comes from `run`, every word about it from `report`.

#![expect(clippy::disallowed_methods, reason = "the bench makes and clears directories of its own")]

use std::{env, process::ExitCode};

use clap::Parser;
use cli::{Cli, Command, Render, Run};
use error::Error;
use results::Results;

mod access;
mod cli;
mod collect;
mod content;
mod error;
mod host;
mod http;
mod interrupt;
mod others;
mod process;
mod push;
mod report;
mod results;
mod rows;
mod run;
mod scan_tree;
mod servers;
mod stats;
mod tls;
mod tools;
mod versions;
mod wrk;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(options) => measure(&options),
        Command::Render(options) => render(&options),
        Command::Tools(options) => tools::run(&options),
        Command::Access(options) => access::run(&options),
        Command::Gc(options) => collect::run(&options),
        Command::ScanTree(options) => scan_tree::run(&options).map(|grown| {
            println!("{} indexes, {} images, {} links", grown.indexes, grown.images, grown.links);
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One wins if both happened: what was interrupted fails in many ways.
            let error = interrupt::check().err().unwrap_or(error);
            eprintln!("mcr-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Run) -> Result<(), Error> {
    let plan = options.plan()?;
    host::make_directory(&options.scratch)?;
    let parent = host::absolute(&options.scratch)?;
    let scratch = tempfile::Builder::new()
        .prefix("mcr-bench-")
        .tempdir_in(&parent)
        .map_err(Error::file("create a directory in", &parent))?;
    interrupt::watch().map_err(Error::file("wait for signals in", &parent))?;
    let results = Results {
        date: versions::today(),
        command: versions::command(env::args()),
        machine: host::Machine::describe(scratch.path())?,
        versions: versions::all(&plan.programs, &plan.wrk),
        pairs: plan.pairs,
        amounts: plan.amounts.clone(),
        phases: plan.run(scratch.path())?,
    };
    print!("{}", report::tables(&results));
    eprintln!("{}", report::trust(&results));
    if let Some(file) = &options.json {
        results.save(file)?;
    }
    if let Some(page) = &options.markdown {
        report::write_page(&results, page)?;
    }
    Ok(())
}

fn render(options: &Render) -> Result<(), Error> {
    let results = Results::load(&options.results)?;
    match &options.markdown {
        Some(page) => report::write_page(&results, page),
        None => {
            print!("{}", report::tables(&results));
            Ok(())
        }
    }
}
