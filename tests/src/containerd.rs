//! containerd, started on directories of its own, and `ctr`; never the machine's own daemon.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, Daemon};
use crate::tools;

/// A containerd of its own: no CRI, nothing unpacked, all of it in one directory.
#[derive(Debug)]
pub struct Containerd {
    _daemon: Daemon,
    home: tempfile::TempDir,
}

impl Containerd {
    /// A path in its directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Starts one.
    ///
    /// # Panics
    /// Where it does not come up.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        // Short: paths of sockets may not exceed 107 bytes.
        let home = tempfile::Builder::new().prefix("mcrc").tempdir().expect("files of its own");
        let at = home.path().display();
        let config = format!(
            "version = 2\nroot = \"{at}/root\"\nstate = \"{at}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{at}/sock\"\n[ttrpc]\naddress = \"{at}/ttrpc\"\n"
        );
        std::fs::write(home.path().join("config.toml"), config).expect("files of its own");
        let mut command = tools::command("containerd");
        command.arg("--config").arg(home.path().join("config.toml"));
        let mut daemon = Daemon::start(&mut command, home.path().join("log"));
        let probe = home.path().to_owned();
        daemon.wait_ready("containerd", || process::run(ctr(&probe).arg("version")).code == Some(0));
        Self { _daemon: daemon, home }
    }

    /// Runs `ctr` with these arguments.
    #[must_use]
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> process::Output {
        process::run(ctr(self.home.path()).args(arguments))
    }

    /// Forgets images and content, so that a pull fetches everything.
    #[track_caller]
    pub fn forget(&self, name: &str) {
        let _ = self.run(&["images", "rm", "--sync", name]).ok();
        let content = self.run(&["content", "ls", "-q"]).ok().text();
        for digest in content.lines() {
            let _ = self.run(&["content", "rm", digest]).ok();
        }
    }
}

/// Writes the `hosts.toml` that makes `ctr` speak TLS to `authority` (`host:port`) and trust the certificate at `ca`.
/// Without one it takes plain HTTP for granted on loopback. Returns what `--hosts-dir` wants.
///
/// # Panics
/// Where it cannot be written.
#[must_use]
pub fn hosts(authority: &str, ca: &Path) -> tempfile::TempDir {
    let hosts = tempfile::tempdir().expect("a directory");
    let directory = hosts.path().join(authority.replace(':', "_") + "_");
    std::fs::create_dir(&directory).expect("a directory");
    let ca = ca.display();
    let text = format!(
        "server = \"https://{authority}\"\n[host.\"https://{authority}\"]\n\
         capabilities = [\"pull\", \"resolve\", \"push\"]\nca = \"{ca}\"\n"
    );
    std::fs::write(directory.join("hosts.toml"), text).expect("a file");
    hosts
}

fn ctr(home: &Path) -> Command {
    let mut command = tools::command("ctr");
    command.arg("--address").arg(home.join("sock"));
    command
}
