//! `mcrsrv import`: what another registry holds, into this one's own files, instead of a running server; never how it is
//! moved.

mod audit;
mod known;
mod login;
mod policy;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use mcr_access::{AccountKind, Administer, GlobalPermit, Identity};
use mcr_client::Client;
use mcr_oci::RepositoryName;
use mcr_registry::{Adopter, IMPORT, Paths, Registry};
use mcr_scanner::KindRules;
use mcr_seams::Clock;
use mcr_transfer::{
    DrySink, LocalSink, Options, RegistryOrigin, Report, Shown, Sink, Times, TreeOrigin, Watch, run as transfer,
};
use serde_json::{Value, json};

use crate::cli::{Failure, print};
use crate::config::{Config, LogFormat};
use crate::lock::{DataLock, LockError};
use crate::place::{self, Place};
use crate::{files, logging, process, serve, startup};
use known::Rows;

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
    Registry(Box<login::Origin>),
}

/// Everything that a run goes by.
struct Work<'a> {
    asked: &'a Import,
    source: Source,
    /// The tree of a source that is one.
    tree: Option<TreeOrigin>,
    /// The rules of the origin, where they come as well.
    rules: Option<Vec<policy::Read>>,
    shown: Arc<Shown>,
}

/// What a run came to.
#[derive(Default)]
struct Outcome {
    report: Report,
    policy: Option<policy::Done>,
    audit: Option<audit::Done>,
    /// What could not be done after the images were brought, a line each.
    undone: Vec<String>,
}

/// Imports.
///
/// # Errors
/// What is wrong; nothing was changed then. What goes wrong later is told with the report.
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
    let shown = Arc::new(Shown::of_tags(!asked.quiet && !asked.json && std::io::stderr().is_terminal()));
    // Before anything is made: an origin that is not there, or does not give what was asked for, must leave nothing
    // behind.
    let (source, rules) = runtime.block_on(reach(asked, source))?;
    let tree = match &source {
        Source::Tree(path) => Some(tree(asked, path, &kinds)?),
        Source::Registry(_) => None,
    };
    let work = Work { asked, source, tree, rules, shown };
    let outcome = if asked.dry_run {
        runtime.block_on(dry(&work, &config))
    } else {
        startup::refuse_network_filesystem(&config)?;
        refuse_other_user(&config)?;
        let _lock = lock(asked, &config)?;
        runtime.block_on(wet(&work, &config))
    };
    work.shown.clear();
    tell(asked, &outcome?)
}

/// The source, let in, and whether it gives its rules and its audit log, where they are asked for: hours of import come
/// before they are needed.
async fn reach(asked: &Import, source: Source) -> Result<(Source, Option<Vec<policy::Read>>), Failure> {
    let Source::Registry(origin) = source else { return Ok((source, None)) };
    let origin = origin.reach().await?;
    let rules = match asked.with_policy {
        true => Some(policy::list(origin.client()).await?),
        false => None,
    };
    if asked.with_audit {
        audit::ask(origin.client()).await?;
    }
    Ok((Source::Registry(Box::new(origin)), rules))
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
    Ok(Source::Registry(Box::new(asked.login.origin(&asked.origin)?)))
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

async fn dry(work: &Work<'_>, config: &Config) -> Result<Outcome, Failure> {
    let settings = serve::settings(config).map_err(Failure::refused)?;
    let sink = DrySink::new(Rows::open(&config.database.path, settings)?);
    let report = Report { dry_run: true, ..work.transfer(&sink).await };
    Ok(Outcome { report, ..Outcome::default() })
}

async fn wet(work: &Work<'_>, config: &Config) -> Result<Outcome, Failure> {
    let registry = open(config).await?;
    let identity = Identity::new(IMPORT, AccountKind::Human, true, None);
    let permit = registry
        .permit_global::<Administer>(&identity)
        .map_err(|_| Failure::refused("the built-in rule of administrators is not in force; this build is broken"))?;
    let outcome = import(work, &registry, &permit, &identity).await;
    registry.close().await;
    outcome
}

async fn import(
    work: &Work<'_>,
    registry: &Registry,
    permit: &GlobalPermit<Administer>,
    identity: &Identity,
) -> Result<Outcome, Failure> {
    let adopter = registry.adopter(permit);
    let Work { asked, source, .. } = work;
    let said = json!({
        "origin": origin_name(source),
        "repositories": asked.repository,
        "prefix": asked.prefix,
        "untagged": asked.untagged,
        "hardlinks": asked.hardlinks,
    });
    adopter.tell("import_started", said).await.map_err(Failure::refused)?;
    // From here on things change: whatever fails is told with what was done.
    let mut outcome =
        Outcome { report: work.transfer(&sink(&adopter, asked, &work.shown)).await, ..Outcome::default() };
    if let Some(rules) = &work.rules {
        match policy::import(rules, registry, identity).await {
            Ok(done) => outcome.policy = Some(done),
            Err(failure) => outcome.undone.extend(failure.lines),
        }
    }
    if let (Source::Registry(origin), true) = (source, asked.with_audit) {
        let done = outcome.audit.insert(audit::Done::default());
        if let Err(failure) = audit::import(origin.client(), registry, permit, &adopter, done).await {
            outcome.undone.extend(failure.lines);
        }
    }
    let Report { counts, bytes, ended, .. } = &outcome.report;
    let done = json!({
        "origin": origin_name(source), "counts": counts, "bytes": bytes, "ended": ended, "undone": outcome.undone,
    });
    if let Err(error) = adopter.tell("import_completed", done).await {
        outcome.undone.push(format!("import_completed cannot be written into the audit trail: {error}"));
    }
    Ok(outcome)
}

impl Work<'_> {
    async fn transfer<S: Sink>(&self, sink: &S) -> Report {
        let options = options(self.asked, &self.source);
        match (&self.source, &self.tree) {
            (Source::Registry(origin), _) => {
                transfer(&registry(self.asked, origin.client(), &options), sink, &options, self.shown.as_ref()).await
            }
            (Source::Tree(_), Some(tree)) => transfer(tree, sink, &options, self.shown.as_ref()).await,
            (Source::Tree(_), None) => Report::default(),
        }
    }
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
        Source::Registry(origin) => origin.client().host().to_owned(),
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
    let Outcome { report, policy, audit, undone } = outcome;
    if asked.json {
        let mut document = serde_json::to_value(report).map_err(Failure::refused)?;
        if let Value::Object(document) = &mut document {
            if let Some(policy) = policy {
                document.insert("policy".to_owned(), serde_json::to_value(policy).map_err(Failure::refused)?);
            }
            if let Some(audit) = audit {
                document.insert("audit".to_owned(), serde_json::to_value(audit).map_err(Failure::refused)?);
            }
            if !undone.is_empty() {
                document.insert("undone".to_owned(), json!(undone));
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
    if !undone.is_empty() {
        return Err(Failure { code: 3, lines: undone.clone() });
    }
    let refused = policy.as_ref().is_some_and(|policy| !policy.refused.is_empty());
    let code = report.verdict().code();
    Ok(ExitCode::from(if code == 0 && refused { 1 } else { code }))
}
