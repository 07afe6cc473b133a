//! skopeo: an index of two platforms, copied in and out of a layout.

use std::process::Command;

use mcr_tests::process::{self, Output};
use mcr_tests::{layout, tools};

use super::{Place, Program};

pub(crate) struct Skopeo<'a> {
    place: &'a Place<'a>,
    home: tempfile::TempDir,
}

impl<'a> Skopeo<'a> {
    pub(crate) fn new(place: &'a Place<'a>) -> Self {
        let home = tempfile::tempdir().unwrap();
        layout::write_index(&home.path().join("source"), "v1", &layout::real_index());
        std::fs::write(home.path().join("auth.json"), "{}").unwrap();
        Self { place, home }
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = tools::command("skopeo");
        command.args(["--insecure-policy", subcommand]);
        command.arg("--authfile").arg(self.home.path().join("auth.json"));
        command.env_remove("REGISTRY_AUTH_FILE").env("HOME", self.home.path());
        command
    }

    fn remote(&self, repository: &str) -> String {
        format!("docker://{}/{repository}:v1", self.place.authority)
    }

    fn layout(&self, directory: &str) -> String {
        format!("oci:{}:v1", self.home.path().join(directory).display())
    }
}

impl Program for Skopeo<'_> {
    fn log_in(&self, name: &str, password: &str) -> Output {
        let mut command = self.command("login");
        command.arg("--cert-dir").arg(self.place.trust).args(["-u", name, "-p", password]);
        process::run(command.arg(&self.place.authority))
    }

    fn login_asks(&self) -> bool {
        true
    }

    fn log_out(&self) {
        let _ = process::run(self.command("logout").arg(&self.place.authority)).ok();
    }

    fn push(&self, repository: &str) -> Output {
        let mut command = self.command("copy");
        command.arg("--all").arg("--dest-cert-dir").arg(self.place.trust);
        process::run(command.arg(self.layout("source")).arg(self.remote(repository)))
    }

    fn pull(&self, repository: &str) -> Output {
        let back = self.home.path().join("back");
        let _ = std::fs::remove_dir_all(&back);
        let mut command = self.command("copy");
        command.arg("--all").arg("--src-cert-dir").arg(self.place.trust);
        let output = process::run(command.arg(self.remote(repository)).arg(self.layout("back")));
        if output.code == Some(0) {
            layout::assert_same(&self.home.path().join("source"), &back);
        }
        output
    }
}
