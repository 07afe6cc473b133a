//! Settings into [`Config`], and whether they fit together; never where they were read from.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::problem::{Problem, Problems};
use super::settings::Settings;
use super::table::{KEYS, Key};
use super::value::{OFF, Value};
use super::{
    Auth, AuthMode, BrokenIndex, Commit, Config, Database, Gc, Integrity, IntegrityRule, Log, LogFormat, Metrics,
    MinTls, Probe, Server, Storage, VerifyOnRead,
};

/// Who may do what when the configuration itself says nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `--config`: the rules for production.
    Production,
    /// `--dev`: its account stands for logins, its flags are judged where they are known.
    Dev,
}

/// Builds the configuration, or says everything that is wrong with it.
///
/// # Errors
/// All problems, those found before included.
pub(super) fn build(settings: &mut Settings, purpose: Purpose, mut problems: Problems) -> Result<Config, Problems> {
    settings.require(KEYS, None, &mut problems);
    derive_uploads(settings);
    check_certificate(settings, &mut problems);
    if purpose == Purpose::Production {
        check_plain_http(settings, &mut problems);
        check_auth(settings, &mut problems);
    }
    check_paths(settings, &mut problems);
    let config = assemble(settings);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems),
    }
}

/// `<layers_path>/../uploads`, beside the blobs and so, as a rule, on their file system.
fn derive_uploads(settings: &mut Settings) {
    let layers = settings.path("storage.layers_path");
    let beside = layers.as_deref().and_then(Path::parent).map(|parent| parent.join("uploads"));
    if let (None, Some(uploads)) = (settings.path("storage.uploads_path"), beside) {
        settings.derive("storage.uploads_path", Value::Path(uploads));
    }
}

fn complain(full: &str, settings: &Settings, message: &str, problems: &mut Problems) {
    if let Some(key) = KEYS.iter().find(|key: &&Key| key.full == full) {
        problems.push(Problem::of(key, settings.origin(full), message));
    }
}

/// The addresses that answer without TLS of our own when no certificate is set.
const LISTENERS: &[&str] = &["server.listen_addr", "server.grpc_addr", "metrics.listen_addr"];

fn check_certificate(settings: &Settings, problems: &mut Problems) {
    let cert = settings.path("server.tls_cert").is_some();
    let key = settings.path("server.tls_key").is_some();
    let (missing, present) = match (cert, key) {
        (true, false) => ("server.tls_key", "tls_cert"),
        (false, true) => ("server.tls_cert", "tls_key"),
        _ => return,
    };
    let message = format!("missing, while {present} is set; set both, or neither for plain HTTP on loopback");
    complain(missing, settings, &message, problems);
}

fn check_plain_http(settings: &Settings, problems: &mut Problems) {
    let tls = settings.path("server.tls_cert").or_else(|| settings.path("server.tls_key")).is_some();
    if tls || settings.flag("server.behind_tls_proxy") {
        return;
    }
    for full in LISTENERS {
        if settings.address(full).is_some_and(|address| !is_loopback(&address)) {
            let message = "plain HTTP is served only on loopback; set tls_cert and tls_key, or listen on 127.0.0.1, or set behind_tls_proxy = true if a proxy in front ends TLS";
            complain(full, settings, message, problems);
        }
    }
}

/// Whether only this machine can reach the address.
#[must_use]
pub fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn check_auth(settings: &Settings, problems: &mut Problems) {
    let mode = settings.word("auth.mode");
    if !matches!(mode, "" | "none") {
        let message = format!(
            "\"{mode}\" needs access control, which this version does not have yet; set mode = \"none\" and listen_addr on loopback, or run a newer version"
        );
        complain("auth.mode", settings, &message, problems);
    }
    for full in ["server.listen_addr", "server.grpc_addr"] {
        let open = settings.address(full).is_some_and(|address| !is_loopback(&address));
        if open && mode == "none" {
            let message = "without logins (auth mode \"none\") only loopback may listen, because whoever reaches the address may do everything; use 127.0.0.1";
            complain(full, settings, message, problems);
        }
    }
}

/// Blobs, uploads and the database each need a place that is not inside another's.
fn check_paths(settings: &Settings, problems: &mut Problems) {
    let (Some(layers), Some(uploads)) = (settings.path("storage.layers_path"), settings.path("storage.uploads_path"))
    else {
        return;
    };
    let inside = |inner: &Path, outer: &PathBuf| inner.starts_with(outer);
    if inside(&uploads, &layers) || inside(&layers, &uploads) {
        let message = "layers_path and uploads_path must be two directories, neither inside the other";
        complain("storage.uploads_path", settings, message, problems);
    }
    let database = settings.path("database.path");
    if database.is_some_and(|path| inside(&path, &layers) || inside(&path, &uploads)) {
        let message = "must not be inside layers_path or uploads_path";
        complain("database.path", settings, message, problems);
    }
}

fn assemble(settings: &Settings) -> Option<Config> {
    Some(Config {
        server: server(settings)?,
        database: Database {
            path: settings.path("database.path")?,
            allow_network_filesystem: settings.flag("database.allow_network_filesystem"),
        },
        storage: Storage {
            layers_path: settings.path("storage.layers_path")?,
            uploads_path: settings.path("storage.uploads_path")?,
            reserve: settings.size("storage.reserve"),
            upload_ttl: settings.duration("storage.upload_ttl"),
        },
        auth: Auth { mode: AuthMode::None },
        integrity: integrity(settings),
        probe: probe(settings),
        gc: Gc {
            grace: settings.duration("gc.grace"),
            lease: settings.duration("gc.lease"),
            undo: settings.duration("gc.undo"),
        },
        metrics: Metrics { listen_addr: settings.address("metrics.listen_addr") },
        log: Log {
            level: settings.word("log.level").to_owned(),
            format: match settings.word("log.format") {
                "json" => LogFormat::Json,
                _ => LogFormat::Text,
            },
        },
    })
}

fn server(settings: &Settings) -> Option<Server> {
    let tls_cert = settings.path("server.tls_cert");
    Some(Server {
        listen_addr: settings.address("server.listen_addr")?,
        grpc_addr: settings.address("server.grpc_addr"),
        plain_http: tls_cert.is_none(),
        tls_cert,
        tls_key: settings.path("server.tls_key"),
        min_tls: match settings.word("server.min_tls") {
            "1.2" => MinTls::V1_2,
            _ => MinTls::V1_3,
        },
        behind_tls_proxy: settings.flag("server.behind_tls_proxy"),
        read_timeout: settings.duration("server.read_timeout"),
        write_timeout: settings.duration("server.write_timeout"),
        idle_timeout: settings.duration("server.idle_timeout"),
        shutdown_timeout: settings.duration("server.shutdown_timeout"),
        read_only: settings.flag("server.read_only"),
    })
}

fn integrity(settings: &Settings) -> Integrity {
    Integrity {
        verify_on_read: match settings.word("integrity.verify_on_read") {
            "off" => VerifyOnRead::Off,
            "always" => VerifyOnRead::Always,
            _ => VerifyOnRead::Stale,
        },
        fresh_for: settings.duration("integrity.fresh_for"),
        broken_index: match settings.word("integrity.broken_index") {
            "hide" => BrokenIndex::Hide,
            _ => BrokenIndex::Serve,
        },
        quarantine_keep: settings.duration("integrity.quarantine_keep"),
        rules: settings.rules.iter().map(rule).collect(),
    }
}

fn probe(settings: &Settings) -> Probe {
    Probe {
        schedule: settings.text("probe.schedule").filter(|text| text != OFF),
        level: settings.word("probe.level").parse().unwrap_or_default(),
    }
}

fn rule(settings: &Settings) -> IntegrityRule {
    IntegrityRule {
        repositories: settings.list("integrity.rule.repositories"),
        commit: match settings.word("integrity.rule.commit") {
            "sparse" => Commit::Sparse,
            _ => Commit::Enforce,
        },
        immutable_tags: settings.text("integrity.rule.immutable_tags"),
    }
}
