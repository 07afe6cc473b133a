//! What the tests here share: `mcrctl` and `mcrsrv save` on registries of their own, and what stands in a tar; never a
//! check of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcr_tests::server::{binary, mcrsrv};
use mcr_tests::{Server, layout, process, push};
use serde_json::Value;

/// `mcrctl` with these arguments, where nobody is logged in.
pub(crate) fn mcrctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("mcrctl"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MCR_") {
            command.env_remove(&name);
        }
    }
    let nobody = std::env::temp_dir().join("mcr-test-nobody");
    command.env("HOME", &nobody).env("XDG_RUNTIME_DIR", &nobody).env_remove("REGISTRY_AUTH_FILE");
    command.args(arguments);
    command
}

/// Runs `mcrctl`.
#[track_caller]
pub(crate) fn ctl(arguments: &[&str]) -> process::Output {
    process::run(&mut mcrctl(arguments))
}

/// A server that holds the real index as `real:v1` and its amd64 image as `real:single`, and the file that tells
/// `mcrsrv save` where its data lies.
pub(crate) struct Scene {
    pub(crate) server: Server,
    pub(crate) home: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let server = Server::start();
        fill(&server.client());
        let home = tempfile::Builder::new().prefix("mcr-test-transfer-").tempdir().unwrap();
        let data = server.data().display().to_string();
        let text = format!(
            "[server]\nlisten_addr = \"127.0.0.1:0\"\nexternal_url = \"https://registry.example:5000\"\n\
             behind_tls_proxy = true\n[database]\npath = \"{data}/mcr.db\"\n[storage]\nlayers_path = \"{data}/layers\"\n\
             uploads_path = \"{data}/uploads\"\n[auth]\nmode = \"none\"\n"
        );
        std::fs::write(home.path().join("mcr.toml"), text).unwrap();
        Self { server, home }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `mcrsrv save` of these references with these options.
    pub(crate) fn save(&self, arguments: &[&str]) -> Command {
        let mut command = mcrsrv();
        command.args(["save", "--config"]).arg(self.path("mcr.toml")).args(arguments);
        command
    }
}

/// Pushes the real images.
pub(crate) fn fill(client: &mcr_tests::Client) {
    let index = layout::real_index();
    push::index(client, "real", "v1", &index);
    push::image(client, "real", "single", &index.images[0]);
}

/// What stands in a tar, by its names.
pub(crate) fn content(tar: &Path) -> BTreeMap<String, Vec<u8>> {
    let home = tempfile::tempdir().unwrap();
    let _ = process::run(Command::new("tar").arg("-C").arg(home.path()).arg("-xf").arg(tar)).ok();
    mcr_tests::damage::tree(home.path())
        .into_iter()
        .map(|(path, bytes)| (path.strip_prefix(home.path()).unwrap_or(&path).display().to_string(), bytes))
        .collect()
}

/// A JSON document of a tar.
pub(crate) fn document(content: &BTreeMap<String, Vec<u8>>, name: &str) -> Value {
    serde_json::from_slice(content.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", content.keys()))).unwrap()
}
