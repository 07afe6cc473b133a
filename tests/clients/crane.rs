//! crane: push, pull, copy, index append, healing by a second push. Needs Go's module mirror to be had.

use std::path::Path;
use std::process::Command;

use mcr_tests::push::location;
use mcr_tests::{Blob, Index, Options, Random, Server, damage, layout, process, pull, push, tools};

/// A command of crane, or none where it could not be built: then that was said loudly.
fn crane(config: &Path) -> Option<Command> {
    let mut command = Command::new(tools::optional("crane", "crane")?);
    command.env("DOCKER_CONFIG", config);
    Some(command)
}

fn run(arguments: &[&str]) -> Option<process::Output> {
    let config = tempfile::tempdir().unwrap();
    Some(process::run(crane(config.path())?.args(arguments)))
}

#[test]
fn an_index_goes_in_and_comes_out_byte_for_byte() {
    let server = Server::start();
    let [original, returned] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let index = layout::real_index();
    layout::write_index(original.path(), "v1", &index);
    let remote = format!("{}/real/busybox:v1", server.authority());
    let source = original.path().display().to_string();
    let Some(pushed) = run(&["push", "--index", &source, &remote]) else { return };
    let _ = pushed.ok();
    // crane pushes the layout's own index, which names ours.
    let _ = pull::assert_whole(&server.client(), "real/busybox", "v1");
    let whole = format!("{}/real/busybox@{}", server.authority(), index.digest());
    let target = returned.path().join("oci");
    let target_text = target.display().to_string();
    let _ = run(&["pull", "--format", "oci", &whole, &target_text]).unwrap().ok();
    for (name, bytes) in layout::blobs(original.path()) {
        let copy = std::fs::read(target.join("blobs/sha256").join(&name));
        assert!(copy.is_ok_and(|copy| copy == bytes), "{name}");
    }
}

#[test]
fn an_image_goes_in_and_comes_out_over_tls_with_a_password() {
    let server = Server::with(Options::secured());
    let [original, returned, config] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    layout::write_image(original.path(), "v1", &layout::real_image("amd64"));
    let remote = format!("{}/busybox:v1", server.authority());
    let secured = |arguments: &[&str]| {
        let mut command = crane(config.path())?;
        command.env("SSL_CERT_FILE", server.certificate());
        Some(process::run(command.args(arguments)))
    };
    let authority = server.authority();
    let Some(login) = secured(&["auth", "login", &authority, "-u", "admin", "-p", server.password()]) else { return };
    let _ = login.ok();
    let source = original.path().display().to_string();
    let _ = secured(&["push", &source, &remote]).unwrap().ok();
    let _ = pull::assert_whole(&server.client(), "busybox", "v1");
    let target = returned.path().join("oci").display().to_string();
    let _ = secured(&["pull", "--format", "oci", &remote, &target]).unwrap().ok();
    layout::assert_same(original.path(), Path::new(&target));
}

#[test]
fn copies_mount_and_tags_list_and_delete() {
    let server = Server::start();
    let client = server.client();
    let index = Index::random(&mut Random::new(301), 5000);
    push::index(&client, "one", "v1", &index);
    let remote = |name: &str| format!("{}/{name}", server.authority());
    let Some(copied) = run(&["copy", &remote("one:v1"), &remote("two:v1")]) else { return };
    let _ = copied.ok();
    let _ = pull::assert_whole(&client, "two", "v1");
    let tags = run(&["ls", &remote("two")]).unwrap().ok();
    assert_eq!(tags.text().trim(), "v1");
    let catalog = run(&["catalog", &server.authority()]).unwrap().ok();
    assert_eq!(catalog.text().lines().collect::<Vec<_>>(), ["one", "two"]);
    let digest = run(&["digest", &remote("two:v1")]).unwrap().ok();
    assert_eq!(digest.text().trim(), index.digest().as_str());
    let _ = run(&["delete", &remote("two:v1")]).unwrap().ok();
    assert!(pull::tags(&client, "two").is_empty());
    let _ = pull::assert_whole(&client, "one", "v1");
}

#[test]
fn a_build_cache_over_blobs_can_be_copied() {
    // Regression 3, with the program that fails on others.
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(302);
    let blobs: Vec<Blob> = (0..3).map(|_| Blob::random(random, 4000)).collect();
    let children: Vec<_> =
        blobs.iter().map(|blob| blob.descriptor("application/vnd.buildkit.cacheconfig.v0")).collect();
    for blob in &blobs {
        push::blob(&client, "cache", blob);
    }
    let index = mcr_tests::content::index_of(&children);
    let _ = push::put_index(&client, "cache", "main", &index).expect(201);
    let [from, to] = ["cache", "copy"].map(|name| format!("{}/{name}:main", server.authority()));
    let Some(copied) = run(&["copy", &from, &to]) else { return };
    let _ = copied.ok();
    let _ = pull::assert_whole(&client, "copy", "main");
}

#[test]
fn a_damaged_blob_is_healed_by_a_second_push() {
    // Regression 9: crane stops at the first manifest that answers HEAD with 200.
    for how in ["gone", "cut", "flipped"] {
        let server = Server::start();
        let client = server.client();
        let original = tempfile::tempdir().unwrap();
        let index = layout::real_index();
        layout::write_index(original.path(), "v1", &index);
        let remote = format!("{}/healed:v1", server.authority());
        let source = original.path().display().to_string();
        let Some(pushed) = run(&["push", "--index", &source, &remote]) else { return };
        let _ = pushed.ok();
        let layer = &index.images[1].layers[0];
        match how {
            "gone" => damage::remove(server.data(), &layer.digest),
            "cut" => damage::truncate(server.data(), &layer.digest, 9),
            _ => damage::flip(server.data(), &layer.digest, 9),
        }
        let _ = client.request("GET", &format!("/v2/healed/blobs/{}", layer.digest)).send();
        mcr_tests::clock::wait_until("the damage is known", || {
            client.head(&format!("/v2/healed/manifests/{}", index.images[1].digest())).status == 404
        });
        let _ = run(&["push", "--index", &source, &remote]).unwrap().ok();
        let _ = pull::assert_whole(&client, "healed", "v1");
    }
}

#[test]
fn an_appended_index_mixes_docker_and_oci_children() {
    let server = Server::start();
    let client = server.client();
    let index = Index::random(&mut Random::new(303), 500);
    push::index(&client, "mixed", "base", &index);
    let remote = |tag: &str| format!("{}/mixed:{tag}", server.authority());
    let base = remote("base");
    let arguments = ["index", "append", &base, "-m", &base, "-t", &remote("more")];
    let Some(appended) = run(&arguments) else { return };
    let _ = appended.ok();
    let _ = pull::assert_whole(&client, "mixed", "more");
}

/// The mount that crane sends with `origin=` when the source is another registry must not become an error.
#[test]
fn a_copy_from_another_registry_works() {
    let [from, to] = [Server::start(), Server::start()];
    let index = Index::random(&mut Random::new(304), 500);
    push::index(&from.client(), "lib/app", "v1", &index);
    let remote = |server: &Server| format!("{}/lib/app:v1", server.authority());
    let Some(copied) = run(&["copy", &remote(&from), &remote(&to)]) else { return };
    let _ = copied.ok();
    let _ = pull::assert_whole(&to.client(), "lib/app", "v1");
    let opened = to.client().post("/v2/lib/app/blobs/uploads/").expect(202);
    let _ = to.client().delete(&location(&opened)).expect(204);
    assert!(damage::uploads(to.data()).is_empty());
}
