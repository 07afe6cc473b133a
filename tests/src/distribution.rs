//! The registries of others on trees of their own, Debian's docker-registry 2.8.2 and distribution 3: started,
//! stopped, collected; never repaired here.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use mcr_oci::Digest;
use tempfile::TempDir;

use crate::process::{self, Daemon};
use crate::{Client, tools};

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Debian's package `docker-registry`.
    Two,
    /// distribution 3.1, from its sources.
    Three,
}

impl Program {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Two, Self::Three];

    const fn name(self) -> &'static str {
        match self {
            Self::Two => "docker-registry",
            Self::Three => "registry",
        }
    }
}

/// A running (or stopped) registry.
#[derive(Debug)]
pub struct Distribution {
    program: Program,
    home: TempDir,
    address: SocketAddr,
    extra: String,
    daemon: Option<Daemon>,
}

/// An address on loopback whose port is free now, for programs that cannot say which one they took.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

impl Distribution {
    /// One over plain HTTP, with deletes and the descriptor cache of the shipped configuration.
    #[must_use]
    pub fn start(program: Program) -> Self {
        Self::with(program, "")
    }

    /// A pull-through cache of `upstream`.
    #[must_use]
    pub fn proxy(program: Program, upstream: &str) -> Self {
        Self::with(program, &format!("proxy:\n  remoteurl: {upstream}\n"))
    }

    /// One with more configuration.
    ///
    /// # Panics
    /// Where it does not become ready.
    #[must_use]
    pub fn with(program: Program, extra: &str) -> Self {
        let home = tempfile::Builder::new().prefix("mcr-test-distribution-").tempdir().expect("a directory");
        let mut registry = Self { program, home, address: free_address(), extra: extra.to_owned(), daemon: None };
        registry.run();
        registry
    }

    /// Its configuration file, written anew.
    fn configuration(&self) -> PathBuf {
        let home = self.home.path();
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  delete: {{enabled: true}}\n  \
             cache: {{blobdescriptor: inmemory}}\n  filesystem: {{rootdirectory: {}}}\nhttp:\n  addr: {}\n  \
             secret: only-for-this-test\n{}",
            self.storage().display(),
            self.address,
            self.extra
        );
        let path = home.join("config.yml");
        std::fs::write(&path, text).expect("a configuration");
        path
    }

    /// Starts it, on the same port; its cache is then cold.
    ///
    /// # Panics
    /// Where it runs already or does not become ready.
    pub fn run(&mut self) {
        assert!(self.daemon.is_none(), "it runs already");
        let mut command = tools::command(self.program.name());
        // Version 3 otherwise tries to send traces to a collector that is not there.
        command.arg("serve").arg(self.configuration()).env("OTEL_TRACES_EXPORTER", "none");
        let mut daemon = Daemon::start(&mut command, self.home.path().join("log"));
        let client = self.client();
        daemon.wait_ready(self.program.name(), || client.request("GET", "/v2/").send().is_ok());
        self.daemon = Some(daemon);
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.daemon = None;
    }

    /// Ends it and starts it again.
    pub fn restart(&mut self) {
        self.stop();
        self.run();
    }

    /// `garbage-collect -m`, with the registry stopped meanwhile: incident 1.
    pub fn collect_garbage(&mut self) {
        self.stop();
        let mut command = tools::command(self.program.name());
        command.args(["garbage-collect", "-m"]).arg(self.configuration()).env("OTEL_TRACES_EXPORTER", "none");
        let _ = process::run(&mut command).ok();
        self.run();
    }

    /// A client without a connection yet.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(self.address, None)
    }

    /// `host:port`.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The root of its storage.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.home.path().join("tree")
    }

    /// The directory of a repository.
    #[must_use]
    pub fn repository(&self, name: &str) -> PathBuf {
        self.storage().join("docker/registry/v2/repositories").join(name)
    }

    /// The bytes of a blob or manifest.
    #[must_use]
    pub fn data(&self, digest: &Digest) -> PathBuf {
        data(&self.storage(), digest)
    }

    /// The link that lets a repository serve a manifest.
    #[must_use]
    pub fn revision(&self, repository: &str, digest: &Digest) -> PathBuf {
        let revisions = self.repository(repository).join("_manifests/revisions");
        revisions.join(digest.algorithm().as_str()).join(digest.hex()).join("link")
    }
}

/// The bytes of a blob or manifest in a distribution tree.
#[must_use]
pub fn data(storage: &Path, digest: &Digest) -> PathBuf {
    let (algorithm, hex) = (digest.algorithm().as_str(), digest.hex());
    storage.join("docker/registry/v2/blobs").join(algorithm).join(&hex[..2]).join(hex).join("data")
}
