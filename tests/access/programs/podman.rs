//! podman: a real image, unpacked again and compared with what was packed.

use std::path::Path;

use mcr_tests::process::{self, Output};
use mcr_tests::storage::Storage;
use mcr_tests::{layout, tools};

use super::{Place, Program};

/// What it calls the image it holds.
const OWN: &str = "localhost/own:v1";

pub(crate) struct Podman<'a> {
    place: &'a Place<'a>,
    storage: Storage,
}

impl<'a> Podman<'a> {
    pub(crate) fn new(place: &'a Place<'a>) -> Self {
        let storage = Storage::new();
        let [source, archive] = ["source", "own.tar"].map(|name| storage.path(name));
        layout::write_image(&source, "v1", &layout::real_image("amd64"));
        let this = Self { place, storage };
        let mut skopeo = tools::command("skopeo");
        skopeo.args(["--insecure-policy", "copy"]).arg(format!("oci:{}:v1", source.display()));
        let _ = process::run(skopeo.arg(format!("docker-archive:{}:{OWN}", archive.display()))).ok();
        let _ = this.run(&["load", "-i", &archive.display().to_string()]).ok();
        this
    }

    fn run(&self, arguments: &[&str]) -> Output {
        process::run(self.storage.command("podman").args(arguments))
    }

    fn trust(&self) -> String {
        self.place.trust.display().to_string()
    }

    fn remote(&self, repository: &str) -> String {
        format!("{}/{repository}:v1", self.place.authority)
    }
}

impl Program for Podman<'_> {
    fn log_in(&self, name: &str, password: &str) -> Output {
        self.run(&["login", "--cert-dir", &self.trust(), "-u", name, "-p", password, &self.place.authority])
    }

    fn login_asks(&self) -> bool {
        true
    }

    fn log_out(&self) {
        let _ = self.run(&["logout", &self.place.authority]).ok();
    }

    fn push(&self, repository: &str) -> Output {
        let target = format!("docker://{}", self.remote(repository));
        self.run(&["push", "--cert-dir", &self.trust(), OWN, &target])
    }

    fn pull(&self, repository: &str) -> Output {
        let remote = self.remote(repository);
        let _ = self.run(&["rmi", "-f", &remote]);
        let output = self.run(&["pull", "--cert-dir", &self.trust(), &remote]);
        if output.code == Some(0) {
            let mounted = self.run(&["image", "mount", &remote]).ok().text();
            let root = Path::new(mounted.trim());
            assert!(std::fs::read(root.join("bin/busybox")).unwrap() == layout::busybox("amd64"));
            let _ = self.run(&["image", "umount", &remote]).ok();
        }
        output
    }
}
