//! The command line of `mcrsrv`: what may be said, what each command calls, how failure is told; never what commands do.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use mcr_seams::{Clock, rfc3339};

use crate::config::{AuthMode, LogFormat, Problems};
use crate::place::Place;
use crate::startup::{self, DevRequest, Startup};
use crate::{check_config, dev, import, init, restore, save, snapshot};

/// A registry that lists only what can be pulled whole.
#[derive(Debug, Parser)]
#[command(name = "mcrsrv", version, propagate_version = true, after_help = EXAMPLES)]
struct Cli {
    /// Form of log lines and errors on stderr; wins over `[log] format`
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  mcrsrv server --dev                                try it: data in ./srv, HTTPS on 127.0.0.1:8443
  mcrsrv init --config /srv/mcr/mcr.toml             write a configuration
  mcrsrv check-config --config /srv/mcr/mcr.toml     see what it means
  mcrsrv server --config /srv/mcr/mcr.toml           serve
  mcrsrv snapshot --config /srv/mcr/mcr.toml         back its database up, beside the server
  mcrsrv restore --config /srv/mcr/mcr.toml --latest    bring it back";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the registry
    #[command(after_help = SERVER_EXAMPLES)]
    Server(Server),
    /// Show the effective configuration and check what it names
    #[command(after_help = CHECK_EXAMPLES)]
    CheckConfig(CheckConfig),
    /// Write an annotated configuration, its directories, a certificate and the first admin; run again it changes nothing
    #[command(after_help = INIT_EXAMPLES)]
    Init(Init),
    /// Bring what another registry holds into this one, from its tree or its address; the server must be stopped
    #[command(after_help = import::EXAMPLES)]
    Import(Box<import::Import>),
    /// Write images into a tar that docker, podman, containerd and skopeo load; no server need run
    #[command(after_help = SAVE_EXAMPLES)]
    Save(Save),
    /// Take a snapshot of the database, also beside a running server; with its blobs a whole backup
    #[command(after_help = snapshot::EXAMPLES)]
    Snapshot(snapshot::Snapshot),
    /// Bring a snapshot back; the server must be stopped
    #[command(after_help = restore::EXAMPLES)]
    Restore(restore::Restore),
    /// Print completions for a shell
    #[command(after_help = "Examples:\n  mcrsrv completions bash > /etc/bash_completion.d/mcrsrv")]
    Completions {
        /// Which shell
        shell: Shell,
    },
}

const SERVER_EXAMPLES: &str = "Examples:
  mcrsrv server --dev                                everything in ./srv; prints a password and three commands to try
  mcrsrv server --dev --listen 127.0.0.1:0 --plain-http --anonymous
  mcrsrv server --config /srv/mcr/mcr.toml
  mcrsrv server --config base.toml --config site.toml    the later file wins";

#[derive(Debug, Args)]
struct Server {
    /// Configuration file; may be repeated, a later one wins
    #[arg(long, value_name = "FILE", conflicts_with = "dev")]
    config: Vec<PathBuf>,
    /// Serve without a configuration file, for trying and developing
    #[arg(long)]
    dev: bool,
    /// With --dev: where everything is kept
    #[arg(long, value_name = "DIR", default_value = "./srv", requires = "dev")]
    data: PathBuf,
    /// With --dev: where to listen [default: 127.0.0.1:8443]
    #[arg(long, value_name = "ADDR", requires = "dev", value_parser = address)]
    listen: Option<SocketAddr>,
    /// With --dev: where to take gRPC [default: 127.0.0.1:9443]
    #[arg(long, value_name = "ADDR", requires = "dev", value_parser = address)]
    grpc_listen: Option<SocketAddr>,
    /// With --dev: HTTP without TLS; only on loopback
    #[arg(long, requires = "dev")]
    plain_http: bool,
    /// With --dev: everybody is admin; only on loopback
    #[arg(long, requires = "dev")]
    anonymous: bool,
    /// With --dev: make and print a new admin password
    #[arg(long, requires = "dev", conflicts_with = "anonymous")]
    reset_password: bool,
}

const CHECK_EXAMPLES: &str = "Examples:
  mcrsrv check-config --config /srv/mcr/mcr.toml
  mcrsrv check-config --config base.toml --config site.toml --json";

#[derive(Debug, Args)]
struct CheckConfig {
    /// Configuration file; may be repeated, a later one wins
    #[arg(long, value_name = "FILE", required = true)]
    config: Vec<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

const INIT_EXAMPLES: &str = "Examples:
  mcrsrv init --config /srv/mcr/mcr.toml                     a password file with the account admin; prints its password
  mcrsrv init --config /srv/mcr/mcr.toml --admin ann         the same for ann
  MCR_PASSWORD=... mcrsrv init --config /srv/mcr/mcr.toml    with a password of your own
  mcrsrv init --config /srv/mcr/mcr.toml --auth mcias --mcias-url https://mcias.example:8443
  mcrsrv init --config /srv/mcr/mcr.toml --from-dev ./srv    keep what was pushed with --dev; its admin gets a new password";

#[derive(Debug, Args)]
struct Init {
    /// Where to write the configuration; data and the password file lie beside it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Who may log in: accounts of a password file, of an identity service, or nobody (loopback only)
    #[arg(long, value_name = "MODE", default_value = "htpasswd")]
    auth: Auth,
    /// The first admin account of the password file [default: admin]
    #[arg(long, value_name = "NAME")]
    admin: Option<String>,
    /// With --auth mcias: where the identity service is
    #[arg(long, value_name = "URL")]
    mcias_url: Option<String>,
    /// Take over the data directory of `server --dev`
    #[arg(long, value_name = "DIR")]
    from_dev: Option<PathBuf>,
}

/// `--auth`
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Auth {
    Htpasswd,
    Mcias,
    None,
}

const SAVE_EXAMPLES: &str = "Examples:
  mcrsrv save --config /srv/mcr/mcr.toml infra/ci:latest -o ci.tar
  mcrsrv save --config /srv/mcr/mcr.toml --platform linux/arm64 registry.example/infra/ci:1.4 -o ci.tar
  mcrsrv save --config /srv/mcr/mcr.toml infra/ci:latest -o - | ctr -n k8s.io images import -
  docker load -i ci.tar; podman load -i ci.tar

The database and the blobs are only read, every byte is hashed, and what is broken makes no file.
An image is called as the reference says; without a host, as the first external_url says.";

#[derive(Debug, Args)]
struct Save {
    #[command(flatten)]
    place: Place,
    /// What to save: [HOST[:PORT]/]NAME[:TAG][@DIGEST]
    #[arg(value_name = "REF", required = true)]
    references: Vec<String>,
    /// The file to write, - for stdout; one that is there is replaced when the new one is whole
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Save only this platform of images that have several: OS/ARCH[/VARIANT]
    #[arg(long, value_name = "PLATFORM", value_parser = mcr_transfer::save::platform)]
    platform: Option<mcr_verifier::PlatformFilter>,
}

/// The password of the first admin, where it is not to be drawn.
const PASSWORD: &str = "MCR_PASSWORD";

fn init_request(asked: Init) -> init::Request {
    init::Request {
        config: asked.config,
        auth: match asked.auth {
            Auth::Htpasswd => AuthMode::Htpasswd,
            Auth::Mcias => AuthMode::Mcias,
            Auth::None => AuthMode::None,
        },
        admin: asked.admin,
        mcias_url: asked.mcias_url,
        from_dev: asked.from_dev,
        password: std::env::var(PASSWORD).ok(),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    crate::config::value::address(text)
        .ok_or_else(|| "expected IP:PORT such as 127.0.0.1:8443, or :8443 for all addresses".to_owned())
}

/// Why a command ended without success: what to print, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// 1 refused or failed, 2 wrong usage.
    pub code: u8,
    /// One thing a line, each saying what to do next.
    pub lines: Vec<String>,
}

impl Failure {
    /// One reason, exit code 1.
    pub fn refused(reason: impl Display) -> Self {
        Self::refused_all(vec![reason.to_string()])
    }

    /// Several reasons, exit code 1.
    #[must_use]
    pub fn refused_all(lines: Vec<String>) -> Self {
        Self { code: 1, lines }
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::refused_all(problems.0.iter().map(ToString::to_string).collect())
    }
}

/// Runs the command line of this process. `serve` serves until it is told to end.
pub fn run(serve: impl FnOnce(Startup) -> ExitCode) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let format = cli.log_format;
    match dispatch(cli, serve) {
        Ok(code) => code,
        Err(failure) => {
            tell(&failure, format);
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(cli: Cli, serve: impl FnOnce(Startup) -> ExitCode) -> Result<ExitCode, Failure> {
    match cli.command {
        Command::Server(server) => {
            let startup = if server.dev {
                startup::with_dev(&dev_request(server), cli.log_format)?
            } else if server.config.is_empty() {
                let said = "say --config FILE, or --dev to try it without one; see mcrsrv server --help";
                return Err(Failure { code: 2, lines: vec![said.to_owned()] });
            } else {
                startup::with_files(server.config, cli.log_format)?
            };
            return Ok(serve(startup));
        }
        Command::CheckConfig(check) => check_config::run(check.config, check.json)?,
        Command::Init(asked) => init::run(&init_request(asked))?,
        Command::Snapshot(asked) => return snapshot::run(&asked),
        Command::Restore(asked) => return restore::run(&asked),
        Command::Import(asked) => return import::run(&asked, cli.log_format),
        Command::Save(asked) => {
            let Save { place, references, output, platform } = asked;
            save::run(&save::Request { place, references, output, platform })?;
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mcrsrv", &mut script);
            print(&script)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn dev_request(server: Server) -> DevRequest {
    DevRequest {
        data: server.data,
        options: dev::Options {
            listen: server.listen,
            grpc_listen: server.grpc_listen,
            plain_http: server.plain_http,
            anonymous: server.anonymous,
        },
        reset_password: server.reset_password,
    }
}

fn tell(failure: &Failure, format: Option<LogFormat>) {
    for line in &failure.lines {
        if format == Some(LogFormat::Json) {
            let time = rfc3339(Clock::system().now_ms());
            complain(&serde_json::json!({"timestamp": time, "level": "ERROR", "message": line}).to_string());
        } else {
            complain(&format!("mcrsrv: {}", one_line(line)));
        }
    }
}

/// A line on stderr; where nobody reads it there is nobody to tell.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes to stdout. A reader that has seen enough, as `head` has, is no failure.
///
/// # Errors
/// When stdout cannot be written, exit code 1.
pub(crate) fn print(text: &[u8]) -> Result<(), Failure> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::refused(format!("stdout cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// A name from outside, such as a file's, must not begin a line of its own.
fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// Help and version go to stdout; a mistake is told in one line, exit code 2.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nothing can be told when stdout is closed.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return ExitCode::from(2);
    }
    complain(&format!("mcrsrv: {}", one_line(&usage_line(error))));
    ExitCode::from(2)
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
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    // "Usage: mcrsrv server [OPTIONS]" names the command whose help is meant.
    let usage = text.lines().find_map(|line| line.trim().strip_prefix("Usage: "));
    let command: Vec<&str> = usage
        .unwrap_or("mcrsrv")
        .split_whitespace()
        .take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect();
    format!("{said}; see {} --help", command.join(" "))
}

#[cfg(test)]
mod tests;
