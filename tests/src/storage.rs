//! What podman and buildah need to run here: storage of their own without overlay, a policy, no network; never an image.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools;

/// Directories of one podman or buildah.
#[derive(Debug)]
pub struct Storage {
    home: tempfile::TempDir,
}

impl Storage {
    /// New ones, empty.
    ///
    /// # Panics
    /// Where they cannot be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes directories")]
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("mcr-test-storage-").tempdir().expect("its files");
        // Debian's packages only recommend the files that hold policy and registries: each test brings its own.
        // A policy is looked for below HOME first; not every subcommand has a flag for it.
        let config = home.path().join(".config/containers");
        std::fs::create_dir_all(&config).expect("its files");
        std::fs::write(config.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)
            .expect("its files");
        // It has to be there when the variable names it.
        std::fs::write(home.path().join("auth.json"), "{}").expect("its files");
        std::fs::write(home.path().join("registries.conf"), "unqualified-search-registries = []\n").expect("its files");
        // vfs: overlay on overlay, or without the module, does not mount in containers and small machines.
        std::fs::write(
            home.path().join("storage.conf"),
            format!(
                "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/root\"\nrunroot = \"{0}/run\"\n",
                home.path().display()
            ),
        )
        .expect("its files");
        Self { home }
    }

    /// A path in them.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `program` on this storage.
    #[must_use]
    #[track_caller]
    pub fn command(&self, program: &str) -> Command {
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
