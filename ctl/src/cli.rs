//! The command line of `mcrctl`: what may be said, and how answers and failures are printed; never what commands do.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde_json::json;

use crate::address::base_url;
use crate::client::Target;
use crate::failure::{Failure, Outcome};
use crate::length::length;
use crate::status::{Report, status};

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
  MCR_ADDR=https://registry.example mcrctl status --json

Exit codes: 0 it holds or is done, 1 the answer is bad, 2 wrong usage, 3 could not be determined";

#[derive(Debug, Args)]
struct Global {
    /// The registry: a URL, or HOST[:PORT] over HTTPS
    #[arg(long, alias = "server", global = true, value_name = "URL", env = "MCR_ADDR", hide_env_values = true)]
    addr: Option<String>,
    /// Trust the certificates of this PEM file and no others
    #[arg(long, global = true, value_name = "FILE", env = "MCR_CA_CERT", hide_env_values = true)]
    ca_cert: Option<PathBuf>,
    /// Skip certificate checks
    #[arg(long, global = true)]
    insecure: bool,
    /// Speak HTTP without TLS
    #[arg(long, global = true)]
    plain_http: bool,
    /// How long the command may take
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = length)]
    timeout: Duration,
    /// Print one JSON document on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Print nothing but errors; the exit code is the answer
    #[arg(long, global = true)]
    quiet: bool,
    /// Form of errors on stderr
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// The form of lines on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Words.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print how the registry is: ok, degraded with the reasons, or failing
    #[command(
        after_help = "Examples:\n  mcrctl --addr https://127.0.0.1:8443 --insecure status\n  mcrctl --addr 127.0.0.1:8443 --ca-cert srv/tls/cert.pem status --json\n  mcrctl --addr 127.0.0.1:8443 --insecure --timeout 2s --quiet status || echo unwell"
    )]
    Status,
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
    match cli.command {
        Command::Status => {
            let answer = ask_status(&cli.global);
            print_answer(&cli.global, &answer)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mcrctl", &mut script);
            // A reader that has seen enough, as `head` has, is no failure.
            let _ = std::io::stdout().write_all(&script);
            Outcome::Holds
        }
    }
}

fn ask_status(global: &Global) -> Result<Report, Failure> {
    let missing = "say which registry: --addr https://HOST:PORT, or MCR_ADDR in the environment";
    let addr = global.addr.as_deref().filter(|addr| !addr.is_empty());
    let addr = addr.ok_or_else(|| Failure::Usage(missing.to_owned()))?;
    let target = Target {
        url: base_url(addr, global.plain_http)?,
        ca_cert: global.ca_cert.as_deref().filter(|path| !path.as_os_str().is_empty()),
        insecure: global.insecure,
        timeout: global.timeout,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Undetermined(format!("the runtime cannot be started: {error}")))?;
    let answer = runtime.block_on(status(&target));
    // A name lookup that hangs must not hold the process beyond its time.
    runtime.shutdown_background();
    answer
}

fn print_answer(global: &Global, answer: &Result<Report, Failure>) -> Outcome {
    let (text, json, outcome) = match answer {
        Ok(report) => (report.text.as_str(), report.json.clone(), report.outcome),
        Err(failure) => {
            tell(global.log_format, &failure.to_string());
            ("", json!({"status": "unknown", "error": failure.to_string()}), failure.outcome())
        }
    };
    let printed = if global.json { format!("{json:#}\n") } else { text.to_owned() };
    if global.json || !global.quiet {
        // Nothing can be told when stdout is closed; the exit code still is.
        let _ = std::io::stdout().write_all(printed.as_bytes());
    }
    outcome
}

fn tell(format: LogFormat, line: &str) {
    let line = match format {
        LogFormat::Text => format!("mcrctl: {line}"),
        LogFormat::Json => json!({"level": "ERROR", "message": line}).to_string(),
    };
    // Where nobody reads it there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
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
