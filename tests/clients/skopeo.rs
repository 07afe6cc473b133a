//! skopeo: copies in and out, index alone, deletes.

use std::path::Path;
use std::process::Command;

use mcr_tests::{Options, Server, layout, process, pull, tools};

use crate::storage::{certificates, credentials};

fn skopeo() -> Command {
    let mut command = tools::command("skopeo");
    command.arg("--insecure-policy").env_remove("REGISTRY_AUTH_FILE");
    command
}

/// Copies with these further options; both sides of a registry are plain HTTP.
fn copy(options: &[&str], from: &str, to: &str) -> process::Output {
    let mut command = skopeo();
    command.args(["copy", "--src-tls-verify=false", "--dest-tls-verify=false"]).args(options).args([from, to]);
    process::run(&mut command)
}

fn oci(path: &Path, tag: &str) -> String {
    format!("oci:{}:{tag}", path.display())
}

#[test]
fn an_index_goes_in_and_comes_out_byte_for_byte() {
    let server = Server::start();
    let [original, returned] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let index = layout::real_index();
    layout::write_index(original.path(), "v1", &index);
    let remote = format!("docker://{}/real/busybox:v1", server.authority());
    let _ = copy(&["--all"], &oci(original.path(), "v1"), &remote).ok();
    let pulled = pull::assert_whole(&server.client(), "real/busybox", "v1");
    assert!(pulled.manifests.contains(index.digest()));
    let _ = copy(&["--all"], &remote, &oci(returned.path(), "v1")).ok();
    layout::assert_same(original.path(), returned.path());
    // Again: everything is there already.
    let _ = copy(&["--all"], &oci(original.path(), "v1"), &remote).ok();
}

#[test]
fn an_image_goes_in_and_comes_out_over_tls_with_a_password() {
    let server = Server::with(Options::secured());
    let [original, returned] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    layout::write_image(original.path(), "v1", &layout::real_image("amd64"));
    let remote = format!("docker://{}/busybox:v1", server.authority());
    let trust = certificates(&server);
    let run = |side: &str, from: &str, to: &str, creds: &str| {
        let mut command = skopeo();
        command.arg("copy").arg(format!("--{side}-cert-dir")).arg(trust.path());
        command.arg(format!("--{side}-creds")).arg(creds).args([from, to]);
        process::run(&mut command)
    };
    let creds = credentials(&server);
    let denied = run("dest", &oci(original.path(), "v1"), &remote, "admin:wrong").failed();
    assert!(denied.stderr.contains("unauthorized"), "{denied:?}");
    let _ = run("dest", &oci(original.path(), "v1"), &remote, &creds).ok();
    let _ = run("src", &remote, &oci(returned.path(), "v1"), &creds).ok();
    layout::assert_same(original.path(), returned.path());
    let _ = pull::assert_whole(&server.client(), "busybox", "v1");
}

#[test]
fn docker_formats_are_converted_on_the_way_in_and_pull_whole() {
    let server = Server::start();
    let original = tempfile::tempdir().unwrap();
    layout::write_index(original.path(), "v1", &layout::real_index());
    let remote = format!("docker://{}/v2s2:v1", server.authority());
    let _ = copy(&["--all", "--format", "v2s2"], &oci(original.path(), "v1"), &remote).ok();
    let _ = pull::assert_whole(&server.client(), "v2s2", "v1");
    let kind = server.client().get("/v2/v2s2/manifests/v1").expect(200);
    assert_eq!(kind.required("content-type"), mcr_oci::media_type::DOCKER_LIST);
}

#[test]
fn an_index_alone_is_refused_and_nothing_is_listed() {
    // Regression 5.
    let server = Server::start();
    let original = tempfile::tempdir().unwrap();
    let index = layout::real_index();
    layout::write_index(original.path(), "v1", &index);
    let remote = format!("docker://{}/sparse:v1", server.authority());
    let refused = copy(&["--multi-arch", "index-only"], &oci(original.path(), "v1"), &remote).failed();
    assert!(refused.stderr.contains("is not in this repository"), "the reason reaches the user: {refused:?}");
    assert!(refused.stderr.contains(index.images[0].digest().as_str()), "{refused:?}");
    assert!(pull::tags(&server.client(), "sparse").is_empty());
}

#[test]
fn a_copy_within_the_registry_mounts() {
    let server = Server::start();
    let original = tempfile::tempdir().unwrap();
    layout::write_index(original.path(), "v1", &layout::real_index());
    let remote = |repository: &str| format!("docker://{}/{repository}:v1", server.authority());
    let _ = copy(&["--all"], &oci(original.path(), "v1"), &remote("one")).ok();
    let _ = copy(&["--all"], &remote("one"), &remote("two")).ok();
    let _ = pull::assert_whole(&server.client(), "two", "v1");
    assert!(mcr_tests::damage::uploads(server.data()).is_empty(), "cancelled sessions leave nothing");
}

#[test]
fn listing_inspecting_and_deleting_work() {
    let server = Server::start();
    let original = tempfile::tempdir().unwrap();
    layout::write_image(original.path(), "v1", &layout::real_image("amd64"));
    let remote = format!("docker://{}/gone", server.authority());
    let _ = copy(&[], &oci(original.path(), "v1"), &format!("{remote}:v1")).ok();
    let run = |arguments: &[&str]| process::run(skopeo().args(arguments));
    let tags = run(&["list-tags", "--tls-verify=false", &remote]).ok();
    assert!(tags.text().contains("\"v1\""), "{tags:?}");
    let inspected = run(&["inspect", "--tls-verify=false", &format!("{remote}:v1")]).ok();
    assert!(inspected.text().contains("\"Architecture\": \"amd64\""), "{inspected:?}");
    let _ = run(&["delete", "--tls-verify=false", &format!("{remote}:v1")]).ok();
    assert!(pull::tags(&server.client(), "gone").is_empty());
}
