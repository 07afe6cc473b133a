//! What is saved is loaded by docker, podman, containerd and skopeo, and is the image that was pushed: from our server,
//! from somebody else's, and out of files whose server is stopped.

use std::path::Path;

use mcr_tests::containerd::Containerd;
use mcr_tests::distribution::Distribution;
use mcr_tests::docker::Engine;
use mcr_tests::storage::Storage;
use mcr_tests::{layout, process, tools};

use crate::scene::{Scene, ctl, fill};

/// The id that docker and podman give the image for `architecture`: the digest of its config.
fn id(architecture: &str) -> String {
    let image = layout::real_image(architecture);
    image.blobs().next().unwrap().digest.hex().to_owned()
}

fn docker_takes(engine: &Engine, tar: &Path, name: &str, architecture: &str) {
    let _ = engine.run(&["load", "-i", &tar.display().to_string()]).ok();
    let inspected = engine.run(&["inspect", "--format", "{{.Id}} {{.Architecture}}", name]).ok().text();
    assert_eq!(inspected.trim(), format!("sha256:{} {architecture}", id(architecture)));
    engine.assert_content(name, architecture);
    let _ = engine.run(&["rmi", "-f", name]).ok();
}

fn podman_takes(tar: &Path, name: &str, architecture: &str) {
    let storage = Storage::new();
    let podman = |arguments: &[&str]| process::run(storage.command("podman").args(arguments)).ok().text();
    let _ = podman(&["load", "-i", &tar.display().to_string()]);
    let inspected = podman(&["image", "inspect", "--format", "{{.Id}} {{.Architecture}}", name]);
    assert_eq!(inspected.trim(), format!("{} {architecture}", id(architecture)));
    let mounted = podman(&["image", "mount", name]);
    let file = Path::new(mounted.trim()).join("bin/busybox");
    assert!(std::fs::read(&file).unwrap() == layout::busybox(architecture), "{}", file.display());
    let _ = podman(&["image", "umount", name]);
}

fn containerd_takes(containerd: &Containerd, tar: &Path, name: &str, digest: &str, all: bool) {
    let tar = tar.display().to_string();
    let platforms: &[&str] = if all { &["--all-platforms"] } else { &[] };
    let _ = containerd.run(&[&["images", "import", "--no-unpack"][..], platforms, &[&tar]].concat()).ok();
    let listed = containerd.run(&["images", "ls"]).ok().text();
    let line = listed.lines().find(|line| line.starts_with(&format!("{name} ")));
    let line = line.unwrap_or_else(|| panic!("no {name} in:\n{listed}"));
    assert!(line.contains(digest), "{line}");
    let checked = containerd.run(&["images", "check", &format!("name=={name}")]).ok().text();
    assert!(checked.contains("complete"), "{checked}");
    containerd.forget(name);
}

fn skopeo_takes(tar: &Path, tag: &str, docker_name: &str, architecture: &str) {
    let home = tempfile::tempdir().unwrap();
    for (number, source) in
        [format!("oci-archive:{}:{tag}", tar.display()), format!("docker-archive:{}:{docker_name}", tar.display())]
            .iter()
            .enumerate()
    {
        let target = home.path().join(number.to_string());
        let mut skopeo = tools::command("skopeo");
        skopeo.args(["--insecure-policy", "--override-arch", architecture, "copy", source]);
        // A directory takes what comes as it is: into a layout it would be written anew.
        let _ = process::run(skopeo.arg(format!("dir:{}", target.display()))).ok();
        let config = std::fs::read(target.join(id(architecture)));
        let config = config.unwrap_or_else(|error| panic!("{source} has another config: {error}"));
        assert_eq!(mcr_oci::Digest::sha256(&config).hex(), id(architecture));
    }
}

/// Everybody takes both: the index, of which docker sees the part of this machine, and one platform alone.
fn everybody_takes(save: &dyn Fn(&[&str]), home: &Path, name: &str) {
    let (engine, containerd) = (Engine::start(), Containerd::start());
    let index = layout::real_index();
    let here = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let all = home.join("all.tar");
    save(&["v1", "-o", &all.display().to_string()]);
    let image = format!("{name}:v1");
    docker_takes(&engine, &all, &image, here);
    podman_takes(&all, &image, here);
    containerd_takes(&containerd, &all, &image, index.digest().as_str(), true);
    skopeo_takes(&all, "v1", &image, here);
    let other = home.join("arm64.tar");
    save(&["v1", "-o", &other.display().to_string(), "--platform", "linux/arm64"]);
    docker_takes(&engine, &other, &image, "arm64");
    podman_takes(&other, &image, "arm64");
    let child = index.images[1].digest().as_str();
    containerd_takes(&containerd, &other, &image, child, true);
    skopeo_takes(&other, "v1", &image, "arm64");
}

#[test]
fn what_our_server_holds() {
    let scene = Scene::new();
    let name = format!("{}/real", scene.server.authority());
    let save = |arguments: &[&str]| {
        let reference = format!("{name}:{}", arguments[0]);
        let _ = ctl(&[&["--plain-http", "save", &reference], &arguments[1..]].concat()).ok();
    };
    everybody_takes(&save, scene.home.path(), &name);
}

#[test]
fn what_a_registry_of_others_holds() {
    let old = Distribution::start();
    fill(&old.client());
    let home = tempfile::tempdir().unwrap();
    let name = format!("{}/real", old.authority());
    let save = |arguments: &[&str]| {
        let reference = format!("{name}:{}", arguments[0]);
        let _ = ctl(&[&["--plain-http", "save", &reference], &arguments[1..]].concat()).ok();
    };
    everybody_takes(&save, home.path(), &name);
}

#[test]
fn what_lies_in_files_whose_server_is_stopped() {
    let mut scene = Scene::new();
    assert_eq!(scene.server.stop().0, Some(0));
    let save = |arguments: &[&str]| {
        let reference = format!("real:{}", arguments[0]);
        let _ = process::run(scene.save(&[&[reference.as_str()], &arguments[1..]].concat()).env("HOME", "/")).ok();
    };
    // As the first external_url says.
    everybody_takes(&save, scene.home.path(), "registry.example:5000/real");
}
