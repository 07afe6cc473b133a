//! What podman and buildah need to run here: storage of their own without overlay, a policy, no network.

use std::path::{Path, PathBuf};
use std::process::Command;

use mcr_tests::{Server, tools};

/// Directories of one podman or buildah.
pub(crate) struct Storage {
    home: tempfile::TempDir,
}

impl Storage {
    pub(crate) fn new() -> Self {
        let home = tempfile::Builder::new().prefix("mcr-test-storage-").tempdir().unwrap();
        // Debian's packages only recommend the files that hold policy and registries: each test brings its own.
        // A policy is looked for below HOME first; not every subcommand has a flag for it.
        let config = home.path().join(".config/containers");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
        // It has to be there when the variable names it.
        std::fs::write(home.path().join("auth.json"), "{}").unwrap();
        std::fs::write(home.path().join("registries.conf"), "unqualified-search-registries = []\n").unwrap();
        // vfs: overlay on overlay, or without the module, does not mount in containers and small machines.
        std::fs::write(
            home.path().join("storage.conf"),
            format!(
                "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/root\"\nrunroot = \"{0}/run\"\n",
                home.path().display()
            ),
        )
        .unwrap();
        Self { home }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `program` on this storage.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = tools::command(program);
        command.env("CONTAINERS_STORAGE_CONF", self.path("storage.conf"));
        command.env("CONTAINERS_REGISTRIES_CONF", self.path("registries.conf"));
        command.env("STORAGE_DRIVER", "vfs");
        // Neither logins nor temporary files of the machine's user.
        command.env("HOME", self.home.path());
        command.env("REGISTRY_AUTH_FILE", self.path("auth.json"));
        command.env("TMPDIR", self.home.path());
        if program == "podman" {
            // podman remembers the paths of its first storage in a database there.
            command.arg("--root").arg(self.path("root")).arg("--runroot").arg(self.path("run"));
            command.arg("--tmpdir").arg(self.path("libpod"));
            command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
        }
        command
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // What is still mounted below keeps the directory from going.
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let mounted = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for mounted in mounted.filter(|place| Path::new(place).starts_with(self.home.path())) {
            let _ = Command::new("umount").arg("-l").arg(mounted).status();
        }
    }
}

/// A directory with the server's certificate as `ca.crt`, as containers/image wants it.
pub(crate) fn certificates(server: &Server) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::copy(server.certificate(), home.path().join("ca.crt")).unwrap();
    home
}

/// `admin:password` of a server that has one.
pub(crate) fn credentials(server: &Server) -> String {
    format!("admin:{}", server.password())
}
