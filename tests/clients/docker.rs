//! docker: Debian's engine, started here on directories of its own, against plain HTTP and TLS.

use std::path::{Path, PathBuf};
use std::process::Command;

use mcr_tests::process::{self, Daemon};
use mcr_tests::{Options, Server, layout, pull, tools};

/// An engine of its own. Works as root in containers and small machines with these flags: no bridge and no iptables
/// (the network is not touched), vfs (overlay does not mount everywhere), its own containerd.
struct Engine {
    daemon: Option<Daemon>,
    home: tempfile::TempDir,
}

impl Engine {
    fn start() -> Self {
        // Short: the sockets of its containerd lie below, and their paths may not exceed 107 bytes.
        let home = tempfile::Builder::new().prefix("mcrd").tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let mut command = tools::command("dockerd");
        command.arg("--data-root").arg(at("root")).arg("--exec-root").arg(at("run"));
        command.arg("--pidfile").arg(at("pid")).arg("--config-file").arg(at("daemon.json"));
        std::fs::write(at("daemon.json"), "{}").unwrap();
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

    fn run(&self, arguments: &[&str]) -> process::Output {
        process::run(docker(self.home.path(), &self.socket()).args(arguments))
    }

    /// Loads the real image for `architecture` and gives it `name`.
    fn load(&self, architecture: &str, name: &str) {
        let source = tempfile::tempdir().unwrap();
        layout::write_image(source.path(), "v1", &layout::real_image(architecture));
        let archive = self.home.path().join(format!("{architecture}.tar"));
        let mut skopeo = tools::command("skopeo");
        skopeo.args(["--insecure-policy", "copy"]).arg(format!("oci:{}:v1", source.path().display()));
        let _ = process::run(skopeo.arg(format!("docker-archive:{}:{name}", archive.display()))).ok();
        let _ = self.run(&["load", "-i", &archive.display().to_string()]).ok();
    }

    /// Insists that the local image `name` holds busybox for `architecture`, byte for byte.
    #[track_caller]
    fn assert_content(&self, name: &str, architecture: &str) {
        let container = self.run(&["create", name, "/bin/sh"]).ok().text();
        let container = container.trim();
        let file = self.home.path().join("busybox.back");
        let from = format!("{container}:/bin/busybox");
        let _ = self.run(&["cp", &from, &file.display().to_string()]).ok();
        assert!(std::fs::read(&file).unwrap() == layout::busybox(architecture));
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

#[test]
fn images_and_lists_go_in_and_come_out() {
    let server = Server::start();
    let client = server.client();
    let engine = Engine::start();
    let remote = |tag: &str| format!("{}/dock/er:{tag}", server.authority());
    for architecture in layout::ARCHITECTURES {
        engine.load(architecture, &remote(architecture));
        let pushed = engine.run(&["push", &remote(architecture)]).ok();
        let digest = client.head(&format!("/v2/dock/er/manifests/{architecture}")).expect(200);
        assert!(pushed.text().contains(digest.required("docker-content-digest")), "{pushed:?}");
        let _ = pull::assert_whole(&client, "dock/er", architecture);
    }
    let list = remote("multi");
    let create = ["manifest", "create", "--insecure", &list, &remote("amd64"), &remote("arm64")];
    let _ = engine.run(&create).ok();
    let annotate = ["manifest", "annotate", &list, &remote("arm64"), "--os", "linux", "--arch", "arm64"];
    let _ = engine.run(&annotate).ok();
    let _ = engine.run(&["manifest", "push", "--insecure", &list]).ok();
    assert_eq!(pull::assert_whole(&client, "dock/er", "multi").manifests.len(), 3);
    for architecture in layout::ARCHITECTURES {
        let _ = engine.run(&["rmi", "-f", &remote(architecture)]).ok();
    }
    for architecture in layout::ARCHITECTURES {
        let platform = format!("linux/{architecture}");
        let _ = engine.run(&["pull", "--platform", &platform, &list]).ok();
        engine.assert_content(&list, architecture);
        let _ = engine.run(&["rmi", "-f", &list]).ok();
    }
    // Pushed under another name, its layers are mounted from the first.
    let _ = engine.run(&["pull", &remote("amd64")]).ok();
    let second = format!("{}/second:v1", server.authority());
    let _ = engine.run(&["tag", &remote("amd64"), &second]).ok();
    let pushed = engine.run(&["push", &second]).ok();
    assert!(pushed.text().contains("Mounted from dock/er"), "{pushed:?}");
    let _ = pull::assert_whole(&client, "second", "v1");
}

#[test]
fn tls_and_a_password_are_enough() {
    let server = Server::with(Options::secured());
    let engine = Engine::start();
    let authority = server.authority();
    let remote = format!("{authority}/secured:v1");
    engine.load("amd64", &remote);
    // 127.0.0.0/8 counts as insecure for docker: it speaks TLS and takes any certificate there.
    let denied = engine.run(&["push", &remote]).failed();
    assert!(denied.all().contains("no basic auth credentials"), "{denied:?}");
    let _ = engine.run(&["login", "-u", "admin", "-p", "wrong", &authority]).failed();
    let _ = engine.run(&["login", "-u", "admin", "-p", server.password(), &authority]).ok();
    let _ = engine.run(&["push", &remote]).ok();
    let _ = pull::assert_whole(&server.client(), "secured", "v1");
    let _ = engine.run(&["rmi", "-f", &remote]).ok();
    let _ = engine.run(&["pull", &remote]).ok();
    engine.assert_content(&remote, "amd64");
}
