//! oras heals too: the program where it can be had, and always its requests, played on the wire.

use std::process::Command;

use mcr_oci::Digest;
use mcr_tests::{Client, Image, Index, Server, layout, process, push, tools};

use crate::healing::break_and_heal;
use crate::scene::scrubbing;

#[test]
fn oras() {
    let Some(oras) = tools::optional("oras", "oras") else { return };
    let server = Server::with(scrubbing());
    let [home, original] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    layout::write_index(original.path(), "v1", &layout::real_index());
    let source = format!("{}:v1", original.path().display());
    let remote = format!("{}/several:v1", server.authority());
    let copy = || {
        let mut command = Command::new(&oras);
        command.env("HOME", home.path()).env("DOCKER_CONFIG", home.path());
        let arguments = ["cp", "--to-plain-http", "--from-oci-layout", &source, &remote];
        let _ = process::run(command.args(arguments)).ok();
    };
    copy();
    break_and_heal(&server, "several", "v1", &copy);
}

/// Whether oras takes something for there: then it skips it, a manifest with all that is below.
fn there(client: &Client, repository: &str, kind: &str, digest: &Digest) -> bool {
    client.head(&format!("/v2/{repository}/{kind}/{digest}")).status == 200
}

fn push_image(client: &Client, repository: &str, image: &Image) {
    if there(client, repository, "manifests", image.digest()) {
        return;
    }
    for blob in image.blobs().filter(|blob| !there(client, repository, "blobs", &blob.digest)) {
        push::blob(client, repository, blob);
    }
    let _ = push::put_image(client, repository, image.digest().as_str(), image).expect(201);
}

fn push_index(client: &Client, repository: &str, index: &Index) {
    if there(client, repository, "manifests", index.digest()) {
        return;
    }
    for image in &index.images {
        push_image(client, repository, image);
    }
    let _ = push::put_index(client, repository, index.digest().as_str(), &index.manifest).expect(201);
}

#[test]
fn its_requests() {
    let server = Server::with(scrubbing());
    let client = server.client();
    let image = layout::real_image("amd64");
    let one = || {
        push_image(&client, "one", &image);
        let _ = push::put_image(&client, "one", "v1", &image).expect(201);
    };
    one();
    break_and_heal(&server, "one", "v1", &one);
    let index = layout::real_index();
    let several = || {
        push_index(&client, "several", &index);
        let _ = push::put_index(&client, "several", "v1", &index.manifest).expect(201);
    };
    several();
    break_and_heal(&server, "several", "v1", &several);
}
