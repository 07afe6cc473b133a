//! Incidents 1 and 2: the orphan index. Made with the program that makes it, and tried on ours.

use std::process::Command;

use mcr_tests::process::{self, Daemon};
use mcr_tests::{Client, Index, Random, Server, pull, push, tools};

#[test]
fn deleting_the_tags_of_children_leaves_the_index_whole() {
    let mut server = Server::start();
    let client = server.client();
    let index = Index::random(&mut Random::new(241), 500);
    for (image, tag) in index.images.iter().zip(["amd64", "arm64"]) {
        push::image(&client, "a", tag, image);
    }
    let _ = push::put_index(&client, "a", "latest", &index.manifest).expect(201);
    for tag in ["amd64", "arm64"] {
        let _ = client.delete(&format!("/v2/a/manifests/{tag}")).expect(202);
    }
    for image in &index.images {
        let _ = client.delete(&format!("/v2/a/manifests/{}", image.digest())).expect_error(405, "UNSUPPORTED");
        for blob in image.blobs() {
            let _ = client.delete(&format!("/v2/a/blobs/{}", blob.digest)).expect_error(405, "UNSUPPORTED");
        }
    }
    let _ = pull::assert_whole(&client, "a", "latest");
    server.kill();
    server.restart();
    assert_eq!(pull::assert_all_whole(&server.client()), 1);
}

/// Debian's registry on a tree of its own.
struct Registry2 {
    home: tempfile::TempDir,
    config: std::path::PathBuf,
    client: Client,
    daemon: Option<Daemon>,
}

impl Registry2 {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config.yml");
        // It cannot say which port it took, so one that is free now is asked for.
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  delete: {{enabled: true}}\n  filesystem:\n    \
             rootdirectory: {}\nhttp:\n  addr: {address}\n",
            home.path().join("tree").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut registry = Self { home, config, client: Client::new(address, None), daemon: None };
        registry.run();
        registry
    }

    fn run(&mut self) {
        let mut command = tools::command("docker-registry");
        let log = self.home.path().join("log");
        let mut daemon = Daemon::start(command.arg("serve").arg(&self.config), log);
        let client = self.client.fresh();
        daemon.wait_ready("docker-registry", || client.request("GET", "/v2/").send().is_ok());
        self.daemon = Some(daemon);
        self.client = client;
    }

    fn collect_garbage(&mut self) {
        self.daemon = None;
        let mut command: Command = tools::command("docker-registry");
        let _ = process::run(command.args(["garbage-collect", "-m"]).arg(&self.config)).ok();
        self.run();
    }

    fn repository(&self) -> std::path::PathBuf {
        self.home.path().join("tree/docker/registry/v2/repositories/a")
    }
}

/// The control: the checker that finds our registry whole finds the one broken that is.
#[test]
fn the_checker_finds_the_orphan_index_that_registry_2_makes() {
    let mut registry = Registry2::start();
    let index = Index::random(&mut Random::new(242), 500);
    for (image, tag) in index.images.iter().zip(["amd64", "arm64"]) {
        push::image(&registry.client, "a", tag, image);
    }
    let _ = push::put_index(&registry.client, "a", "latest", &index.manifest).expect(201);
    let _ = pull::assert_whole(&registry.client, "a", "latest");
    for tag in ["amd64", "arm64"] {
        std::fs::remove_dir_all(registry.repository().join("_manifests/tags").join(tag)).unwrap();
    }
    let _ = pull::assert_whole(&registry.client, "a", "latest");
    registry.collect_garbage();
    let broken = pull::pull_whole(&registry.client, "a", "latest").unwrap_err();
    assert!(broken.contains("404"), "{broken}");
    let index = registry.client.request("GET", "/v2/a/manifests/latest");
    let _ = index.header("Accept", mcr_oci::media_type::OCI_INDEX).call().expect(200);
}
