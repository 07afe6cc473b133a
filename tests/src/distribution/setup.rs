//! How a registry of others is set up: program, configuration, certificate; never its running.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::{process, tools};

/// Which program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Program {
    /// Debian's package `docker-registry`.
    #[default]
    Two,
    /// distribution 3.1, from its sources.
    Three,
}

impl Program {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Two, Self::Three];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Two => "docker-registry",
            Self::Three => "registry",
        }
    }
}

/// What one is started with.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Which program.
    pub program: Program,
    /// TLS, with a certificate of its own.
    pub secured: bool,
    /// Where its tree is; a directory of its own where nothing is said.
    pub root: Option<PathBuf>,
    /// The registry it is a pull-through cache of.
    pub proxy: Option<SocketAddr>,
    /// Without the cache of descriptors: what it says is what is on disk.
    pub uncached: bool,
    /// Further sections of the configuration.
    pub extra: String,
}

impl Setup {
    pub(super) fn configuration(&self, home: &Path, root: &Path, address: SocketAddr, debug: SocketAddr) -> String {
        let (home, root) = (home.display(), root.display());
        let cache = if self.uncached { "" } else { "  cache: {blobdescriptor: inmemory}\n" };
        let tls = format!("  tls: {{certificate: {home}/cert.pem, key: {home}/key.pem}}\n");
        let tls = if self.secured { tls.as_str() } else { "" };
        let proxy = self.proxy.map(|upstream| format!("proxy:\n  remoteurl: http://{upstream}\n")).unwrap_or_default();
        format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog: {{disabled: true}}\nstorage:\n  \
             delete: {{enabled: true}}\n{cache}  filesystem: {{rootdirectory: {root}}}\nhttp:\n  addr: {address}\n  \
             secret: only-for-this-test\n{tls}  debug:\n    addr: {debug}\n    \
             prometheus: {{enabled: true, path: /metrics}}\n{proxy}{}",
            self.extra
        )
    }
}

/// A key and a certificate for 127.0.0.1 in `home`: `key.pem`, `cert.pem`.
///
/// # Panics
/// Where they cannot be made.
pub fn self_signed(home: &Path) {
    let mut command = tools::command("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(home.join("key.pem")).arg("-out").arg(home.join("cert.pem"));
    let _ = process::run(&mut command).ok();
}
