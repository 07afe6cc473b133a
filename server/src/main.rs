//! The program `mcrsrv`: the one crypto provider and the command line; never anything else.

use std::process::ExitCode;

fn main() -> ExitCode {
    // With two providers in one program rustls panics at first use; this one is chosen before anything else runs.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("mcrsrv: another crypto provider is installed; this build is broken");
        return ExitCode::FAILURE;
    }
    mcr_server::cli::run(mcr_server::serve::run)
}
