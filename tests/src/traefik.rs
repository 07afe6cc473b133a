//! Traefik, started on directories of its own with the example of `deploy/`; never the machine's configuration.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::http::Client;
use crate::nginx::example;
use crate::process::Daemon;
use crate::{ports, tools};

/// A running Traefik.
#[derive(Debug)]
pub struct Traefik {
    address: SocketAddr,
    _home: tempfile::TempDir,
    _daemon: Daemon,
}

impl Traefik {
    /// Before the registry at `upstream`, its certificate trusted by `trust`; none where it cannot be had, which was said loudly then.
    #[must_use]
    #[track_caller]
    pub fn start(upstream: SocketAddr, certificates: &Path, trust: Arc<rustls::ClientConfig>) -> Option<Self> {
        let program = tools::optional("traefik", "traefik")?;
        let address = ports::free();
        let home = tempfile::Builder::new().prefix("mcr-test-traefik-").tempdir().expect("a directory");
        let dynamic = home.path().join("mcr.yml");
        let certificate = |name: &str| certificates.join(name).display().to_string();
        let text = example(
            "traefik/mcr.yml",
            &[
                ("http://127.0.0.1:8443", format!("http://{upstream}")),
                ("registry.example`", "127.0.0.1`".to_owned()),
                ("/etc/traefik/certs/registry.example.pem", certificate("cert.pem")),
                ("/etc/traefik/certs/registry.example.key", certificate("key.pem")),
            ],
        );
        std::fs::write(&dynamic, text).expect("its routes");
        let file = home.path().join("traefik.yml");
        let changes = [("\":443\"", format!("\"{address}\"")), ("/etc/traefik/mcr.yml", dynamic.display().to_string())];
        let text = example("traefik/traefik.yml", &changes);
        std::fs::write(&file, format!("global:\n  checkNewVersion: false\n  sendAnonymousUsage: false\n{text}"))
            .expect("its configuration");
        let mut command = Command::new(program);
        command.arg(format!("--configFile={}", file.display()));
        let mut daemon = Daemon::start(&mut command, home.path().join("log"));
        // It listens before it has read its routes.
        let client = Client::new(address, Some(trust));
        let answers = || client.request("GET", "/healthz").send().is_ok_and(|answer| answer.status == 200);
        daemon.wait_ready("traefik", answers);
        Some(Self { address, _home: home, _daemon: daemon })
    }

    /// Where clients reach it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}
