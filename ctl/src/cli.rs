//! The command line of `mcrctl`: what may be said, and which command is meant; never what commands do.

use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::failure::Outcome;
use crate::global::{Global, LogFormat};
use crate::print::tell;
use crate::{
    audit, gc, import, integrity, login, plan, policy, print, probe, read_only, repo, retention, save, scan, snapshot,
    status, tag, token, verify,
};

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
  mcrctl login registry.example
  mcrctl verify registry.example/infra/ci:latest
  mcrctl policy explain --addr registry.example --subject ci --action push --repository infra/ci
  mcrctl audit tail --addr registry.example

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
    /// Bring everything of another registry into the one at --addr, looked at whole on the way
    #[command(after_help = import::EXAMPLES)]
    Import(import::Import),
    /// Write images of any registry into a tar that docker, podman, containerd and skopeo load
    #[command(after_help = save::EXAMPLES)]
    Save(save::Save),
    /// Log in to a registry, for this and every other container tool
    #[command(after_help = login::LOGIN)]
    Login(login::Where),
    /// Remove a login
    #[command(after_help = login::LOGOUT)]
    Logout(login::Where),
    /// Repositories: list, show, delete, restore
    #[command(subcommand, after_help = repo::EXAMPLES)]
    Repo(repo::Repo),
    /// Tags: list, where they pointed, delete, restore
    #[command(subcommand, after_help = tag::EXAMPLES)]
    Tag(tag::Tag),
    /// The rules of who may do what, and which of them decides
    #[command(subcommand, after_help = policy::EXAMPLES)]
    Policy(policy::Policy),
    /// API tokens for programs: create, list, revoke
    #[command(subcommand, after_help = token::EXAMPLES)]
    Token(token::Token),
    /// The audit log: list, tail, export, verify
    #[command(subcommand, after_help = audit::EXAMPLES)]
    Audit(audit::Audit),
    /// Remove what nothing refers to and whose time is past; how that stands
    #[command(after_help = gc::EXAMPLES)]
    Gc(gc::Gc),
    /// Delete the tags that no retention rule keeps
    #[command(subcommand, after_help = retention::EXAMPLES)]
    Retention(retention::Retention),
    /// What runs of gc and retention would take or took: list, show, confirm, discard
    #[command(subcommand, after_help = plan::EXAMPLES)]
    Plan(plan::Plan),
    /// Take a snapshot of the registry's database, or list those there are
    #[command(after_help = snapshot::EXAMPLES)]
    Snapshot(snapshot::Snapshot),
    /// Refuse writes, or take them again
    #[command(subcommand, after_help = read_only::EXAMPLES)]
    ReadOnly(read_only::ReadOnly),
    /// Print completions for a shell
    #[command(after_help = "Examples:\n  mcrctl completions bash > /etc/bash_completion.d/mcrctl")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Reads the number of `--limit`: one or more.
///
/// # Errors
/// What was expected.
pub(crate) fn limit(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| "expected a number of 1 or more".to_owned())
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
        Command::Import(command) => print::answer(global, &import::run(global, command)),
        Command::Save(command) => print::answer(global, &save::run(global, command)),
        Command::Login(command) => print::answer(global, &login::login(global, command)),
        Command::Logout(command) => print::answer(global, &login::logout(global, command)),
        Command::Repo(command) => print::answer(global, &repo::run(global, command)),
        Command::Tag(command) => print::answer(global, &tag::run(global, command)),
        Command::Policy(command) => print::answer(global, &policy::run(global, command)),
        Command::Token(command) => print::answer(global, &token::run(global, command)),
        Command::Audit(command) => print::answer(global, &audit::run(global, command)),
        Command::Gc(command) => print::answer(global, &gc::run(global, command)),
        Command::Retention(command) => print::answer(global, &retention::run(global, command)),
        Command::Plan(command) => print::answer(global, &plan::run(global, command, None)),
        Command::Snapshot(command) => print::answer(global, &snapshot::run(global, command)),
        Command::ReadOnly(command) => print::answer(global, &read_only::run(global, command)),
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
        let mut seen = 0;
        for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
            let help = sub.render_long_help().to_string();
            assert!(help.contains("Examples:\n  mcrctl"), "{}", sub.get_name());
            let name = sub.get_name().to_owned();
            for nested in sub.get_subcommands_mut().filter(|nested| nested.get_name() != "help") {
                let help = nested.render_long_help().to_string();
                let whole = format!("{name} {}", nested.get_name());
                assert!(help.contains("Examples:\n") && help.contains(&format!("mcrctl {whole}")), "{whole}");
                assert!(nested.get_about().is_some(), "{whole}");
                seen += 1;
            }
        }
        assert!(seen >= 20, "{seen}");
    }

    #[test]
    fn every_option_says_what_it_does() {
        fn look(command: &clap::Command) {
            for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(look);
        }
        let mut command = Cli::command();
        command.build();
        look(&command);
    }

    #[test]
    fn completions_know_every_command() {
        let mut script = Vec::new();
        clap_complete::generate(Shell::Bash, &mut Cli::command(), "mcrctl", &mut script);
        let script = String::from_utf8(script).unwrap();
        for word in ["login", "repo", "history", "explain", "revoke", "read-only", "--expect-head", "--filter"] {
            assert!(script.contains(word), "{word}");
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
