//! Contract section 2.9: the scrub finds a broken image, the client that pushed it pushes it again, all is whole; by
//! every client, for one platform and for several. Never how a client is told to push, beyond its command.

use mcr_oci::Digest;
use mcr_tests::clock::wait_until;
use mcr_tests::docker::Engine;
use mcr_tests::storage::Storage;
use mcr_tests::{Client, Server, damage, layout, process, pull, push, tools};

use crate::scene::{open_findings, rot_manifest, scrubbing};

/// Config, layer and manifest of one image of a tag: of its last platform, where it has several.
struct Target {
    several: bool,
    manifest: Digest,
    config: Digest,
    layer: Digest,
}

fn target(client: &Client, repository: &str, tag: &str) -> Target {
    let parse = |value: &serde_json::Value| Digest::parse(value.as_str().unwrap()).unwrap();
    let top = client.get(&format!("/v2/{repository}/manifests/{tag}")).expect(200);
    let mut digest = Digest::sha256(&top.body);
    let mut manifest = top.json();
    let mut several = false;
    // crane wraps an index into another one.
    while let Some(children) = manifest["manifests"].as_array() {
        several = true;
        digest = parse(&children.last().unwrap()["digest"]);
        manifest = client.get(&format!("/v2/{repository}/manifests/{digest}")).expect(200).json();
    }
    let layer = manifest["layers"].as_array().unwrap().last().unwrap();
    Target { several, manifest: digest, config: parse(&manifest["config"]["digest"]), layer: parse(&layer["digest"]) }
}

/// Breaks a layer, a config and a manifest of a tag, some at once; each time the scrub finds it, it is not served, and
/// `again` heals it.
pub(crate) fn break_and_heal(server: &Server, repository: &str, tag: &str, again: &dyn Fn()) {
    let client = server.client();
    let target = target(&client, repository, tag);
    let rounds: &[&[&str]] = match target.several {
        _ if mcr_tests::long() => &[&["layer"], &["config"], &["manifest"], &["layer", "config", "manifest"]],
        false => &[&["layer", "config"]],
        true => &[&["layer", "config"], &["manifest"]],
    };
    for broken in rounds {
        for what in *broken {
            target.strike(server, repository, what);
        }
        wait_until("the scrub finds all of it", || open_findings(server).len() == broken.len());
        let _ = client.get(&format!("/v2/{repository}/manifests/{}", target.manifest)).expect(404);
        let top = format!("/v2/{repository}/manifests/{tag}");
        let _ = client.head(&top).expect(404);
        if target.several {
            let warning = client.get(&top).expect(200).required("warning").to_owned();
            assert!(warning.starts_with("299 "), "{broken:?}: {warning}");
        } else {
            let _ = client.get(&top).expect(404);
        }
        again();
        let _ = pull::assert_whole(&client, repository, tag);
        assert_eq!(client.get(&top).expect(200).header("warning"), None, "{broken:?}");
        let _ = client.head(&top).expect(200);
        assert_eq!(open_findings(server), [], "{broken:?}");
    }
}

impl Target {
    fn strike(&self, server: &Server, repository: &str, what: &str) {
        match what {
            "layer" => damage::flip(server.data(), &self.layer, 7),
            "config" => damage::truncate(server.data(), &self.config, 3),
            _ => rot_manifest(server, repository, &self.manifest),
        }
    }
}

#[test]
fn crane() {
    let Some(crane) = tools::optional("crane", "crane") else { return };
    let server = Server::with(scrubbing());
    let [one, several] = layouts();
    for (name, layout, flag) in [("one", &one, None), ("several", &several, Some("--index"))] {
        let remote = format!("{}/{name}:v1", server.authority());
        let push = || {
            let mut command = std::process::Command::new(&crane);
            let home = layout.path();
            command.env("DOCKER_CONFIG", home).arg("push").args(flag).arg(home).arg(&remote);
            let _ = process::run(&mut command).ok();
        };
        push();
        break_and_heal(&server, name, "v1", &push);
    }
}

#[test]
fn skopeo() {
    let server = Server::with(scrubbing());
    let [one, several] = layouts();
    for (name, layout, flag) in [("one", &one, None), ("several", &several, Some("--all"))] {
        let remote = format!("docker://{}/{name}:v1", server.authority());
        let push = || {
            let mut command = tools::command("skopeo");
            command.args(["--insecure-policy", "copy", "--dest-tls-verify=false"]).args(flag);
            let _ = process::run(command.arg(format!("oci:{}:v1", layout.path().display())).arg(&remote)).ok();
        };
        push();
        break_and_heal(&server, name, "v1", &push);
    }
}

#[test]
fn buildah() {
    let server = Server::with(scrubbing());
    let storage = Storage::new();
    let run = |arguments: &[&str]| process::run(storage.command("buildah").args(arguments)).ok();
    let _ = run(&["manifest", "create", "list"]);
    for architecture in layout::ARCHITECTURES {
        let root = storage.path(architecture);
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::write(root.join("bin/busybox"), layout::busybox(architecture)).unwrap();
        let container = run(&["from", "--arch", architecture, "scratch"]).text();
        let container = container.trim();
        let _ = run(&["copy", container, &root.display().to_string(), "/"]);
        let _ = run(&["config", "--arch", architecture, container]);
        let _ = run(&["commit", "--rm", container, &format!("localhost/{architecture}:v1")]);
        let _ = run(&["manifest", "add", "list", &format!("localhost/{architecture}:v1")]);
    }
    let remote = |name: &str| format!("docker://{}/{name}:v1", server.authority());
    let one = || drop(run(&["push", "--tls-verify=false", "localhost/amd64:v1", &remote("one")]));
    one();
    break_and_heal(&server, "one", "v1", &one);
    let several = || drop(run(&["manifest", "push", "--all", "--tls-verify=false", "list", &remote("several")]));
    several();
    break_and_heal(&server, "several", "v1", &several);
}

#[test]
fn podman() {
    let server = Server::with(scrubbing());
    let storage = Storage::new();
    let run = |arguments: &[&str]| process::run(storage.command("podman").args(arguments)).ok();
    // Elsewhere: what podman knows to be there as well, it would take from there.
    let elsewhere = Server::start();
    let _ = run(&["manifest", "create", "list"]);
    for architecture in layout::ARCHITECTURES {
        push::image(&elsewhere.client(), "source", architecture, &layout::real_image(architecture));
        let source = format!("{}/source:{architecture}", elsewhere.authority());
        let local = format!("localhost/{architecture}:v1");
        let _ = run(&["pull", "--tls-verify=false", "--arch", architecture, &source]);
        let _ = run(&["tag", &source, &local]);
        let _ = run(&["manifest", "add", "list", &format!("containers-storage:{local}")]);
    }
    let remote = |name: &str| format!("docker://{}/{name}:v1", server.authority());
    let one = || drop(run(&["push", "--tls-verify=false", "localhost/amd64:v1", &remote("one")]));
    one();
    break_and_heal(&server, "one", "v1", &one);
    let several = || drop(run(&["manifest", "push", "--all", "--tls-verify=false", "list", &remote("several")]));
    several();
    break_and_heal(&server, "several", "v1", &several);
}

#[test]
fn docker() {
    let server = Server::with(scrubbing());
    let engine = Engine::start();
    let remote = |tag: &str| format!("{}/dock/er:{tag}", server.authority());
    let push = |architecture: &str| drop(engine.run(&["push", &remote(architecture)]).ok());
    for architecture in layout::ARCHITECTURES {
        engine.load(architecture, &remote(architecture));
        push(architecture);
    }
    break_and_heal(&server, "dock/er", "amd64", &|| push("amd64"));
    let list = remote("multi");
    let create = ["manifest", "create", "--insecure", &list, &remote("amd64"), &remote("arm64")];
    let _ = engine.run(&create).ok();
    let annotate = ["manifest", "annotate", &list, &remote("arm64"), "--os", "linux", "--arch", "arm64"];
    let _ = engine.run(&annotate).ok();
    let several = || {
        for architecture in layout::ARCHITECTURES {
            push(architecture);
        }
        let _ = engine.run(&["manifest", "push", "--insecure", &list]).ok();
    };
    several();
    break_and_heal(&server, "dock/er", "multi", &several);
}

/// Layouts of one image and of an index over two, both named `v1`.
fn layouts() -> [tempfile::TempDir; 2] {
    let [one, several] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    layout::write_image(one.path(), "v1", &layout::real_image("amd64"));
    layout::write_index(several.path(), "v1", &layout::real_index());
    [one, several]
}
