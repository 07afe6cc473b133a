//! crane: one image, pushed from a layout and pulled into another one. Needs Go's module mirror to be had.

use std::path::PathBuf;
use std::process::Command;

use mcr_tests::process::{self, Output};
use mcr_tests::{layout, tools};

use super::{Place, Program};

pub(crate) struct Crane<'a> {
    program: PathBuf,
    place: &'a Place<'a>,
    home: tempfile::TempDir,
}

impl<'a> Crane<'a> {
    /// None where it could not be built: then that was said loudly.
    pub(crate) fn new(place: &'a Place<'a>) -> Option<Self> {
        let program = tools::optional("crane", "crane")?;
        let home = tempfile::tempdir().unwrap();
        layout::write_image(&home.path().join("source"), "v1", &layout::real_image("amd64"));
        Some(Self { program, place, home })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("DOCKER_CONFIG", self.home.path()).env("SSL_CERT_FILE", self.place.ca());
        command
    }

    fn remote(&self, repository: &str) -> String {
        format!("{}/{repository}:v1", self.place.authority)
    }
}

impl Program for Crane<'_> {
    fn log_in(&self, name: &str, password: &str) -> Output {
        process::run(self.command().args(["auth", "login", &self.place.authority, "-u", name, "-p", password]))
    }

    fn login_asks(&self) -> bool {
        false
    }

    fn log_out(&self) {
        let _ = process::run(self.command().args(["auth", "logout", &self.place.authority])).ok();
    }

    fn push(&self, repository: &str) -> Output {
        process::run(self.command().arg("push").arg(self.home.path().join("source")).arg(self.remote(repository)))
    }

    fn pull(&self, repository: &str) -> Output {
        let back = self.home.path().join("back");
        let _ = std::fs::remove_dir_all(&back);
        let mut command = self.command();
        let output = process::run(command.args(["pull", "--format", "oci", &self.remote(repository)]).arg(&back));
        if output.code == Some(0) {
            layout::assert_same(&self.home.path().join("source"), &back);
        }
        output
    }
}
