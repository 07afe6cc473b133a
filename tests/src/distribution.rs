//! The registries of others on trees of their own, Debian's docker-registry 2.8.2 and distribution 3: started,
//! stopped, collected; never repaired here.

mod setup;
mod tree;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mcr_oci::{Digest, media_type};
use tempfile::TempDir;

use crate::process::{self, Daemon};
use crate::{Client, Response, ports, tls, tools};

pub use setup::{Program, Setup, self_signed};
pub use tree::Tree;

/// A running (or stopped) registry.
#[derive(Debug)]
pub struct Distribution {
    setup: Setup,
    home: TempDir,
    root: PathBuf,
    address: SocketAddr,
    debug: SocketAddr,
    daemon: Option<Daemon>,
}

impl Distribution {
    /// Debian's, over plain HTTP, with deletes and the descriptor cache of the shipped configuration.
    #[must_use]
    pub fn start() -> Self {
        Self::with(Setup::default())
    }

    /// Another program in the same way.
    #[must_use]
    pub fn of(program: Program) -> Self {
        Self::with(Setup { program, ..Setup::default() })
    }

    /// Debian's, over TLS with a certificate of its own.
    #[must_use]
    pub fn secured() -> Self {
        Self::with(Setup { secured: true, ..Setup::default() })
    }

    /// One as `setup` says.
    ///
    /// # Panics
    /// Where it does not become ready.
    #[must_use]
    pub fn with(setup: Setup) -> Self {
        let home = tempfile::Builder::new().prefix("mcr-test-distribution-").tempdir().expect("a directory");
        let root = setup.root.clone().unwrap_or_else(|| home.path().join("tree"));
        std::fs::create_dir_all(&root).expect("a directory for the tree");
        if setup.secured {
            self_signed(home.path());
        }
        let (address, debug) = (ports::free(), ports::free());
        let mut registry = Self { setup, home, root, address, debug, daemon: None };
        registry.run();
        registry
    }

    /// Its configuration file, written anew.
    fn configuration(&self) -> PathBuf {
        let path = self.home.path().join("config.yml");
        let text = self.setup.configuration(self.home.path(), &self.root, self.address, self.debug);
        std::fs::write(&path, text).expect("a configuration");
        path
    }

    /// Starts it, on the same port; its cache is then cold.
    ///
    /// # Panics
    /// Where it runs already or does not become ready.
    pub fn run(&mut self) {
        assert!(self.daemon.is_none(), "it runs already");
        let program = self.setup.program.name();
        let mut command = tools::command(program);
        // Version 3 otherwise tries to send traces to a collector that is not there.
        command.arg("serve").arg(self.configuration()).env("OTEL_TRACES_EXPORTER", "none");
        let mut daemon = Daemon::start(&mut command, self.home.path().join("log"));
        let client = self.client();
        daemon.wait_ready(program, || client.request("GET", "/v2/").send().is_ok());
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

    /// `garbage-collect -m`, beside the registry if it runs.
    pub fn collect(&self) {
        let mut command = tools::command(self.setup.program.name());
        command.args(["garbage-collect", "-m"]).arg(self.configuration()).env("OTEL_TRACES_EXPORTER", "none");
        let _ = process::run(&mut command).ok();
    }

    /// `garbage-collect -m`, with the registry stopped meanwhile: incident 1.
    pub fn collect_garbage(&mut self) {
        self.stop();
        self.collect();
        self.run();
    }

    /// A client without a connection yet.
    #[must_use]
    pub fn client(&self) -> Client {
        let tls = self.setup.secured.then(|| tls::trusting(&self.certificate()));
        Client::new(self.address, tls)
    }

    /// `GET` of a manifest, as a client that knows every type asks for it.
    #[must_use]
    pub fn manifest(&self, repository: &str, reference: &str) -> Response {
        let accept =
            [media_type::OCI_INDEX, media_type::OCI_MANIFEST, media_type::DOCKER_LIST, media_type::DOCKER_MANIFEST];
        let client = self.client();
        let request = client.request("GET", &format!("/v2/{repository}/manifests/{reference}"));
        request.header("Accept", &accept.join(", ")).call()
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `host:port`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// `http(s)://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http{}://{}", if self.setup.secured { "s" } else { "" }, self.address)
    }

    /// Where its own metrics are.
    #[must_use]
    pub const fn debug(&self) -> SocketAddr {
        self.debug
    }

    /// What it tells Prometheus of itself.
    #[must_use]
    pub fn metrics(&self) -> String {
        Client::new(self.debug, None).get("/metrics").expect(200).text()
    }

    /// What a client must trust, where TLS is spoken.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.home.path().join("cert.pem")
    }

    /// The root of its storage.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its tree, for whoever damages it.
    #[must_use]
    pub fn tree(&self) -> Tree {
        Tree(self.root.clone())
    }

    /// The directory of a repository.
    #[must_use]
    pub fn repository(&self, name: &str) -> PathBuf {
        self.tree().repository(name)
    }

    /// The bytes of a blob or manifest.
    #[must_use]
    pub fn data(&self, digest: &Digest) -> PathBuf {
        self.tree().data(digest)
    }

    /// The link that lets a repository serve a manifest.
    #[must_use]
    pub fn revision(&self, repository: &str, digest: &Digest) -> PathBuf {
        self.tree().revision(repository, digest)
    }
}
