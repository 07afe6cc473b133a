//! The command line of `mcrctl`: what may be said, and which command is meant; never what commands do.

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::failure::Outcome;
use crate::global::{Global, LogFormat};
use crate::print::tell;
use crate::{integrity, print, probe, scan, status, verify};

/// Look after a registry from the command line.
#[derive(Debug, Parser)]
#[command(name = "mcrctl", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  mcrctl --addr https://127.0.0.1:8443 --ca-cert srv/tls/cert.pem status
  mcrctl verify registry.example/infra/ci:latest
  mcrctl --addr https://registry.example probe --once
  mcrctl scan /var/lib/docker-registry

Exit codes: 0 it holds or is done, 1 the answer is bad, 2 wrong usage, 3 could not be determined";

#[derive(Debug, Subcommand)]
enum Command {
    /// Print how the registry is: ok, degraded with the reasons, or failing
    #[command(after_help = status::EXAMPLES)]
    Status,
    /// Print what the registry's own probe saw last: findings, broken tags, when it runs next
    #[command(after_help = integrity::EXAMPLES)]
    Integrity(integrity::Integrity),
    /// Prove that references can be pulled whole, from any registry: the step after a push
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Verify),
    /// Look at every tag of a registry, once or on a schedule, and say what is broken
    #[command(after_help = probe::EXAMPLES)]
    Probe(Box<probe::Probe>),
    /// Look at storage trees on disk, offline: what a registry over them would refuse
    #[command(after_help = scan::EXAMPLES)]
    Scan(Box<scan::Scan>),
    /// Print completions for a shell
    #[command(after_help = "Examples:\n  mcrctl completions bash > /etc/bash_completion.d/mcrctl")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Runs the command line of this process.
pub(crate) fn run() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => dispatch(&cli).into(),
        Err(error) => usage(&error),
    }
}

fn dispatch(cli: &Cli) -> Outcome {
    let global = &cli.global;
    match &cli.command {
        Command::Status => print::answer(global, &status::run(global)),
        Command::Integrity(command) => print::answer(global, &integrity::run(global, command)),
        Command::Verify(command) => print::answer(global, &verify::run(global, command)),
        Command::Probe(command) => print::answer(global, &probe::run(global, command)),
        Command::Scan(command) => print::answer(global, &scan::run(global, command)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "mcrctl", &mut script);
            // A reader that has seen enough, as `head` has, is no failure.
            let _ = std::io::stdout().write_all(&script);
            Outcome::Holds
        }
    }
}

/// Help and version go to stdout; a mistake is told in one line, exit code 2.
fn usage(error: &clap::Error) -> ExitCode {
    let without_command = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !error.use_stderr() || without_command {
        // Nothing can be told when the stream is closed.
        let _ = error.print();
        return if without_command { Outcome::WrongUsage } else { Outcome::Holds }.into();
    }
    tell(LogFormat::Text, &usage_line(error));
    Outcome::WrongUsage.into()
}

/// clap's message without its layout, and where help is.
fn usage_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let said = said.join("; ").replace(":; ", ": ");
    format!("{}; see mcrctl --help", said.strip_prefix("error: ").unwrap_or(&said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        let mut command = Cli::command();
        command.build();
        for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
            let help = sub.render_long_help().to_string();
            assert!(help.contains("Examples:"), "{}", sub.get_name());
        }
    }

    #[test]
    fn global_options_stand_before_and_after_the_command() {
        for line in ["mcrctl --addr x --json status", "mcrctl status --server x --json"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.global.addr.as_deref(), Some("x"));
            assert!(cli.global.json);
        }
    }

    #[test]
    fn mistakes_are_one_line() {
        for line in ["mcrctl stauts", "mcrctl status --tiemout 3s", "mcrctl --timeout 3 status", "mcrctl completions"] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            let said = usage_line(&error);
            assert!(!said.contains('\n') && said.ends_with("see mcrctl --help"), "{said}");
        }
    }
}
