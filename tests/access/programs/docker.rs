//! docker: an engine of its own, a real image. Its trust lies in `/etc/docker/certs.d`, of a world of its own.

use std::path::Path;

use mcr_tests::docker::Engine;
use mcr_tests::process::Output;
use mcr_tests::world;

use super::{Place, Program};

/// Where the engine looks for certificates; that cannot be told it.
const CERTIFICATES: &str = "/etc/docker";

pub(crate) struct Docker<'a> {
    place: &'a Place<'a>,
    engine: Engine,
}

impl<'a> Docker<'a> {
    /// Only inside [`world::enter`], which keeps the machine's own directory as it is.
    pub(crate) fn new(place: &'a Place<'a>) -> Self {
        world::cover(Path::new(CERTIFICATES));
        let engine = Engine::start();
        engine.load("amd64", "own:v1");
        Self { place, engine }
    }

    /// Trusts the registry's authority from now on.
    pub(crate) fn trust(&self) {
        let directory = Path::new(CERTIFICATES).join("certs.d").join(&self.place.authority);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::copy(self.place.ca(), directory.join("ca.crt")).unwrap();
    }

    fn remote(&self, repository: &str) -> String {
        format!("{}/{repository}:v1", self.place.authority)
    }
}

impl Program for Docker<'_> {
    fn log_in(&self, name: &str, password: &str) -> Output {
        self.engine.run(&["login", "-u", name, "-p", password, &self.place.authority])
    }

    fn login_asks(&self) -> bool {
        true
    }

    fn log_out(&self) {
        let _ = self.engine.run(&["logout", &self.place.authority]).ok();
    }

    fn push(&self, repository: &str) -> Output {
        let remote = self.remote(repository);
        let _ = self.engine.run(&["tag", "own:v1", &remote]).ok();
        self.engine.run(&["push", &remote])
    }

    fn pull(&self, repository: &str) -> Output {
        let remote = self.remote(repository);
        // Its own name too: what is still held is not fetched.
        let _ = self.engine.run(&["rmi", "-f", &remote, "own:v1"]);
        let output = self.engine.run(&["pull", &remote]);
        if output.code == Some(0) {
            self.engine.assert_content(&remote, "amd64");
        }
        self.engine.load("amd64", "own:v1");
        output
    }
}
