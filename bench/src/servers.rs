//! The servers that are compared: which there are, and how one is started, found and measured.
//! Their configurations stand in the files beside; what is asked of them stands in `rows`.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    host,
    http::{Body, Connection, Target},
    process::Process,
    tls::Certificate,
};

mod distribution;
mod mcr;
mod nginx;

/// A server of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// This registry.
    Mcr,
    /// `registry:2`, as packaged by Debian.
    Registry2,
    /// distribution 3.
    Distribution,
    /// distribution 3 with its default logging (not compared by default).
    DistributionLogs,
    /// nginx serving files: the limit of GETs.
    Nginx,
}

impl Kind {
    /// Those compared unless others are asked for.
    pub(crate) const DEFAULT: [Kind; 4] = [Kind::Mcr, Kind::Registry2, Kind::Distribution, Kind::Nginx];

    /// A name without spaces, for files and progress lines.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Kind::Mcr => "mcr",
            Kind::Registry2 => "registry2",
            Kind::Distribution => "distribution",
            Kind::DistributionLogs => "distribution-logs",
            Kind::Nginx => "nginx",
        }
    }

    /// The head of its column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Kind::Mcr => "MCR",
            Kind::Registry2 => "registry:2",
            Kind::Distribution => "distribution 3",
            Kind::DistributionLogs => "distribution 3, default logs",
            Kind::Nginx => "nginx, files",
        }
    }

    /// Whether it takes pushes.
    pub(crate) fn is_registry(self) -> bool {
        self != Kind::Nginx
    }
}

/// The transport of one phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Transport {
    /// HTTP/1.1 without TLS.
    Plain,
    /// HTTP/1.1 over TLS 1.3.
    Tls,
}

impl Transport {
    /// A name for directories and progress lines.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Transport::Plain => "plain",
            Transport::Tls => "tls",
        }
    }

    /// The head of its section.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Transport::Plain => "Plain HTTP",
            Transport::Tls => "TLS 1.3",
        }
    }
}

/// Where the servers' programs are.
#[derive(Debug)]
pub(crate) struct Programs {
    /// Each kind with its program.
    pub(crate) found: Vec<(Kind, PathBuf)>,
}

/// What starting a server takes besides its program.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The phase's transport.
    pub(crate) transport: Transport,
    /// Where the phase's servers keep their data.
    pub(crate) directory: PathBuf,
    /// For the peers' TLS.
    pub(crate) certificate: Certificate,
    /// For our side of TLS.
    pub(crate) client: Arc<ClientConfig>,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Which.
    pub(crate) kind: Kind,
    transport: Transport,
    address: SocketAddr,
    client: Arc<ClientConfig>,
    data: PathBuf,
    authorization: Option<String>,
    process: Process,
}

impl Server {
    /// Starts a server on an empty directory and waits until it answers.
    pub(crate) fn start(kind: Kind, program: &Path, setting: &Setting) -> Result<Server, Error> {
        let data = setting.directory.join(kind.slug());
        host::make_directory(&data)?;
        let (process, address) = match kind {
            Kind::Mcr => mcr::start(program, setting, &data)?,
            Kind::Registry2 | Kind::Distribution | Kind::DistributionLogs => {
                distribution::start(kind, program, setting, &data)?
            }
            Kind::Nginx => nginx::start(program, setting, &data)?,
        };
        Server::of(kind, process, address, setting, data)
    }

    /// Starts this registry with accounts of a password file instead of openly, and talks to it as its administrator.
    pub(crate) fn with_accounts(program: &Path, setting: &Setting) -> Result<Server, Error> {
        let data = setting.directory.join("accounts");
        host::make_directory(&data)?;
        let (process, address) = mcr::start_with_accounts(program, setting, &data)?;
        let mut server = Server::of(Kind::Mcr, process, address, setting, data)?;
        server.authorization = Some(mcr::BASIC.to_owned());
        Ok(server)
    }

    fn of(
        kind: Kind,
        mut process: Process,
        address: SocketAddr,
        setting: &Setting,
        data: PathBuf,
    ) -> Result<Server, Error> {
        let (transport, client) = (setting.transport, Arc::clone(&setting.client));
        let target = target(transport, address, &client);
        process.wait_ready(|_| {
            let mut connection = Connection::open(&target).ok()?;
            connection.send("GET", "/v2/", &[], Body::Empty).ok()
        })?;
        Ok(Server { kind, transport, address, client, data, authorization: None, process })
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Result<Connection, Error> {
        let authorization = self.authorization.clone();
        Connection::open(&Target { authorization, ..target(self.transport, self.address, &self.client) })
    }

    /// A new connection of an account that is no administrator, for a server with accounts.
    pub(crate) fn connect_as_user(&self) -> Result<Connection, Error> {
        let authorization = Some(mcr::USER.to_owned());
        Connection::open(&Target { authorization, ..target(self.transport, self.address, &self.client) })
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = match self.transport {
            Transport::Plain => "http",
            Transport::Tls => "https",
        };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Where it keeps its files.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Fails if it has stopped.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        self.process.check()
    }

    /// Its peak resident memory so far in MiB; none for a server of several processes.
    pub(crate) fn peak_memory_mib(&self) -> Result<Option<f64>, Error> {
        if self.kind == Kind::Nginx {
            return Ok(None);
        }
        let kib = self.process.peak_memory_kib()?;
        Ok(Some(kib as f64 / 1024.0))
    }
}

fn target(transport: Transport, address: SocketAddr, client: &Arc<ClientConfig>) -> Target {
    let tls = (transport == Transport::Tls).then(|| Arc::clone(client));
    Target { address, tls, authorization: None }
}

/// A loopback port that was free a moment ago, for servers that do not say which port they bound.
fn free_address() -> Result<SocketAddr, Error> {
    let find = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr();
    find().map_err(|source| Error::Connection { what: "look for a free port".to_owned(), source })
}
