//! What is printed once the registry serves: the line that begins `mcrsrv ready`, and with `--dev` three commands to try.

use std::fmt;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::dev::DEV_USER;

/// The addresses that were really bound, port 0 resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The registry.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: Option<SocketAddr>,
    /// `/metrics`, where it has a listener of its own.
    pub metrics: Option<SocketAddr>,
}

/// What to print when the registry serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Listeners speak plain HTTP.
    pub plain_http: bool,
    /// Set with `--dev`.
    pub dev: Option<DevReady>,
}

/// What `--dev` adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevReady {
    /// The certificate a client has to trust.
    pub cert: PathBuf,
    /// Who may come in.
    pub credentials: Credentials,
}

/// Who may come in with `--dev`.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Everybody.
    Anonymous,
    /// The account, whose password is new and shown now.
    New(String),
    /// The account, whose password was shown earlier.
    Known,
}

/// Without the password: what is printed for debugging ends in logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::New(_) => "New(…)",
            Self::Known => "Known",
        })
    }
}

impl Ready {
    /// Prints it on stdout, which is flushed.
    ///
    /// # Errors
    /// When stdout is closed; the registry serves all the same.
    pub fn announce(&self, bound: &Bound) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(self.text(bound).as_bytes())?;
        stdout.flush()
    }

    fn text(&self, bound: &Bound) -> String {
        let scheme = if self.plain_http { "http" } else { "https" };
        let host = reachable(bound.http);
        let mut text = format!("mcrsrv ready {scheme}://{host}");
        if let Some(grpc) = bound.grpc {
            text.push_str(&format!(" grpc {}", reachable(grpc)));
        }
        if let Some(metrics) = bound.metrics {
            text.push_str(&format!(" metrics {scheme}://{}/metrics", reachable(metrics)));
        }
        if let Some(dev) = &self.dev {
            if let Credentials::New(password) = &dev.credentials {
                text.push_str(&format!(" user: {DEV_USER} password: {password} (shown this once)"));
            }
            for line in self.commands(dev, scheme, &host.to_string()) {
                text.push('\n');
                text.push_str(&line);
            }
        }
        text.push('\n');
        text
    }

    /// Push, pull, look.
    fn commands(&self, dev: &DevReady, scheme: &str, host: &str) -> [String; 3] {
        let image = format!("docker://{host}/busybox:latest");
        let password = match &dev.credentials {
            Credentials::Anonymous => None,
            Credentials::New(password) => Some(password.as_str()),
            // The shell puts in what the user kept.
            Credentials::Known => Some("$MCR_PASSWORD"),
        };
        let option = |name: &str| match password {
            Some(password) => format!(" {name} \"{DEV_USER}:{password}\""),
            None => String::new(),
        };
        let cacert = if self.plain_http {
            String::new()
        } else {
            format!(" --cacert {}", shell_word(&dev.cert.display().to_string()))
        };
        [
            format!(
                "skopeo copy --dest-tls-verify=false{} docker://docker.io/library/busybox:latest {image}",
                option("--dest-creds")
            ),
            format!("skopeo copy --src-tls-verify=false{} {image} oci:busybox:latest", option("--src-creds")),
            format!("curl{cacert}{} {scheme}://{host}/v2/_catalog", option("-u")),
        ]
    }
}

/// An address a client on this machine can ask: a listener on all addresses is asked on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

/// A text as one word of a shell.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests;
