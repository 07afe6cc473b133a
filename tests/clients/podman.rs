//! podman: push, pull, manifest lists; what is unpacked again is what was packed.

use mcr_tests::{Options, Server, layout, process, pull, push};

use crate::storage::{Storage, certificates, credentials};

fn podman(storage: &Storage, arguments: &[&str]) -> process::Output {
    process::run(storage.command("podman").args(arguments))
}

/// Insists that the local image `name` holds busybox for `architecture`, byte for byte.
#[track_caller]
fn assert_content(storage: &Storage, name: &str, architecture: &str) {
    let mounted = podman(storage, &["image", "mount", name]).ok().text();
    let file = std::path::Path::new(mounted.trim()).join("bin/busybox");
    assert!(std::fs::read(&file).unwrap() == layout::busybox(architecture), "{}", file.display());
    let motd = std::fs::read_to_string(std::path::Path::new(mounted.trim()).join("etc/motd")).unwrap();
    assert_eq!(motd, format!("for {architecture}\n"));
    let _ = podman(storage, &["image", "umount", name]).ok();
}

#[test]
fn an_image_is_pulled_pushed_and_pulled_again_with_the_same_content() {
    let server = Server::start();
    let client = server.client();
    let index = layout::real_index();
    push::index(&client, "real", "v1", &index);
    let storage = Storage::new();
    let remote = |name: &str| format!("{}/{name}:v1", server.authority());
    let _ = podman(&storage, &["pull", "--tls-verify=false", &remote("real")]).ok();
    assert_content(&storage, &remote("real"), "amd64");
    let _ = podman(&storage, &["tag", &remote("real"), &remote("again")]).ok();
    let _ = podman(&storage, &["push", "--tls-verify=false", &remote("again")]).ok();
    let _ = pull::assert_whole(&client, "again", "v1");
    let _ = podman(&storage, &["rmi", "-a", "-f"]).ok();
    let _ = podman(&storage, &["pull", "--tls-verify=false", &remote("again")]).ok();
    assert_content(&storage, &remote("again"), "amd64");
    let _ = podman(&storage, &["pull", "--tls-verify=false", "--platform", "linux/arm64", &remote("real")]).ok();
    assert_content(&storage, &remote("real"), "arm64");
}

#[test]
fn a_manifest_list_of_both_platforms_is_pushed_whole() {
    let server = Server::start();
    let client = server.client();
    let index = layout::real_index();
    push::index(&client, "real", "v1", &index);
    let storage = Storage::new();
    let list = format!("{}/list:v1", server.authority());
    let _ = podman(&storage, &["manifest", "create", &list]).ok();
    let source = format!("docker://{}/real:v1", server.authority());
    let _ = podman(&storage, &["manifest", "add", "--all", "--tls-verify=false", &list, &source]).ok();
    let target = format!("docker://{list}");
    let _ = podman(&storage, &["manifest", "push", "--all", "--tls-verify=false", &list, &target]).ok();
    let pulled = pull::assert_whole(&client, "list", "v1");
    for image in &index.images {
        assert!(pulled.manifests.contains(image.digest()), "the children are the ones that went in");
    }
}

#[test]
fn tls_and_a_password_are_enough() {
    let server = Server::with(Options::secured());
    push::index(&server.client(), "real", "v1", &layout::real_index());
    let storage = Storage::new();
    let trust = certificates(&server);
    let certificates = trust.path().display().to_string();
    let remote = format!("{}/real:v1", server.authority());
    let denied = podman(&storage, &["pull", "--cert-dir", &certificates, &remote]).failed();
    assert!(denied.stderr.contains("unauthorized"), "{denied:?}");
    let authority = server.authority();
    let wrong = ["login", "--cert-dir", &certificates, "-u", "admin", "-p", "wrong", &authority];
    let _ = podman(&storage, &wrong).failed();
    let login = ["login", "--cert-dir", &certificates, "-u", "admin", "-p", server.password(), &authority];
    let _ = podman(&storage, &login).ok();
    let _ = podman(&storage, &["pull", "--cert-dir", &certificates, &remote]).ok();
    assert_content(&storage, &remote, "amd64");
    let creds = credentials(&server);
    let target = format!("docker://{}/copy:v1", server.authority());
    let _ = podman(&storage, &["push", "--cert-dir", &certificates, "--creds", &creds, &remote, &target]).ok();
    let _ = pull::assert_whole(&server.client(), "copy", "v1");
}
