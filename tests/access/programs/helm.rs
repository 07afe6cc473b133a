//! helm: a chart, packed, pushed and pulled. Needs Go's module mirror to be had.

use std::path::PathBuf;
use std::process::Command;

use mcr_tests::process::{self, Output};
use mcr_tests::tools;

use super::{Place, Program};

pub(crate) struct Helm<'a> {
    program: PathBuf,
    place: &'a Place<'a>,
    home: tempfile::TempDir,
}

impl<'a> Helm<'a> {
    /// None where it could not be built: then that was said loudly.
    pub(crate) fn new(place: &'a Place<'a>) -> Option<Self> {
        let program = tools::optional("helm", "helm")?;
        Some(Self { program, place, home: tempfile::tempdir().unwrap() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.home.path()).env("HOME", self.home.path());
        command.env("HELM_REGISTRY_CONFIG", self.home.path().join("registry.json"));
        command.env("DOCKER_CONFIG", self.home.path().join("docker"));
        command
    }

    /// The chart that goes to `repository`: helm names a repository by the chart it holds. Its tag is `v1` too, so
    /// that it can be looked at like an image.
    fn chart(&self, repository: &str) -> PathBuf {
        let (_, name) = repository.rsplit_once('/').unwrap();
        let packed = self.home.path().join(format!("{name}-0.1.0.tgz"));
        if !packed.is_file() {
            let _ = process::run(self.command().args(["create", name])).ok();
            let _ = process::run(self.command().args(["package", name])).ok();
        }
        packed
    }
}

impl Program for Helm<'_> {
    fn log_in(&self, name: &str, password: &str) -> Output {
        let mut command = self.command();
        command.args(["registry", "login", &self.place.authority, "-u", name, "-p", password]);
        process::run(command.arg("--ca-file").arg(self.place.ca()))
    }

    fn login_asks(&self) -> bool {
        true
    }

    fn log_out(&self) {
        let _ = process::run(self.command().args(["registry", "logout", &self.place.authority])).ok();
    }

    fn push(&self, repository: &str) -> Output {
        let chart = self.chart(repository);
        let (parent, _) = repository.rsplit_once('/').unwrap();
        let target = format!("oci://{}/{parent}", self.place.authority);
        process::run(self.command().arg("push").arg(&chart).arg(target).arg("--ca-file").arg(self.place.ca()))
    }

    fn pull(&self, repository: &str) -> Output {
        let chart = self.chart(repository);
        let back = tempfile::tempdir().unwrap();
        let remote = format!("oci://{}/{repository}", self.place.authority);
        let mut command = self.command();
        command.args(["pull", &remote, "--version", "0.1.0", "-d"]).arg(back.path());
        let output = process::run(command.arg("--ca-file").arg(self.place.ca()));
        if output.code == Some(0) {
            let name = chart.file_name().unwrap();
            assert!(std::fs::read(back.path().join(name)).unwrap() == std::fs::read(&chart).unwrap());
        }
        output
    }
}
