//! `--dev`: a registry without a configuration file, its certificate and its one account; never a rule of production.

mod admin;
mod certificate;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use admin::{AdminError, DEV_USER, DevAdmin};
pub use certificate::{CertificateError, ensure_certificate};

use crate::config::table::KEYS;
use crate::config::value::Raw;
use crate::config::{Entry, Environment, Origin, Purpose, Sources};

/// Where everything of a development registry lies.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The directory of all of it, absolute.
    pub data: PathBuf,
    /// The database.
    pub database: PathBuf,
    /// The blobs.
    pub layers: PathBuf,
    /// Unfinished uploads.
    pub uploads: PathBuf,
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The account.
    pub admin: PathBuf,
}

impl Layout {
    /// The layout under a data directory.
    ///
    /// # Errors
    /// When the working directory, where a relative path starts, is gone.
    pub fn of(data: &Path) -> std::io::Result<Self> {
        let data = std::path::absolute(data)?;
        Ok(Self {
            database: data.join("mcr.db"),
            layers: data.join("layers"),
            uploads: data.join("uploads"),
            cert: data.join("tls").join("cert.pem"),
            key: data.join("tls").join("key.pem"),
            admin: data.join("dev-admin.json"),
            data,
        })
    }
}

/// What the command line says about a development registry.
#[derive(Clone, Debug)]
pub struct Options {
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--grpc-listen`
    pub grpc_listen: Option<SocketAddr>,
    /// `--plain-http`
    pub plain_http: bool,
    /// `--anonymous`
    pub anonymous: bool,
}

/// Where `--dev` listens when nothing else is said.
pub const LISTEN: &str = "127.0.0.1:8443";
/// Where `--dev` takes gRPC when nothing else is said.
pub const GRPC_LISTEN: &str = "127.0.0.1:9443";

/// The configuration of `--dev`. The environment may change what it leaves open, flags and the layout stand above it.
#[must_use]
pub fn sources(layout: &Layout, options: &Options, environment: Environment) -> Sources {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let mut flags = vec![
        entry("database.path", path(&layout.database), "--data"),
        entry("storage.layers_path", path(&layout.layers), "--data"),
        entry("storage.uploads_path", path(&layout.uploads), "--data"),
        entry("auth.mode", "none".to_owned(), "--dev"),
    ];
    // With --plain-http an empty text takes back what the environment may have set.
    let (cert, key) =
        if options.plain_http { (String::new(), String::new()) } else { (path(&layout.cert), path(&layout.key)) };
    flags.push(entry("server.tls_cert", cert, "--dev"));
    flags.push(entry("server.tls_key", key, "--dev"));
    if let Some(listen) = options.listen {
        flags.push(entry("server.listen_addr", listen.to_string(), "--listen"));
    }
    if let Some(listen) = options.grpc_listen {
        flags.push(entry("server.grpc_addr", listen.to_string(), "--grpc-listen"));
    }
    Sources {
        files: Vec::new(),
        environment,
        defaults: [
            entry("server.listen_addr", LISTEN.to_owned(), "--dev"),
            entry("server.grpc_addr", GRPC_LISTEN.to_owned(), "--dev"),
        ]
        .into_iter()
        .flatten()
        .collect(),
        flags: flags.into_iter().flatten().collect(),
        purpose: Purpose::Dev,
    }
}

fn entry(full: &str, text: String, flag: &'static str) -> Option<Entry> {
    let key = KEYS.iter().find(|key| key.full == full)?;
    Some(Entry { key, raw: Raw::Bare(text), origin: Origin::Flag(flag) })
}

#[cfg(test)]
mod tests;
