//! oras: artifacts, referrers, healing by a second copy. What oras does on the wire is also played in `integrity`.

use std::path::Path;
use std::process::Command;

use mcr_tests::{Server, damage, layout, process, pull, tools};

fn oras(home: &Path) -> Option<Command> {
    let mut command = Command::new(tools::optional("oras", "oras")?);
    command.env("HOME", home).env("DOCKER_CONFIG", home).current_dir(home);
    Some(command)
}

fn run(home: &Path, arguments: &[&str]) -> Option<process::Output> {
    Some(process::run(oras(home)?.args(arguments)))
}

#[test]
fn an_artifact_and_its_referrers_go_in_and_come_out() {
    let server = Server::start();
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("note.txt"), "an artifact\n").unwrap();
    std::fs::write(home.path().join("sbom.json"), "{}\n").unwrap();
    let remote = format!("{}/artifact:v1", server.authority());
    let push = ["push", "--plain-http", "--artifact-type", "x/note", &remote, "note.txt:text/plain"];
    let Some(pushed) = run(home.path(), &push) else { return };
    let _ = pushed.ok();
    for _ in 0..2 {
        let attach = ["attach", "--plain-http", "--artifact-type", "x/sbom", &remote, "sbom.json:application/json"];
        let _ = run(home.path(), &attach).unwrap().ok();
    }
    let _ = pull::assert_whole(&server.client(), "artifact", "v1");
    let discovered = run(home.path(), &["discover", "--plain-http", &remote]).unwrap().ok();
    assert!(discovered.text().contains("x/sbom"), "{discovered:?}");
    let _ = run(home.path(), &["pull", "--plain-http", "-o", "back", &remote]).unwrap().ok();
    assert_eq!(std::fs::read(home.path().join("back/note.txt")).unwrap(), b"an artifact\n");
}

#[test]
fn a_damaged_blob_is_healed_by_a_second_copy() {
    // Regression 9.
    let server = Server::start();
    let [home, original] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let index = layout::real_index();
    layout::write_index(original.path(), "v1", &index);
    let source = format!("{}:v1", original.path().display());
    let remote = format!("{}/healed:v1", server.authority());
    let copy = ["cp", "--to-plain-http", "--from-oci-layout", &source, &remote];
    let Some(copied) = run(home.path(), &copy) else { return };
    let _ = copied.ok();
    let layer = &index.images[0].layers[1];
    damage::flip(server.data(), &layer.digest, 3);
    let client = server.client();
    let _ = client.request("GET", &format!("/v2/healed/blobs/{}", layer.digest)).send();
    let _ = run(home.path(), &copy).unwrap().ok();
    let _ = pull::assert_whole(&client, "healed", "v1");
}
