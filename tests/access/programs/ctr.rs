//! containerd by `ctr`: an index of two platforms, imported, pushed, fetched and exported. It is given credentials with
//! every command.

use std::process::Command;

use mcr_tests::containerd::{self, Containerd};
use mcr_tests::layout;
use mcr_tests::process::{self, Output};

use super::{Kept, Place, Program};

pub(crate) struct Ctr<'a> {
    place: &'a Place<'a>,
    containerd: Containerd,
    hosts: tempfile::TempDir,
    source: tempfile::TempDir,
    kept: Kept,
}

impl<'a> Ctr<'a> {
    pub(crate) fn new(place: &'a Place<'a>) -> Self {
        let source = tempfile::tempdir().unwrap();
        layout::write_index(source.path(), "v1", &layout::real_index());
        let hosts = containerd::hosts(&place.authority, &place.ca());
        Self { place, containerd: Containerd::start(), hosts, source, kept: Kept::default() }
    }

    fn image(&self, repository: &str) -> String {
        format!("{}/{repository}:v1", self.place.authority)
    }

    /// Runs a command that reaches the registry.
    fn remote(&self, words: &[&str], image: &str) -> Output {
        let hosts = self.hosts.path().display().to_string();
        let user = self.kept.arguments("--user");
        let mut arguments = words.to_vec();
        arguments.extend(["--hosts-dir", &hosts]);
        arguments.extend(user.iter().map(String::as_str));
        arguments.push(image);
        self.containerd.run(&arguments)
    }

    fn import(&self, repository: &str) {
        let archive = self.containerd.path("in.tar");
        let mut tar = Command::new("tar");
        let _ = process::run(tar.arg("-C").arg(self.source.path()).arg("-cf").arg(&archive).arg(".")).ok();
        let name = format!("{}/{repository}", self.place.authority);
        let archive = archive.display().to_string();
        let import = ["images", "import", "--all-platforms", "--no-unpack", "--base-name", &name, &archive];
        let _ = self.containerd.run(&import).ok();
    }
}

impl Program for Ctr<'_> {
    fn log_in(&self, name: &str, password: &str) -> Output {
        self.kept.keep(name, password);
        self.containerd.run(&["version"])
    }

    fn login_asks(&self) -> bool {
        false
    }

    fn log_out(&self) {
        self.kept.forget();
    }

    fn push(&self, repository: &str) -> Output {
        self.import(repository);
        self.remote(&["images", "push"], &self.image(repository))
    }

    fn pull(&self, repository: &str) -> Output {
        let image = self.image(repository);
        self.containerd.forget(&image);
        let output = self.remote(&["content", "fetch", "--all-platforms"], &image);
        if output.code == Some(0) {
            let exported = self.containerd.path("out.tar");
            let _ = std::fs::remove_file(&exported);
            let text = exported.display().to_string();
            let _ = self.containerd.run(&["images", "export", "--all-platforms", &text, &image]).ok();
            let back = tempfile::tempdir().unwrap();
            let _ = process::run(Command::new("tar").arg("-C").arg(back.path()).args(["-xf", &text])).ok();
            layout::assert_same(self.source.path(), back.path());
        }
        output
    }
}
