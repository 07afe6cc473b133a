//! Debian's `docker-registry` on a tree of its own: started, stopped, collected; never repaired here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcr_tests::process::{self, Daemon};
use mcr_tests::{Client, tls, tools};
use tempfile::TempDir;

use crate::ports;

/// A running (or stopped) registry.
#[derive(Debug)]
pub(crate) struct Registry2 {
    home: TempDir,
    address: SocketAddr,
    debug: SocketAddr,
    secured: bool,
    daemon: Option<Daemon>,
}

impl Registry2 {
    /// Over plain HTTP.
    pub(crate) fn start() -> Self {
        Self::new(false)
    }

    /// Over TLS with a certificate of its own.
    pub(crate) fn secured() -> Self {
        Self::new(true)
    }

    fn new(secured: bool) -> Self {
        let home = tempfile::Builder::new().prefix("mcr-test-registry2-").tempdir().unwrap();
        let mut registry = Self { home, address: ports::free(), debug: ports::free(), secured, daemon: None };
        self_signed(registry.home.path());
        registry.write_config();
        registry.run();
        registry
    }

    fn write_config(&self) {
        let home = self.home.path().display();
        let tls = format!("  tls: {{certificate: {home}/cert.pem, key: {home}/key.pem}}\n");
        let tls = if self.secured { tls } else { String::new() };
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  delete: {{enabled: true}}\n  cache: {{blobdescriptor: inmemory}}\n  filesystem:\n    \
             rootdirectory: {home}/tree\nhttp:\n  addr: {}\n{tls}  debug:\n    addr: {}\n    \
             prometheus: {{enabled: true, path: /metrics}}\n",
            self.address, self.debug
        );
        std::fs::write(self.config(), text).unwrap();
    }

    fn config(&self) -> PathBuf {
        self.home.path().join("config.yml")
    }

    /// Starts it, on the same port.
    pub(crate) fn run(&mut self) {
        assert!(self.daemon.is_none(), "it runs already");
        let mut command = tools::command("docker-registry");
        let mut daemon = Daemon::start(command.arg("serve").arg(self.config()), self.home.path().join("log"));
        let client = self.client();
        daemon.wait_ready("docker-registry", || client.request("GET", "/v2/").send().is_ok());
        self.daemon = Some(daemon);
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) {
        self.daemon = None;
    }

    /// `garbage-collect -m`, with the registry stopped meanwhile: incident 1.
    pub(crate) fn collect_garbage(&mut self) {
        self.stop();
        let mut command: Command = tools::command("docker-registry");
        let _ = process::run(command.args(["garbage-collect", "-m"]).arg(self.config())).ok();
        self.run();
    }

    /// A client without a connection yet.
    pub(crate) fn client(&self) -> Client {
        let tls = self.secured.then(|| tls::trusting(&self.certificate()));
        Client::new(self.address, tls)
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Its address as a URL.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.secured { "https" } else { "http" }, self.address)
    }

    /// `host:port` of its metrics.
    pub(crate) const fn debug(&self) -> SocketAddr {
        self.debug
    }

    /// What it tells Prometheus.
    pub(crate) fn metrics(&self) -> String {
        Client::new(self.debug, None).get("/metrics").expect(200).text()
    }

    /// The root of its storage.
    pub(crate) fn storage(&self) -> PathBuf {
        self.home.path().join("tree")
    }

    /// What a client must trust; made where there is TLS, and else a file that nobody needs.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.home.path().join("cert.pem")
    }

    /// The directory of a repository.
    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        self.storage().join("docker/registry/v2/repositories").join(name)
    }

    /// The file of a blob.
    pub(crate) fn blob(&self, hex: &str) -> PathBuf {
        self.storage().join("docker/registry/v2/blobs/sha256").join(&hex[..2]).join(hex).join("data")
    }
}

/// A key and a certificate for 127.0.0.1 in `home`.
pub(crate) fn self_signed(home: &Path) {
    let mut command = tools::command("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(home.join("key.pem")).arg("-out").arg(home.join("cert.pem"));
    let _ = process::run(&mut command).ok();
}
