//! The typed configuration of `mcrsrv` and how it comes about: defaults, files, environment, flags; never its use.

mod build;
mod environment;
mod file;
mod keeping;
mod live;
mod nearest;
mod problem;
pub mod reference;
mod settings;
pub mod table;
pub mod value;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use build::{Purpose, is_loopback};
pub use environment::Environment;
pub use file::Entry;
pub use keeping::{Backup, Gc, RetentionRule, Scrub};
pub use live::{Change, Live, Names, watch};
pub use problem::{Origin, Problem, Problems};
pub use settings::{Setting, Settings};

use ipnet::IpNet;
use mcr_probe::{Level, Zone};

use crate::files;

/// The whole configuration, checked: what it names fits together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[database]`
    pub database: Database,
    /// `[storage]`
    pub storage: Storage,
    /// `[auth]`
    pub auth: Auth,
    /// `[integrity]`
    pub integrity: Integrity,
    /// `[mcias]`
    pub mcias: Mcias,
    /// `[policy]`
    pub policy: Policy,
    /// `[audit]`
    pub audit: Audit,
    /// `[probe]`
    pub probe: Probe,
    /// `[scrub]`
    pub scrub: Scrub,
    /// `[gc]`
    pub gc: Gc,
    /// `[[retention.rule]]`, in order; the first that matches decides.
    pub retention: Vec<RetentionRule>,
    /// `[backup]`
    pub backup: Backup,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[log]`
    pub log: Log,
}

/// `[server]`: listeners, TLS and time limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where the registry listens; port 0 lets the system choose.
    pub listen_addr: SocketAddr,
    /// Where gRPC listens, if anywhere.
    pub grpc_addr: Option<SocketAddr>,
    /// Certificate chain, PEM. Set exactly when `tls_key` is.
    pub tls_cert: Option<PathBuf>,
    /// Private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// The oldest TLS version served.
    pub min_tls: MinTls,
    /// A proxy in front ends TLS.
    pub behind_tls_proxy: bool,
    /// No TLS is configured, and plain HTTP is permitted here.
    pub plain_http: bool,
    /// Base URLs under which clients come, such as `https://registry.example:8443`, the first standing for all where
    /// a request names no host.
    pub external_url: Vec<String>,
    /// Networks of proxies whose word on the client is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: ProxyProtocol,
    /// Limit of a request's head and of the silence between body bytes.
    pub read_timeout: Duration,
    /// Limit of writing a response; zero is no limit.
    pub write_timeout: Duration,
    /// Limit of an idle connection.
    pub idle_timeout: Duration,
    /// How long SIGTERM waits for running requests.
    pub shutdown_timeout: Duration,
    /// Writes are refused.
    pub read_only: bool,
    /// By whose clock schedules come.
    pub timezone: Zone,
}

/// Whether connections begin with a PROXY protocol header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They do not.
    #[default]
    Off,
    /// Those of trusted proxies may.
    Optional,
    /// They must, except from loopback.
    Required,
}

/// The oldest TLS version served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinTls {
    /// TLS 1.2 and 1.3.
    V1_2,
    /// TLS 1.3 only.
    V1_3,
}

/// `[database]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// The SQLite file, absolute.
    pub path: PathBuf,
    /// NFS, CIFS and 9p are permitted.
    pub allow_network_filesystem: bool,
}

/// `[storage]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// The directory of the blobs, absolute.
    pub layers_path: PathBuf,
    /// The directory of unfinished uploads, absolute.
    pub uploads_path: PathBuf,
    /// Free bytes below which uploads are refused.
    pub reserve: u64,
    /// How long an upload may rest.
    pub upload_ttl: Duration,
}

/// `[auth]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Who may log in.
    pub mode: AuthMode,
    /// The password file; set where the mode needs it.
    pub htpasswd_file: Option<PathBuf>,
    /// Patterns of names of administrators in the password file.
    pub admins: Vec<String>,
    /// Of guests.
    pub guests: Vec<String>,
    /// Of machines.
    pub system: Vec<String>,
    /// How long our tokens live.
    pub token_ttl: Duration,
}

/// Who may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMode {
    /// Nobody logs in; everybody who reaches the listener may do everything.
    None,
    /// Accounts of a password file.
    Htpasswd,
    /// Accounts of an identity service.
    Mcias,
}

/// `[mcias]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mcias {
    /// The identity service, https; set where the mode needs it.
    pub server_url: Option<String>,
    /// Who signs its certificate; none for the authorities of the system.
    pub ca_cert: Option<PathBuf>,
    /// The name this registry logs accounts in for.
    pub service_name: String,
    /// Its tags.
    pub tags: Vec<String>,
}

/// `[policy]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What people may do by the built-in rule -2.
    pub user_default: Vec<mcr_access::Kind>,
}

/// `[audit]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// How long events are kept; zero is for ever.
    pub keep: Duration,
}

/// `[integrity]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integrity {
    /// When a full GET hashes what it sends.
    pub verify_on_read: VerifyOnRead,
    /// How long a hash is fresh.
    pub fresh_for: Duration,
    /// What a GET of an index above a broken image answers.
    pub broken_index: BrokenIndex,
    /// How long damaged bytes are kept.
    pub quarantine_keep: Duration,
    /// `[[integrity.rule]]`, in order; the first that matches decides.
    pub rules: Vec<IntegrityRule>,
}

/// When a full GET hashes what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyOnRead {
    /// Never.
    Off,
    /// When the last hash is older than `fresh_for`.
    Stale,
    /// Always.
    Always,
}

/// What a GET of an index above a broken image answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenIndex {
    /// The index, with a Warning header.
    Serve,
    /// 404.
    Hide,
}

/// One `[[integrity.rule]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrityRule {
    /// Patterns of repository names.
    pub repositories: Vec<String>,
    /// What an incomplete push meets.
    pub commit: Commit,
    /// A regular expression of tags that stay where they are.
    pub immutable_tags: Option<String>,
}

/// What an incomplete push meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// It is refused.
    Enforce,
    /// Missing children of an index are accepted.
    Sparse,
}

/// `[probe]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When it runs, as it was written and checked; none for never.
    pub schedule: Option<String>,
    /// How closely it looks at blobs.
    pub level: Level,
}

/// `[metrics]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// A listener of its own for `/metrics`.
    pub listen_addr: Option<SocketAddr>,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Words and `key=value`.
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything a configuration is made from; kept, so that it can be read again.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Files, a later one winning over an earlier one.
    pub files: Vec<PathBuf>,
    /// The process's environment.
    pub environment: Environment,
    /// What stands instead of the defaults, below files and environment.
    pub defaults: Vec<Entry>,
    /// What the command line says, above everything.
    pub flags: Vec<Entry>,
    /// Which rules hold.
    pub purpose: Purpose,
}

impl Sources {
    /// What `--config` gives.
    #[must_use]
    pub fn of_files(files: Vec<PathBuf>, environment: Environment) -> Self {
        Self { files, environment, defaults: Vec::new(), flags: Vec::new(), purpose: Purpose::Production }
    }
}

/// A configuration with its origins.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Each value with its origin.
    pub settings: Settings,
    /// What it was made from.
    pub sources: Sources,
}

/// A configuration file larger than this is some other file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Reads all sources.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn load(sources: Sources) -> Result<Loaded, Problems> {
    let mut problems = Problems::default();
    let mut settings = Settings::defaults();
    settings.lay(sources.defaults.clone(), &mut problems);
    let mut readable = true;
    for path in &sources.files {
        match read_file(path, &mut problems) {
            Some(file) => {
                settings.lay(file.entries, &mut problems);
                for (name, rules) in file.rules {
                    if let Some(list) = table::list_named(name) {
                        settings.lay_rules(list, rules, &mut problems);
                    }
                }
            }
            None => readable = false,
        }
    }
    settings.lay(sources.environment.entries(&mut problems), &mut problems);
    if sources.purpose == Purpose::Production {
        // A developer's shell often has a PORT that was meant for another program: `--dev` does not take it.
        settings.lay(sources.environment.ports(&mut problems), &mut problems);
    }
    settings.lay(sources.flags.clone(), &mut problems);
    if !readable {
        // What an unreadable file would have set is unknown: complaints about it would mislead.
        return Err(problems);
    }
    let config = build::build(&mut settings, sources.purpose, problems)?;
    Ok(Loaded { config, settings, sources })
}

fn read_file(path: &Path, problems: &mut Problems) -> Option<file::File> {
    let origin = Origin::File { path: path.to_owned(), line: 1 };
    match files::read_text(path, MAX_FILE) {
        Ok(text) => file::read(path, &text, problems),
        Err(error) => {
            let hint = if error.kind() == std::io::ErrorKind::NotFound {
                format!("; `mcrsrv init --config {}` writes one", path.display())
            } else {
                String::new()
            };
            problems.push(Problem::at(origin, None, format!("cannot be read: {error}{hint}")));
            None
        }
    }
}

#[cfg(test)]
mod tests;
