//! docker: Debian's engine, started on directories of its own; never the machine's own engine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, Daemon};
use crate::{layout, tools};

/// An engine of its own. Works as root in containers and small machines with these flags: no bridge and no iptables
/// (the network is not touched), vfs (overlay does not mount everywhere), its own containerd.
#[derive(Debug)]
pub struct Engine {
    daemon: Option<Daemon>,
    home: tempfile::TempDir,
}

impl Engine {
    /// Starts one.
    ///
    /// # Panics
    /// Where it does not come up.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        // Short: the sockets of its containerd lie below, and their paths may not exceed 107 bytes.
        let home = tempfile::Builder::new().prefix("mcrd").tempdir().expect("files of its own");
        let at = |name: &str| home.path().join(name);
        let mut command = tools::command("dockerd");
        command.arg("--data-root").arg(at("root")).arg("--exec-root").arg(at("run"));
        command.arg("--pidfile").arg(at("pid")).arg("--config-file").arg(at("daemon.json"));
        std::fs::write(at("daemon.json"), "{}").expect("files of its own");
        command.arg("-H").arg(format!("unix://{}", at("sock").display()));
        command.args(["--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]);
        command.args(["--storage-driver", "vfs"]);
        // It looks for containerd, runc and docker-proxy there.
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let mut daemon = Daemon::start(&mut command, at("log"));
        let socket = at("sock");
        daemon.wait_ready("dockerd", || process::run(docker(home.path(), &socket).arg("version")).code == Some(0));
        Self { daemon: Some(daemon), home }
    }

    fn socket(&self) -> PathBuf {
        self.home.path().join("sock")
    }

    /// Runs `docker` with these arguments.
    #[must_use]
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> process::Output {
        process::run(docker(self.home.path(), &self.socket()).args(arguments))
    }

    /// Loads the real image for `architecture` and gives it `name`.
    ///
    /// # Panics
    /// Where that does not work.
    #[track_caller]
    pub fn load(&self, architecture: &str, name: &str) {
        let source = tempfile::tempdir().expect("files of its own");
        layout::write_image(source.path(), "v1", &layout::real_image(architecture));
        let archive = self.home.path().join(format!("{architecture}.tar"));
        // skopeo adds to no archive.
        let _ = std::fs::remove_file(&archive);
        let mut skopeo = tools::command("skopeo");
        skopeo.args(["--insecure-policy", "copy"]).arg(format!("oci:{}:v1", source.path().display()));
        let _ = process::run(skopeo.arg(format!("docker-archive:{}:{name}", archive.display()))).ok();
        let _ = self.run(&["load", "-i", &archive.display().to_string()]).ok();
    }

    /// Insists that the local image `name` holds busybox for `architecture`, byte for byte.
    ///
    /// # Panics
    /// Where it does not.
    #[track_caller]
    pub fn assert_content(&self, name: &str, architecture: &str) {
        let container = self.run(&["create", name, "/bin/sh"]).ok().text();
        let container = container.trim();
        let file = self.home.path().join("busybox.back");
        let from = format!("{container}:/bin/busybox");
        let _ = self.run(&["cp", &from, &file.display().to_string()]).ok();
        assert!(std::fs::read(&file).expect("files of its own") == layout::busybox(architecture));
        let _ = self.run(&["rm", container]).ok();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.daemon = None;
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mounted = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for mounted in mounted.filter(|place| Path::new(place).starts_with(self.home.path())) {
            let _ = Command::new("umount").arg("-l").arg(mounted).status();
        }
    }
}

fn docker(home: &Path, socket: &Path) -> Command {
    // Debian's own, where there is a second one in the path.
    let debian = Path::new("/usr/bin/docker");
    let mut command = if debian.is_file() { Command::new(debian) } else { tools::command("docker") };
    command.arg("-H").arg(format!("unix://{}", socket.display()));
    command.env("DOCKER_CONFIG", home.join("config")).env("HOME", home);
    command
}
