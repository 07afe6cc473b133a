//! The program `mcrctl`: the one crypto provider, the command line, the exit code; never what commands do.
#![allow(rustdoc::broken_intra_doc_links, reason = "doc comments of arguments are help texts: HOST[:PORT]")]

mod address;
mod api;
mod audit;
mod cli;
mod confirm;
mod failure;
mod files;
mod gc;
mod global;
mod import;
mod integrity;
mod kinds;
mod length;
mod logging;
mod login;
mod outlets;
mod place;
mod plan;
mod policy;
mod print;
mod probe;
mod read_only;
mod repo;
mod restore;
mod retention;
mod rpc;
mod run;
mod runtime;
mod save;
mod scan;
mod shape;
mod snapshot;
mod status;
mod table;
mod tag;
mod target;
mod token;
mod verify;
mod when;

use std::process::ExitCode;

fn main() -> ExitCode {
    // With two providers in one program rustls panics at first use; this one is chosen before anything else runs.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("mcrctl: another crypto provider is installed; this build is broken");
        return ExitCode::from(3);
    }
    cli::run()
}
