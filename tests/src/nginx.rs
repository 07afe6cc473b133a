//! nginx, started on directories of its own with the examples of `deploy/`; never the machine's configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::process::Daemon;
use crate::{ports, tools};

/// Where Debian puts the module for TCP.
const STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    address: SocketAddr,
    home: tempfile::TempDir,
    _daemon: Daemon,
}

/// The text of an example below `deploy/examples`, with these words replaced.
///
/// # Panics
/// Where it cannot be read, or holds one of the words not at all: then the example changed, and its test must too.
#[must_use]
#[track_caller]
pub fn example(path: &str, changes: &[(&str, String)]) -> String {
    let file = tools::repository_root().join("deploy/examples").join(path);
    let mut text = std::fs::read_to_string(&file).expect("the example");
    for (from, to) in changes {
        assert!(text.contains(from), "{path} does not hold {from}");
        text = text.replace(from, to);
    }
    text
}

impl Nginx {
    /// With the example for TLS that ends there, changed by `change`, before the registry at `upstream`.
    #[must_use]
    #[track_caller]
    pub fn ending_tls(upstream: SocketAddr, certificates: &Path, change: impl FnOnce(String) -> String) -> Self {
        let address = ports::free();
        let text = example(
            "nginx/mcr.conf",
            &[
                ("server 127.0.0.1:8443;", format!("server {upstream};")),
                ("listen 443 ssl", format!("listen {address} ssl")),
                ("/etc/nginx/certs/registry.example.pem", certificates.join("cert.pem").display().to_string()),
                ("/etc/nginx/certs/registry.example.key", certificates.join("key.pem").display().to_string()),
            ],
        );
        Self::start(address, |home| {
            let file = home.join("mcr.conf");
            std::fs::write(&file, change(text)).expect("its configuration");
            let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            let paths = temporary.map(|name| format!("{name}_temp_path {} 1 2;\n", home.join(name).display())).concat();
            format!("http {{\naccess_log off;\n{paths}include {};\n}}\n", file.display())
        })
    }

    /// With the example for TLS that is passed through.
    #[must_use]
    #[track_caller]
    pub fn passing_tls(upstream: SocketAddr) -> Self {
        assert!(Path::new(STREAM).is_file(), "{STREAM} is missing: run scripts/setup-tests.sh");
        let address = ports::free();
        let changes =
            [("server 127.0.0.1:8443;", format!("server {upstream};")), ("listen 443;", format!("listen {address};"))];
        let text = example("nginx/stream.conf", &changes);
        Self::start(address, |_| format!("load_module {STREAM};\n{text}"))
    }

    #[track_caller]
    fn start(address: SocketAddr, configure: impl FnOnce(&Path) -> String) -> Self {
        let home = tempfile::Builder::new().prefix("mcr-test-nginx-").tempdir().expect("a directory");
        let at = home.path().display();
        let text = configure(home.path());
        // `load_module` stands before all blocks, and workers run as whoever runs the test.
        let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
        let (modules, blocks) = match text.strip_prefix("load_module") {
            Some(rest) => rest.split_once('\n').map_or(("", rest), |(module, rest)| (module, rest)),
            None => ("", text.as_str()),
        };
        let modules = if modules.is_empty() { String::new() } else { format!("load_module{modules}\n") };
        let head = format!("{modules}{user}worker_processes 1;\ndaemon off;\npid {at}/pid;\nerror_log stderr warn;\n");
        let file = home.path().join("nginx.conf");
        std::fs::write(&file, format!("{head}events {{}}\n{blocks}")).expect("its configuration");
        let mut command = tools::command("nginx");
        command.arg("-c").arg(&file).arg("-p").arg(home.path()).args(["-e", "stderr"]);
        let mut daemon = Daemon::start(&mut command, home.path().join("log"));
        daemon.wait_ready("nginx", || std::net::TcpStream::connect(address).is_ok());
        Self { address, home, _daemon: daemon }
    }

    /// Where clients reach it.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What tells that it ever wrote a body to its disk: the file itself is removed at once, the directories of its two
    /// levels stay.
    #[must_use]
    pub fn buffered(&self) -> Vec<PathBuf> {
        let directories = ["client_body", "proxy"].map(|name| self.home.path().join(name));
        let entries = directories.iter().filter_map(|directory| std::fs::read_dir(directory).ok());
        entries.flatten().filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
    }
}
