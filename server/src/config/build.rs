//! Settings into [`Config`], and whether they fit together; never where they were read from.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::keeping;
use super::problem::{Problem, Problems};
use super::settings::Settings;
use super::table::{INTEGRITY_RULES, KEYS, Key};
use super::value::{USER_ACTIONS, Value, short};
use super::{
    Audit, Auth, AuthMode, BrokenIndex, Commit, Config, Database, Integrity, IntegrityRule, Log, LogFormat, Mcias,
    Metrics, MinTls, Policy, Probe, ProxyProtocol, Server, Storage, VerifyOnRead,
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
    derive_auth(settings, &mut problems);
    check_certificate(settings, &mut problems);
    if purpose == Purpose::Production {
        check_plain_http(settings, &mut problems);
        check_auth(settings, &mut problems);
    }
    check_proxies(settings, &mut problems);
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

/// The mode where an identity service is named, and what people may do in it.
fn derive_auth(settings: &mut Settings, problems: &mut Problems) {
    if settings.word("auth.mode").is_empty() {
        if settings.text("mcias.server_url").is_some() {
            settings.derive("auth.mode", Value::Word("mcias"));
        } else {
            let message =
                "missing; set it, for example mode = \"htpasswd\", or name an identity service with [mcias] server_url";
            complain_once("auth.mode", settings, message, problems);
        }
    }
    if settings.get("policy.user_default").is_some_and(|setting| setting.value.is_none()) {
        let actions = if settings.word("auth.mode") == "htpasswd" { READING } else { &USER_ACTIONS };
        let names = actions.iter().map(|kind| short(*kind).to_owned()).collect();
        settings.derive("policy.user_default", Value::List(names));
    }
}

/// What people may do where a password file tells them apart (contract section 10, rule -2).
const READING: &[mcr_access::Kind] = &[mcr_access::Kind::Pull, mcr_access::Kind::Catalog];

/// A complaint about a key that nothing was said about yet.
fn complain_once(full: &str, settings: &Settings, message: &str, problems: &mut Problems) {
    let shown = KEYS.iter().find(|key| key.full == full).map(Key::shown);
    if !problems.0.iter().any(|problem| problem.key == shown) {
        complain(full, settings, message, problems);
    }
}

fn check_auth(settings: &Settings, problems: &mut Problems) {
    let mode = settings.word("auth.mode");
    for full in ["server.listen_addr", "server.grpc_addr"] {
        let open = settings.address(full).is_some_and(|address| !is_loopback(&address));
        if open && mode == "none" {
            let message = "without logins (auth mode \"none\") only loopback may listen, because whoever reaches the address may do everything; use 127.0.0.1, or another auth mode";
            complain(full, settings, message, problems);
        }
    }
    if mode == "htpasswd" {
        if settings.path("auth.htpasswd_file").is_none() {
            let message =
                "missing, while mode is \"htpasswd\"; set it, for example htpasswd_file = \"/srv/mcr/htpasswd\"";
            complain_once("auth.htpasswd_file", settings, message, problems);
        }
        if settings.list("auth.admins").is_empty() {
            let message = "missing, while mode is \"htpasswd\": nobody could run the registry; name at least one account, for example admins = [\"admin\"]";
            complain_once("auth.admins", settings, message, problems);
        }
    }
    if mode == "mcias" && settings.text("mcias.server_url").is_none() {
        let message =
            "missing, while mode is \"mcias\"; set it, for example server_url = \"https://mcias.example:8443\"";
        complain_once("mcias.server_url", settings, message, problems);
    }
}

/// Who may say whom a connection is from must be known where not everybody has to say it.
fn check_proxies(settings: &Settings, problems: &mut Problems) {
    if settings.word("server.proxy_protocol") == "optional" && settings.list("server.trusted_proxies").is_empty() {
        let message = "\"optional\" needs [server] trusted_proxies: without them anybody could claim to be any client; set both, or \"required\" where only proxies reach the port";
        complain("server.proxy_protocol", settings, message, problems);
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
        auth: auth(settings)?,
        mcias: Mcias {
            server_url: settings.text("mcias.server_url"),
            ca_cert: settings.path("mcias.ca_cert"),
            service_name: settings.text("mcias.service_name")?,
            tags: settings.list("mcias.tags"),
        },
        policy: Policy {
            user_default: settings
                .list("policy.user_default")
                .iter()
                .filter_map(|name| mcr_access::Kind::parse(name))
                .collect(),
        },
        audit: Audit { keep: settings.duration("audit.keep") },
        integrity: integrity(settings),
        probe: probe(settings),
        scrub: keeping::scrub(settings),
        gc: keeping::gc(settings)?,
        retention: keeping::retention(settings),
        backup: keeping::backup(settings)?,
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

fn auth(settings: &Settings) -> Option<Auth> {
    Some(Auth {
        mode: match settings.word("auth.mode") {
            "none" => AuthMode::None,
            "htpasswd" => AuthMode::Htpasswd,
            "mcias" => AuthMode::Mcias,
            _ => return None,
        },
        htpasswd_file: settings.path("auth.htpasswd_file"),
        admins: settings.list("auth.admins"),
        guests: settings.list("auth.guests"),
        system: settings.list("auth.system"),
        token_ttl: settings.duration("auth.token_ttl"),
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
        external_url: settings.list("server.external_url"),
        trusted_proxies: settings
            .list("server.trusted_proxies")
            .iter()
            .filter_map(|network| network.parse().ok())
            .collect(),
        proxy_protocol: match settings.word("server.proxy_protocol") {
            "optional" => ProxyProtocol::Optional,
            "required" => ProxyProtocol::Required,
            _ => ProxyProtocol::Off,
        },
        read_timeout: settings.duration("server.read_timeout"),
        write_timeout: settings.duration("server.write_timeout"),
        idle_timeout: settings.duration("server.idle_timeout"),
        shutdown_timeout: settings.duration("server.shutdown_timeout"),
        read_only: settings.flag("server.read_only"),
        timezone: settings
            .text("server.timezone")
            .and_then(|name| mcr_probe::Zone::named(&name).ok())
            .unwrap_or_default(),
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
        rules: settings.rules(INTEGRITY_RULES).iter().map(rule).collect(),
    }
}

fn probe(settings: &Settings) -> Probe {
    Probe {
        schedule: keeping::schedule(settings, "probe.schedule"),
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
