//! Debian's `docker-registry` 2.8.2 and the tree it keeps: started, collected, damaged; never scanned here.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use mcr_oci::{Digest, media_type};
use mcr_tests::process::{self, Daemon};
use mcr_tests::{Client, Response, tools};
use tempfile::TempDir;

/// A registry on a directory of its own.
pub(crate) struct Registry {
    daemon: Option<Daemon>,
    root: PathBuf,
    config: PathBuf,
    address: SocketAddr,
    home: TempDir,
}

impl Registry {
    /// One that is pushed to.
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("tree");
        Self::at(home, root, None)
    }

    /// One that keeps its tree at `root`.
    pub(crate) fn start_at(root: &Path) -> Self {
        Self::at(tempfile::tempdir().unwrap(), root.to_owned(), None)
    }

    /// A pull-through cache of `upstream`, with its tree at `root`.
    pub(crate) fn cache_at(root: &Path, upstream: &Self) -> Self {
        Self::at(tempfile::tempdir().unwrap(), root.to_owned(), Some(upstream.address))
    }

    fn at(home: TempDir, root: PathBuf, upstream: Option<SocketAddr>) -> Self {
        std::fs::create_dir_all(&root).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = home.path().join("config.yml");
        let proxy = upstream.map_or_else(String::new, |url| format!("proxy:\n  remoteurl: http://{url}\n"));
        let text = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
             rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n  secret: test\n{proxy}",
            root.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut registry = Self { daemon: None, root, config, address, home };
        registry.run();
        registry
    }

    /// Starts the process (again).
    pub(crate) fn run(&mut self) {
        let mut command = tools::command("docker-registry");
        command.arg("serve").arg(&self.config).env("OTEL_TRACES_EXPORTER", "none");
        let mut daemon = Daemon::start(&mut command, self.home.path().join("log"));
        daemon.wait_ready("docker-registry", || std::net::TcpStream::connect(self.address).is_ok());
        self.daemon = Some(daemon);
    }

    /// Ends the process; the tree stays.
    pub(crate) fn stop(&mut self) {
        self.daemon = None;
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.address, None)
    }

    /// `GET` of a manifest, as a client that knows every type asks for it.
    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Response {
        let accept =
            [media_type::OCI_INDEX, media_type::OCI_MANIFEST, media_type::DOCKER_LIST, media_type::DOCKER_MANIFEST];
        let client = self.client();
        let request = client.request("GET", &format!("/v2/{repository}/manifests/{reference}"));
        request.header("Accept", &accept.join(", ")).call()
    }

    /// The storage root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `docker-registry garbage-collect -m`.
    pub(crate) fn collect_garbage(&self) {
        let mut command = tools::command("docker-registry");
        let _ = process::run(command.args(["garbage-collect", "-m"]).arg(&self.config)).ok();
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree(self.root.clone())
    }
}

/// A tree, for whoever damages it.
pub(crate) struct Tree(pub(crate) PathBuf);

impl Tree {
    fn v2(&self) -> PathBuf {
        self.0.join("docker/registry/v2")
    }

    /// The bytes of a digest.
    pub(crate) fn data(&self, digest: &Digest) -> PathBuf {
        self.v2().join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex()).join("data")
    }

    pub(crate) fn repository(&self, repository: &str) -> PathBuf {
        self.v2().join("repositories").join(repository)
    }

    pub(crate) fn revision(&self, repository: &str, digest: &Digest) -> PathBuf {
        self.repository(repository).join("_manifests/revisions/sha256").join(digest.hex()).join("link")
    }

    pub(crate) fn layer(&self, repository: &str, digest: &Digest) -> PathBuf {
        self.repository(repository).join("_layers/sha256").join(digest.hex()).join("link")
    }

    pub(crate) fn tag(&self, repository: &str, tag: &str) -> PathBuf {
        self.repository(repository).join("_manifests/tags").join(tag)
    }

    pub(crate) fn current(&self, repository: &str, tag: &str) -> PathBuf {
        self.tag(repository, tag).join("current/link")
    }

    /// Cuts a file to `length` bytes.
    pub(crate) fn cut(path: &Path, length: u64) {
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
    }

    /// Flips one bit.
    pub(crate) fn flip(path: &Path) {
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x20;
        std::fs::write(path, bytes).unwrap();
    }
}
