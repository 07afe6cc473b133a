//! buildah: images built from nothing, manifest lists with and without their images.

use mcr_tests::{Server, layout, process, pull};

use crate::storage::Storage;

fn buildah(storage: &Storage, arguments: &[&str]) -> process::Output {
    process::run(storage.command("buildah").args(arguments))
}

/// Builds an image of busybox for `architecture` under the local name `name`.
fn build(storage: &Storage, name: &str, architecture: &str) {
    let root = storage.path(&format!("rootfs-{architecture}"));
    std::fs::create_dir_all(root.join("bin")).unwrap();
    std::fs::write(root.join("bin/busybox"), layout::busybox(architecture)).unwrap();
    let container = buildah(storage, &["from", "--arch", architecture, "scratch"]).ok().text();
    let container = container.trim();
    let _ = buildah(storage, &["copy", container, &root.display().to_string(), "/"]).ok();
    let _ = buildah(storage, &["config", "--arch", architecture, "--cmd", "/bin/busybox", container]).ok();
    let _ = buildah(storage, &["commit", "--rm", container, name]).ok();
}

#[test]
fn a_built_image_is_pushed_and_pulled_with_the_same_content() {
    let server = Server::start();
    let storage = Storage::new();
    let remote = format!("{}/built:v1", server.authority());
    build(&storage, &remote, "amd64");
    let _ = buildah(&storage, &["push", "--tls-verify=false", &remote]).ok();
    let _ = pull::assert_whole(&server.client(), "built", "v1");
    let _ = buildah(&storage, &["rmi", "-a", "-f"]).ok();
    let container = buildah(&storage, &["from", "--tls-verify=false", &remote]).ok().text();
    let mounted = buildah(&storage, &["mount", container.trim()]).ok().text();
    let file = std::path::Path::new(mounted.trim()).join("bin/busybox");
    assert!(std::fs::read(file).unwrap() == layout::busybox("amd64"));
    let _ = buildah(&storage, &["rm", "-a"]).ok();
}

#[test]
fn a_list_without_its_images_is_refused_and_with_them_taken() {
    let server = Server::start();
    let storage = Storage::new();
    let list = format!("{}/list:v1", server.authority());
    let _ = buildah(&storage, &["manifest", "create", &list]).ok();
    for architecture in layout::ARCHITECTURES {
        let local = format!("localhost/built-{architecture}:v1");
        build(&storage, &local, architecture);
        let _ = buildah(&storage, &["manifest", "add", &list, &local]).ok();
    }
    let target = format!("docker://{list}");
    let refused = buildah(&storage, &["manifest", "push", "--tls-verify=false", &list, &target]).failed();
    assert!(refused.stderr.contains("is not in this repository; push it first"), "{refused:?}");
    assert!(refused.stderr.contains("linux/arm64") && refused.stderr.contains("linux/amd64"), "{refused:?}");
    assert!(pull::tags(&server.client(), "list").is_empty());
    let _ = buildah(&storage, &["manifest", "push", "--all", "--tls-verify=false", &list, &target]).ok();
    assert_eq!(pull::assert_whole(&server.client(), "list", "v1").manifests.len(), 3);
}
