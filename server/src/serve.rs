//! From a prepared start to a serving process and its graceful end; never a request.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mcr_authentication::Gate;
use mcr_registry::{Paths, Registry, Rule, Settings};
use mcr_seams::{Clock, random_hex};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::anchor_key::AnchorKey;
use crate::config::{self, BrokenIndex, Change, Commit, Config, IntegrityRule, Live, VerifyOnRead};
use crate::http::clients::Clients;
use crate::http::connection::Limits;
use crate::http::edge::Edge;
use crate::http::listener::{Listening, accept, bind};
use crate::metrics::Metrics;
use crate::probe::{Credential, Probe, Runner, Target};
use crate::ready::Bound;
use crate::schedule::Schedules;
use crate::startup::Startup;
use crate::{files, gate, process, tls};

/// Threads that may block, at most.
const BLOCKING_THREADS: usize = 96;
/// The folder of snapshots, beside the database (contract section 16).
const BACKUPS: &str = "backups";
/// What `idle_timeout = 0` means: as good as never.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Serves until SIGTERM or SIGINT; the exit code of the process.
#[must_use]
pub fn run(startup: Startup) -> ExitCode {
    process::raise_file_limit();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(BLOCKING_THREADS).build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(serve(startup));
            runtime.shutdown_timeout(Duration::from_secs(2));
            outcome
        }
        Err(error) => Err(format!("the runtime cannot be started: {error}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("mcrsrv: {reason}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(startup: Startup) -> Result<(), String> {
    let config = &startup.config;
    let registry = open(config).await?;
    registry.watch();
    let listeners = Listeners::bind(config)?;
    let bound = listeners.bound()?;
    let probe = Arc::new(Probe::new(&config.probe, config.server.timezone, Clock::system())?);
    probe.restore(&registry).await;
    let credential = Arc::new(Credential::draw().map_err(|error| no_random(&error))?);
    let gate = open_gate(&startup, &registry, &credential).await?;
    let edge = Arc::new(edge(&startup, registry.clone(), gate, Arc::clone(&probe))?);
    let listening = Listening {
        edge: Arc::clone(&edge),
        tls: startup.tls.as_ref().map(|t| Arc::clone(&t.config)),
        limits: limits(config),
    };
    let mut stop = Signals::listen()?;
    watch(&startup, &edge);
    let accepting = listeners.accept(&listening);
    let target = Target { address: bound.http, certificate: startup.tls.as_ref().map(|t| Arc::clone(&t.reloader)) };
    // Among what shutdown waits for: a run that is cut off is written down as that.
    accepting.spawn(Runner { probe, registry: registry.clone(), target, credential }.watch(edge.stopping.clone()));
    edge.schedules.follow(&edge.registry, &edge.stopping, &accepting);
    if let Err(error) = startup.ready.announce(&bound) {
        tracing::warn!(%error, "the ready line could not be printed");
    }
    for told in crate::check_config::open_doors(config) {
        tracing::warn!("{told}");
    }
    tracing::info!(http = %bound.http, version = env!("CARGO_PKG_VERSION"), "serving");
    stop.wait().await;
    tracing::info!("stopping: no new connections, waiting for those under way");
    edge.stopping.cancel();
    shut_down(&edge, registry, accepting, config.server.shutdown_timeout).await;
    Ok(())
}

/// Takes over what changes while the server runs, until it stops: certificate, configuration, accounts, keys.
fn watch(startup: &Startup, edge: &Arc<Edge>) {
    let watches = TaskTracker::new();
    let stopping = || edge.stopping.clone();
    if let Some(tls) = &startup.tls {
        let (reloader, stopping) = (Arc::clone(&tls.reloader), stopping());
        watches.spawn(async move { stopping.run_until_cancelled(tls::watch(reloader)).await });
    }
    watches.spawn(edge.gate.clone().watch(stopping()));
    let (gate, hung_up) = (edge.gate.clone(), stopping());
    watches.spawn(async move { hung_up.run_until_cancelled(reload_logins(gate)).await });
    let (live, registry, stopping) = (Arc::clone(&startup.live), edge.registry.clone(), stopping());
    registry.set_read_only(live.read_only());
    watches.spawn(async move {
        let state = Arc::clone(&live);
        let watch = config::watch(live, move |changes| changed(&registry, &state, &changes));
        stopping.run_until_cancelled(watch).await
    });
}

/// Reads the password file again on SIGHUP. Its changes are noticed without one.
async fn reload_logins(gate: Gate) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    while hangup.recv().await.is_some() {
        let gate = gate.clone();
        // A panic inside has been told by then.
        let _ = tokio::task::spawn_blocking(move || gate.reload()).await;
    }
    Ok(())
}

/// Puts a changed configuration in force as far as the registry has to know, and tells the audit trail.
fn changed(registry: &Registry, live: &Live, changes: &[Change]) {
    let has = |key: &str| changes.iter().any(|change| change.key == key);
    if has("server.read_only") {
        registry.set_read_only(live.read_only());
    }
    if has("policy.user_default") {
        registry.set_builtins(mcr_access::Builtins { user_default: live.user_default() });
    }
    let keys: Vec<String> = changes.iter().map(|change| change.key.to_owned()).collect();
    registry.record_config_reloaded(&keys);
}

async fn open(config: &Config) -> Result<Registry, String> {
    let paths = Paths {
        database: config.database.path.clone(),
        layers: config.storage.layers_path.clone(),
        uploads: config.storage.uploads_path.clone(),
    };
    if let Some(directory) = &config.backup.blobs {
        let refused = |failure: crate::cli::Failure| format!("[backup] blobs: {}", failure.lines.join("; "));
        crate::place::refuse_inside(directory, &paths).map_err(refused)?;
    }
    let settings = settings(config)?;
    let opened = tokio::task::spawn_blocking(move || {
        let keys = files::parent_of(&paths.database);
        let registry = Registry::open(&paths, settings, Clock::system(), mcr_blobs::Disk::real())
            .map_err(|error| error.to_string())?;
        registry.set_anchor_signer(Arc::new(AnchorKey::open(&keys).map_err(|error| error.to_string())?));
        Ok(registry)
    });
    opened.await.map_err(|error| error.to_string())?
}

/// What the use cases are told of a configuration.
///
/// # Errors
/// A pattern that is none.
pub(crate) fn settings(config: &Config) -> Result<Settings, String> {
    let integrity = &config.integrity;
    Ok(Settings {
        verify_on_read: match integrity.verify_on_read {
            VerifyOnRead::Off => mcr_registry::VerifyOnRead::Off,
            VerifyOnRead::Stale => mcr_registry::VerifyOnRead::Stale,
            VerifyOnRead::Always => mcr_registry::VerifyOnRead::Always,
        },
        fresh_for: integrity.fresh_for,
        broken_index: match integrity.broken_index {
            BrokenIndex::Serve => mcr_registry::BrokenIndex::Serve,
            BrokenIndex::Hide => mcr_registry::BrokenIndex::Hide,
        },
        reserve: config.storage.reserve,
        upload_ttl: config.storage.upload_ttl,
        rules: integrity.rules.iter().map(rule).collect::<Result<_, _>>()?,
        builtins: mcr_access::Builtins { user_default: config.policy.user_default.clone() },
        audit_keep: (!config.audit.keep.is_zero()).then_some(config.audit.keep),
        read_only: config.server.read_only,
        probed: config.probe.schedule.is_some(),
        gc: mcr_registry::GcSettings {
            grace: config.gc.grace,
            lease: config.gc.lease,
            undo: config.gc.undo,
            max_delete_percent: config.gc.max_delete_percent,
        },
        scrub: mcr_registry::ScrubSettings {
            rate: config.scrub.rate,
            full_pass: config.scrub.full_pass,
            quarantine_keep: integrity.quarantine_keep,
        },
        retention: config.retention.iter().map(retention_rule).collect::<Result<_, _>>()?,
        backup: mcr_registry::BackupSettings {
            directory: Some(files::parent_of(&config.database.path).join(BACKUPS)),
            keep: config.backup.keep,
            hold: config.backup.hold,
            blobs: config.backup.blobs.clone(),
        },
    })
}

fn rule(rule: &IntegrityRule) -> Result<Rule, String> {
    let immutable_tags = rule.immutable_tags.as_deref().map(Rule::tag_pattern).transpose();
    Ok(Rule {
        repositories: rule.repositories.clone(),
        sparse: rule.commit == Commit::Sparse,
        immutable_tags: immutable_tags.map_err(|error| format!("[[integrity.rule]] immutable_tags: {error}"))?,
    })
}

fn retention_rule(rule: &config::RetentionRule) -> Result<mcr_registry::RetentionRule, String> {
    let keep_tags = rule.keep_tags.as_deref().map(Rule::tag_pattern).transpose();
    Ok(mcr_registry::RetentionRule {
        repositories: rule.repositories.clone(),
        keep_last: rule.keep_last,
        keep_within: rule.keep_within,
        keep_pulled_within: rule.keep_pulled_within,
        keep_tags: keep_tags.map_err(|error| format!("[[retention.rule]] keep_tags: {error}"))?,
        delete_untagged_after: rule.delete_untagged_after,
    })
}

fn limits(config: &Config) -> Limits {
    let or_never = |d: Duration| if d.is_zero() { NEVER } else { d };
    Limits {
        head: or_never(config.server.read_timeout),
        idle: or_never(config.server.idle_timeout),
        write: Some(config.server.write_timeout).filter(|d| !d.is_zero()),
    }
}

async fn open_gate(startup: &Startup, registry: &Registry, credential: &Arc<Credential>) -> Result<Gate, String> {
    let (config, access, registry) = (startup.config.clone(), startup.access.clone(), registry.clone());
    let opened = tokio::task::spawn_blocking(move || gate::open(&config, &access, registry)).await;
    let gate = opened.map_err(|error| error.to_string())??;
    Ok(gate.with_probe(Arc::clone(credential) as _))
}

fn edge(startup: &Startup, registry: Registry, gate: Gate, probe: Arc<Probe>) -> Result<Edge, String> {
    Ok(Edge {
        registry,
        gate,
        probe,
        schedules: Schedules::new(&startup.config)?,
        live: Arc::clone(&startup.live),
        clients: Clients::new(),
        proxy_protocol: startup.config.server.proxy_protocol,
        behind_tls_proxy: startup.config.server.behind_tls_proxy,
        certificate: startup.tls.as_ref().map(|tls| Arc::clone(&tls.reloader)),
        metrics: Metrics::new().map_err(|error| error.to_string())?,
        read_timeout: limits(&startup.config).head,
        metrics_here: startup.config.metrics.listen_addr.is_none(),
        tasks: TaskTracker::new(),
        stopping: CancellationToken::new(),
        id_prefix: random_hex(4).map_err(|error| no_random(&error))?,
    })
}

fn no_random(error: &std::io::Error) -> String {
    format!("no random bytes to be had: {error}")
}

/// The listening sockets of one server.
struct Listeners {
    http: TcpListener,
    grpc: Option<TcpListener>,
    metrics: Option<TcpListener>,
}

impl Listeners {
    fn bind(config: &Config) -> Result<Self, String> {
        let at = |address: SocketAddr| {
            bind(address).map_err(|error| {
                format!("cannot listen on {address}: {error}; choose another address or stop what listens there")
            })
        };
        Ok(Self {
            http: at(config.server.listen_addr)?,
            grpc: config.server.grpc_addr.map(at).transpose()?,
            metrics: config.metrics.listen_addr.map(at).transpose()?,
        })
    }

    fn bound(&self) -> Result<Bound, String> {
        let of = |listener: &TcpListener| listener.local_addr().map_err(|error| error.to_string());
        Ok(Bound {
            http: of(&self.http)?,
            grpc: self.grpc.as_ref().map(of).transpose()?,
            metrics: self.metrics.as_ref().map(of).transpose()?,
        })
    }

    fn accept(self, listening: &Listening) -> TaskTracker {
        let accepting = TaskTracker::new();
        accepting.spawn(accept(self.http, listening.clone()));
        if let Some(grpc) = self.grpc {
            accepting.spawn(crate::grpc::accept(grpc, listening.clone()));
        }
        if let Some(metrics) = self.metrics {
            accepting.spawn(crate::http::figures::accept(metrics, listening.clone()));
        }
        accepting
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let on = |kind| signal(kind).map_err(|error| format!("signals cannot be listened to: {error}"));
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits for requests under way, then for work that outlives them, at most `patience`.
async fn shut_down(edge: &Edge, registry: Registry, accepting: TaskTracker, patience: Duration) {
    accepting.close();
    edge.tasks.close();
    let drained = async {
        accepting.wait().await;
        edge.tasks.wait().await;
        registry.close().await;
    };
    if tokio::time::timeout(patience, drained).await.is_err() {
        tracing::warn!(seconds = patience.as_secs(), "requests were still under way when the time to drain ran out");
    }
}
