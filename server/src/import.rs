//! `mcrsrv import`: what another registry holds, into this one's own files, instead of a running server; never how it is
//! moved.

mod audit;
mod known;
mod login;
mod policy;
mod shown;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use mcr_access::{AccountKind, Administer, GlobalPermit, Identity};
use mcr_client::Client;
use mcr_oci::RepositoryName;
use mcr_registry::{Adopter, Paths, Registry};
use mcr_scanner::KindRules;
use mcr_seams::Clock;
use mcr_transfer::{DrySink, LocalSink, Options, RegistryOrigin, Report, Times, TreeOrigin, Watch, run as transfer};
use serde_json::{Value, json};

use crate::cli::{Failure, print};
use crate::config::{Config, LogFormat};
use crate::lock::{DataLock, LockError};
use crate::place::{self, Place};
use crate::{files, logging, process, serve, startup};
use known::Rows;
use shown::Shown;

/// What is printed below the options.
pub const EXAMPLES: &str = "Examples:
  mcrsrv import --config /srv/mcr/mcr.toml --dry-run /var/lib/docker-registry    what would come, and how many bytes
  mcrsrv import --config /srv/mcr/mcr.toml /var/lib/docker-registry              a tree of registry:2 or distribution 3
  mcrsrv import --config /srv/mcr/mcr.toml --hardlinks /var/lib/docker-registry  without copying; the old registry stopped
  MCR_PASSWORD=... mcrsrv import --config /srv/mcr/mcr.toml --username ann --repository 'infra/**' https://old.example
  mcrsrv import --config /srv/mcr/mcr.toml --username ann --with-policy --with-audit https://mcr-in-go.example:8443

The server must be stopped; through a running one it is `mcrctl import URL`. The origin is only read. What is broken
there is listed and left out. Run it again at any time: it goes on where it was, and follows tags that moved.
Exit codes: 0 all of it is here, 1 something was left out or refused, 2 wrong usage, 3 could not be determined";

/// Threads of a run that may block.
const BLOCKING_THREADS: usize = 96;
/// Files that are synced and booked while others are hashed.
const AHEAD_OF_HASHING: usize = 64;
/// Most jobs.
const JOBS_MAX: u16 = 256;

/// `mcrsrv import`
#[derive(Debug, Args)]
pub struct Import {
    #[command(flatten)]
    place: Place,
    /// A storage root or a folder of several, or the address of a registry: URL or HOST[:PORT]
    #[arg(value_name = "PATH|URL")]
    origin: String,
    /// Only repositories that match, by the names they get here: * within a path segment, ** across; may be repeated
    #[arg(long, value_name = "GLOB")]
    repository: Vec<String>,
    /// Put every repository below this name
    #[arg(long, value_name = "NAME")]
    prefix: Option<String>,
    /// Blobs at once (default: one a processor from a tree, 8 from a registry)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(JOBS_MAX)))]
    jobs: Option<u16>,
    /// Also manifests that no tag leads to and that refer to nothing that is imported
    #[arg(long)]
    untagged: bool,
    /// Where the times of tags come from: the origin, or what images say of themselves
    #[arg(long, value_name = "WHENCE", default_value = "pushed")]
    times: Whence,
    /// Of trees: private, pull-through, or NAME=pull-through for one of them; may be repeated
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Give files of the tree second names instead of copying them; only with the old registry stopped or read-only
    #[arg(long)]
    hardlinks: bool,
    /// From the registry written in Go: its policy rules as well
    #[arg(long)]
    with_policy: bool,
    /// From the registry written in Go: its audit log as well
    #[arg(long)]
    with_audit: bool,
    /// Change nothing: say what would be imported, and how many bytes
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    login: login::Options,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Print nothing but errors, and show no progress
    #[arg(long)]
    quiet: bool,
}

/// `--times`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Whence {
    /// When the old registry wrote the tag's link; from a running one, as `created`.
    Pushed,
    /// The `created` of image configs.
    Created,
}

/// Where images come from.
enum Source {
    Tree(PathBuf),
    Registry(Box<Client>),
}

/// What a run came to.
struct Outcome {
    report: Report,
    policy: Option<policy::Done>,
    audit: Option<audit::Done>,
}

/// Imports.
///
/// # Errors
/// What is wrong; nothing was changed then.
pub fn run(asked: &Import, log_format: Option<LogFormat>) -> Result<ExitCode, Failure> {
    let usage = |line: String| Failure { code: 2, lines: vec![line] };
    let config = asked.place.load()?;
    // A process logs once; a second start says so and changes nothing.
    let _ = logging::start(log_format.unwrap_or(config.log.format), "warn");
    let source = source(asked)?;
    if matches!(source, Source::Tree(_)) && (asked.with_policy || asked.with_audit) {
        return Err(usage("--with-policy and --with-audit are asked of a running registry: name its URL".to_owned()));
    }
    if matches!(source, Source::Registry(_)) && asked.hardlinks {
        return Err(usage("--hardlinks are for a tree on the same file system: name its path".to_owned()));
    }
    if let Some(prefix) = &asked.prefix {
        RepositoryName::parse(prefix).map_err(|error| usage(format!("--prefix {prefix:?}: {error}")))?;
    }
    let kinds = KindRules::parse(&asked.kind).map_err(usage)?;
    startup::refuse_foreign_database(&config)?;
    process::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|error| Failure::refused(format!("the runtime cannot be started: {error}")))?;
    let shown = Arc::new(Shown::new(asked.quiet || asked.json));
    let source = match source {
        Source::Registry(client) => {
            Source::Registry(Box::new(runtime.block_on(asked.login.reach(*client, &asked.origin))?))
        }
        tree @ Source::Tree(_) => tree,
    };
    let outcome = if asked.dry_run {
        runtime.block_on(dry(asked, &config, &source, &kinds, &shown))
    } else {
        startup::refuse_network_filesystem(&config)?;
        refuse_other_user(&config)?;
        // Before anything is made: an origin that is not there must leave nothing behind.
        let tree = match &source {
            Source::Tree(path) => Some(tree(asked, path, &kinds)?),
            Source::Registry(_) => None,
        };
        let _lock = lock(asked, &config)?;
        runtime.block_on(wet(asked, &config, &source, tree, &shown))
    };
    shown.clear();
    tell(asked, &outcome?)
}

fn lock(asked: &Import, config: &Config) -> Result<DataLock, Failure> {
    let locked = DataLock::acquire("mcrsrv import", &config.database.path, &config.storage.layers_path);
    locked.map_err(|error| match error {
        held @ LockError::Held { .. } => Failure::refused(format!(
            "{held}; or import through the running server: mcrctl --addr https://HOST:PORT import {}",
            if asked.origin.contains("://") { &asked.origin } else { "URL" }
        )),
        other => Failure::refused(other),
    })
}

/// Files made by another user are files that the server cannot read.
fn refuse_other_user(config: &Config) -> Result<(), Failure> {
    let directory = files::parent_of(&config.database.path);
    let us = rustix::process::geteuid().as_raw();
    match files::owner(&directory) {
        Ok(Some(owner)) if owner != us => Err(Failure::refused(format!(
            "{} belongs to user {owner}, and this is user {us}, whose files the server could not read: run it as that \
             user, such as with setpriv --reuid {owner} --regid {owner} --clear-groups, and let it read the tree",
            directory.display()
        ))),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::refused(format!("{}: {error}", directory.display()))),
    }
}

fn source(asked: &Import) -> Result<Source, Failure> {
    let path = Path::new(&asked.origin);
    let is_url = asked.origin.contains("://");
    if !is_url && (path.is_absolute() || asked.origin.starts_with('.') || files::exists(path).unwrap_or(false)) {
        return Ok(Source::Tree(path.to_owned()));
    }
    Ok(Source::Registry(Box::new(asked.login.client(&asked.origin)?)))
}

fn options(asked: &Import, source: &Source) -> Options {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = match (asked.jobs, source) {
        (Some(jobs), Source::Registry(_)) => usize::from(jobs),
        (None, Source::Registry(_)) => 8,
        // While so many are hashed, others are synced and booked.
        (jobs, Source::Tree(_)) => jobs.map_or(processors, usize::from).saturating_mul(AHEAD_OF_HASHING),
    };
    let mut options = Options::new(jobs, Clock::system().now_ms());
    options.repositories.clone_from(&asked.repository);
    options.untagged = asked.untagged;
    options.times = times(asked);
    options
}

fn times(asked: &Import) -> Times {
    match asked.times {
        Whence::Pushed => Times::Pushed,
        Whence::Created => Times::Created,
    }
}

async fn dry(
    asked: &Import,
    config: &Config,
    source: &Source,
    kinds: &KindRules,
    shown: &Arc<Shown>,
) -> Result<Outcome, Failure> {
    let sink = DrySink::new(Rows::open(&config.database.path)?);
    let options = options(asked, source);
    let mut report = match source {
        Source::Tree(path) => transfer(&tree(asked, path, kinds)?, &sink, &options, shown.as_ref()).await,
        Source::Registry(client) => transfer(&registry(asked, client, &options), &sink, &options, shown.as_ref()).await,
    };
    report.dry_run = true;
    Ok(Outcome { report, policy: None, audit: None })
}

async fn wet(
    asked: &Import,
    config: &Config,
    source: &Source,
    tree: Option<TreeOrigin>,
    shown: &Arc<Shown>,
) -> Result<Outcome, Failure> {
    let registry = open(config).await?;
    let identity = Identity::new("import", AccountKind::Human, true, None);
    let permit = registry
        .permit_global::<Administer>(&identity)
        .map_err(|_| Failure::refused("the built-in rule of administrators is not in force; this build is broken"))?;
    let outcome = import(asked, source, tree, &registry, &permit, &identity, shown).await;
    registry.close().await;
    outcome
}

async fn import(
    asked: &Import,
    source: &Source,
    tree: Option<TreeOrigin>,
    registry: &Registry,
    permit: &GlobalPermit<Administer>,
    identity: &Identity,
    shown: &Arc<Shown>,
) -> Result<Outcome, Failure> {
    let adopter = registry.adopter(permit);
    let options = options(asked, source);
    let said = json!({
        "origin": origin_name(source),
        "repositories": asked.repository,
        "prefix": asked.prefix,
        "untagged": asked.untagged,
        "hardlinks": asked.hardlinks,
    });
    adopter.tell("import_started", said).await.map_err(Failure::refused)?;
    let sink = sink(&adopter, asked, shown);
    let mut outcome = Outcome { report: Report::default(), policy: None, audit: None };
    outcome.report = match (source, &tree) {
        (Source::Registry(client), _) => {
            let from = self::registry(asked, client, &options);
            transfer(&from, &sink, &options, shown.as_ref()).await
        }
        (Source::Tree(_), Some(tree)) => transfer(tree, &sink, &options, shown.as_ref()).await,
        (Source::Tree(_), None) => Report::default(),
    };
    if let Source::Registry(client) = source {
        if asked.with_policy {
            outcome.policy = Some(policy::import(client, registry, identity).await?);
        }
        if asked.with_audit {
            outcome.audit = Some(audit::import(client, registry, permit, &adopter).await?);
        }
    }
    let done = json!({ "origin": origin_name(source), "counts": outcome.report.counts, "bytes": outcome.report.bytes, "ended": outcome.report.ended });
    adopter.tell("import_completed", done).await.map_err(Failure::refused)?;
    Ok(outcome)
}

fn sink(adopter: &Adopter, asked: &Import, shown: &Arc<Shown>) -> LocalSink {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let hashing = asked.jobs.map_or(processors, usize::from);
    let watch: Arc<dyn Watch> = Arc::clone(shown) as Arc<dyn Watch>;
    LocalSink::new(adopter.clone(), asked.hardlinks, hashing, watch)
}

fn tree(asked: &Import, path: &Path, kinds: &KindRules) -> Result<TreeOrigin, Failure> {
    let now = Clock::system().now_ms();
    let opened = TreeOrigin::open(path, kinds, asked.prefix.clone(), times(asked), now, &mcr_scanner::Unwatched);
    opened.map_err(|error| Failure { code: if error.is_usage() { 2 } else { 3 }, lines: vec![error.to_string()] })
}

fn registry(asked: &Import, client: &Client, options: &Options) -> RegistryOrigin {
    RegistryOrigin::new(client.clone(), &asked.repository, asked.prefix.clone(), options.jobs)
}

fn origin_name(source: &Source) -> String {
    match source {
        Source::Tree(path) => path.display().to_string(),
        Source::Registry(client) => client.host().to_owned(),
    }
}

async fn open(config: &Config) -> Result<Registry, Failure> {
    let paths: Paths = place::paths(config);
    let mut settings = serve::settings(config).map_err(Failure::refused)?;
    // That clients may not write is no reason not to fill it.
    settings.read_only = false;
    let opening = move || Registry::open(&paths, settings, Clock::system(), mcr_blobs::Disk::real());
    let opened = tokio::task::spawn_blocking(opening).await.map_err(Failure::refused)?;
    opened.map_err(Failure::refused)
}

fn tell(asked: &Import, outcome: &Outcome) -> Result<ExitCode, Failure> {
    let Outcome { report, policy, audit } = outcome;
    if asked.json {
        let mut document = serde_json::to_value(report).map_err(Failure::refused)?;
        if let Value::Object(document) = &mut document {
            if let Some(policy) = policy {
                document.insert("policy".to_owned(), serde_json::to_value(policy).map_err(Failure::refused)?);
            }
            if let Some(audit) = audit {
                document.insert("audit".to_owned(), serde_json::to_value(audit).map_err(Failure::refused)?);
            }
        }
        print(format!("{document:#}\n").as_bytes())?;
    } else if !asked.quiet {
        let mut text = String::new();
        text.extend(policy.as_ref().map(policy::Done::text));
        text.extend(audit.as_ref().map(audit::Done::text));
        text.push_str(&report.text());
        print(text.as_bytes())?;
    }
    let refused = policy.as_ref().is_some_and(|policy| !policy.refused.is_empty());
    let code = report.verdict().code();
    Ok(ExitCode::from(if code == 0 && refused { 1 } else { code }))
}
