//! `mcrctl probe` in the background, as a service manager runs it; never what a run finds.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use mcr_tests::Client;
use mcr_tests::process::Daemon;
use mcr_tests::server::binary;
use tempfile::TempDir;

use mcr_tests::distribution::Distribution;
use mcr_tests::ports;

/// How long the first figures may take.
const LIMIT: Duration = Duration::from_secs(30);

/// A probe that runs every second and shows its figures.
#[derive(Debug)]
pub(crate) struct Probe {
    _home: TempDir,
    address: SocketAddr,
    _daemon: Daemon,
}

impl Probe {
    /// Over `registry`.
    pub(crate) fn over(registry: &Distribution) -> Self {
        Self::at(registry, ports::free())
    }

    /// The same with its figures at `address`.
    pub(crate) fn at(registry: &Distribution, address: SocketAddr) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = mcrctl();
        command.args(["probe", "--schedule", "* * * * * *", "--addr", &registry.url()]);
        command.args(["--listen", &address.to_string()]);
        command.env("HOME", home.path());
        // Over plain HTTP there is none.
        if registry.certificate().is_file() {
            command.env("MCR_CA_CERT", registry.certificate());
        }
        let mut daemon = Daemon::start(&mut command, home.path().join("log"));
        let client = Client::new(address, None);
        daemon.wait_ready("mcrctl probe", || client.request("GET", "/metrics").send().is_ok());
        Self { _home: home, address, _daemon: daemon }
    }

    /// Where its figures are.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it tells Prometheus.
    pub(crate) fn metrics(&self) -> String {
        Client::new(self.address, None).get("/metrics").expect(200).text()
    }

    /// Waits until the figures hold `text`.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !self.metrics().contains(text) {
            assert!(start.elapsed() < LIMIT, "no {text} in:\n{}", self.metrics());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// `mcrctl` in an environment that holds none of the suites' own variables, nor anybody's logins.
pub(crate) fn mcrctl() -> Command {
    let mut command = Command::new(binary("mcrctl"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MCR_") {
            command.env_remove(&name);
        }
    }
    command.env_remove("REGISTRY_AUTH_FILE").env_remove("XDG_RUNTIME_DIR").env_remove("DOCKER_CONFIG");
    command
}
