//! What the tests share: a registry with some images, the two commands, copies of a data directory; never an assertion.

use std::path::{Path, PathBuf};
use std::process::Command;

use mcr_tests::process::{self, Output};
use mcr_tests::server::mcrsrv;
use mcr_tests::{Client, Image, Index, Random, Server, pull, push};
use serde_json::Value;
use tempfile::TempDir;

/// `mcrsrv NAME --dev --data DATA …`.
pub(crate) fn command(name: &str, data: &Path, arguments: &[&str]) -> Command {
    let mut command = mcrsrv();
    command.args([name, "--dev", "--data"]).arg(data).args(arguments);
    command
}

pub(crate) fn run(name: &str, data: &Path, arguments: &[&str]) -> Output {
    process::run(&mut command(name, data, arguments))
}

/// The same, killing itself at a fault point; whether it came to that.
pub(crate) fn killed(name: &str, data: &Path, arguments: &[&str], fault: &str) -> bool {
    let output = process::run(command(name, data, arguments).env("MCR_FAULTS", fault));
    assert!(output.code.is_none() || output.code == Some(0), "{fault}: {}", output.all());
    output.code.is_none()
}

/// What a command with `--json` printed.
#[track_caller]
pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Takes a snapshot of the registry at `data` and gives what was told of it.
#[track_caller]
pub(crate) fn snapshot(data: &Path, arguments: &[&str]) -> Value {
    json(&run("snapshot", data, &[&["--json"], arguments].concat()).ok())
}

/// A registry with an index and two images that share a layer.
pub(crate) fn filled(server: &Server, random: &mut Random) -> Vec<(String, String)> {
    let client = server.client();
    let index = Index::random(random, 4_000);
    push::index(&client, "team/app", "index", &index);
    let image = Image::random(random, 2, 5_000);
    push::image(&client, "team/app", "v1", &image);
    let mut layers = image.layers.clone();
    layers.extend(Image::random(random, 1, 3_000).layers);
    push::image(&client, "other/app", "v1", &Image::over("arm64", layers));
    listed(&client)
}

/// Every listed tag with its digest.
pub(crate) fn listed(client: &Client) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for repository in pull::catalog(client) {
        for tag in pull::tags(client, &repository) {
            let answer = client.get(&format!("/v2/{repository}/manifests/{tag}")).expect(200);
            all.push((format!("{repository}:{tag}"), answer.required("docker-content-digest").to_owned()));
        }
    }
    all
}

/// A copy of a data directory, as it is on disk.
pub(crate) fn copy_of(data: &Path) -> (TempDir, PathBuf) {
    let home = tempfile::Builder::new().prefix("mcr-test-copy-").tempdir().unwrap();
    let copy = home.path().join("srv");
    let _ = process::run(Command::new("cp").arg("-a").arg(data).arg(&copy)).ok();
    (home, copy)
}

/// The names in a directory that begin with `prefix`.
pub(crate) fn names(directory: &Path, prefix: &str) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

/// A directory for a backup.
pub(crate) fn elsewhere() -> TempDir {
    tempfile::Builder::new().prefix("mcr-test-backup-").tempdir().unwrap()
}
