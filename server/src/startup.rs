//! From the command line to everything a server needs to serve: configuration, log, lock, TLS, account; never serving itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcr_seams::Clock;

use crate::check_config;
use crate::cli::Failure;
use crate::config::{self, Config, Environment, Live, Loaded, LogFormat, Sources};
use crate::dev::{self, DevAdmin, Layout};
use crate::files;
use crate::lock::DataLock;
use crate::logging;
use crate::ready::{Credentials, DevReady, Ready};
use crate::tls::{self, Reloader};

/// Everything a server needs to serve.
#[derive(Debug)]
pub struct Startup {
    /// The configuration it starts with.
    pub config: Config,
    /// What of the configuration changes while it runs.
    pub live: Arc<Live>,
    /// TLS of the listeners; `None` is plain HTTP.
    pub tls: Option<Tls>,
    /// Who may come in.
    pub access: Access,
    /// What to print when it serves.
    pub ready: Ready,
    /// The data directories, held as long as this lives.
    pub lock: DataLock,
}

/// TLS of the listeners.
#[derive(Clone, Debug)]
pub struct Tls {
    /// For the acceptor.
    pub config: Arc<rustls::ServerConfig>,
    /// For [`tls::watch`] and the metric of the certificate's end.
    pub reloader: Arc<Reloader>,
}

/// Who may come in.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody, as admin.
    Anonymous,
    /// The account of `--dev`.
    DevAdmin(DevAdmin),
    /// Whom `[auth]` says.
    Configured,
}

/// What `--dev` was asked for.
#[derive(Clone, Debug)]
pub struct DevRequest {
    /// `--data`
    pub data: PathBuf,
    /// Addresses and openness.
    pub options: dev::Options,
    /// `--reset-password`
    pub reset_password: bool,
}

/// Prepares a server with configuration files.
///
/// # Errors
/// What is wrong, a line each.
pub fn with_files(files: Vec<PathBuf>, log_format: Option<LogFormat>) -> Result<Startup, Failure> {
    let sources = Sources::of_files(files, Environment::of_process());
    let loaded = config::load(sources)?;
    let (config, live) = begin(loaded, log_format)?;
    refuse_network_filesystem(&config)?;
    refuse_foreign_database(&config)?;
    let lock = take_directories(&config)?;
    let tls = open_tls(&config)?;
    let ready = Ready { plain_http: config.server.plain_http, dev: None };
    Ok(Startup { config, live, tls, access: Access::Configured, ready, lock })
}

/// Prepares a development registry.
///
/// # Errors
/// What is wrong, a line each.
pub fn with_dev(request: &DevRequest, log_format: Option<LogFormat>) -> Result<Startup, Failure> {
    let layout = Layout::of(&request.data)
        .map_err(|error| Failure::refused(format!("the working directory cannot be used: {error}")))?;
    let loaded = config::load(dev::sources(&layout, &request.options, Environment::of_process()))?;
    refuse_open_dev(&loaded.config, &request.options)?;
    let (config, live) = begin(loaded, log_format)?;
    refuse_network_filesystem(&config)?;
    refuse_foreign_database(&config)?;
    // Nothing under the data directory is touched before the lock is held: another server may own it.
    let lock = take_directories(&config)?;
    if !config.server.plain_http {
        let listen = Some(config.server.listen_addr.ip());
        dev::ensure_certificate(&layout.cert, &layout.key, listen, &Clock::system()).map_err(Failure::refused)?;
    }
    let tls = open_tls(&config)?;
    let (access, credentials) = dev_access(&layout, request)?;
    let ready = Ready { plain_http: config.server.plain_http, dev: Some(DevReady { cert: layout.cert, credentials }) };
    Ok(Startup { config, live, tls, access, ready, lock })
}

/// `--plain-http` and `--anonymous` open the registry to whoever reaches it, so only this machine may.
fn refuse_open_dev(config: &Config, options: &dev::Options) -> Result<(), Failure> {
    let flag = match (options.plain_http, options.anonymous) {
        (true, _) => "--plain-http",
        (_, true) => "--anonymous",
        _ => return Ok(()),
    };
    let addresses = [Some(config.server.listen_addr), config.server.grpc_addr, config.metrics.listen_addr];
    match addresses.into_iter().flatten().find(|address| !config::is_loopback(address)) {
        Some(address) => Err(Failure::refused(format!(
            "{flag} is refused on {address}, which is not loopback; listen on 127.0.0.1, or leave {flag} out"
        ))),
        None => Ok(()),
    }
}

fn begin(loaded: Loaded, log_format: Option<LogFormat>) -> Result<(Config, Arc<Live>), Failure> {
    let config = loaded.config.clone();
    let log = logging::start(log_format.unwrap_or(config.log.format), &config.log.level)
        .map_err(|error| Failure::refused(format!("logging cannot be started: {error}")))?;
    Ok((config, Live::new(loaded, Some(log))))
}

pub(crate) fn refuse_network_filesystem(config: &Config) -> Result<(), Failure> {
    let problems = check_config::network_problems(config);
    if problems.is_empty() { Ok(()) } else { Err(Failure::refused_all(problems)) }
}

/// Before anything is made beside it: not even a lock belongs into another program's directory.
pub(crate) fn refuse_foreign_database(config: &Config) -> Result<(), Failure> {
    mcr_metadata::Metadata::refuse_foreign(&config.database.path).map_err(Failure::refused)
}

fn take_directories(config: &Config) -> Result<DataLock, Failure> {
    let storage = &config.storage;
    let lock =
        DataLock::acquire("mcrsrv server", &config.database.path, &storage.layers_path).map_err(Failure::refused)?;
    let uploads = &storage.uploads_path;
    files::create_private_dir(uploads).map_err(|error| {
        Failure::refused(format!(
            "{}: cannot be made: {error}; check that this user may write there",
            uploads.display()
        ))
    })?;
    match files::same_filesystem(uploads, &storage.layers_path) {
        Ok(true) => {}
        Ok(false) => return Err(Failure::refused(check_config::two_filesystems(config))),
        // A full or read-only disk must not keep pulls from being served.
        Err(error) => tracing::warn!(%error, "cannot try a rename from uploads_path to layers_path"),
    }
    Ok(lock)
}

fn open_tls(config: &Config) -> Result<Option<Tls>, Failure> {
    let (Some(cert), Some(key)) = (&config.server.tls_cert, &config.server.tls_key) else {
        return Ok(None);
    };
    let open = |cert: &Path, key: &Path| {
        let reloader = Reloader::open(cert, key)?;
        let served = tls::server_config(Arc::clone(&reloader), config.server.min_tls)?;
        Ok::<Tls, tls::TlsError>(Tls { config: served, reloader })
    };
    open(cert, key).map(Some).map_err(Failure::refused)
}

fn dev_access(layout: &Layout, request: &DevRequest) -> Result<(Access, Credentials), Failure> {
    if request.options.anonymous {
        return Ok((Access::Anonymous, Credentials::Anonymous));
    }
    let (admin, password) = DevAdmin::open(&layout.admin, request.reset_password).map_err(Failure::refused)?;
    let credentials = password.map_or_else(
        || {
            tracing::info!("the admin password was shown when it was made; --reset-password makes a new one");
            Credentials::Known
        },
        Credentials::New,
    );
    Ok((Access::DevAdmin(admin), credentials))
}
