//! containerd by `ctr`: imports, pushes, pulls, exports; the exported bytes are the imported ones.

use std::process::Command;

use mcr_tests::containerd::{self, Containerd};
use mcr_tests::{Options, Server, layout, process, pull};

/// Imports the real index as `name`, pushes it, forgets it, pulls it, exports it, and compares.
fn there_and_back(server: &Server, options: &[&str]) {
    let containerd = Containerd::start();
    let source = tempfile::tempdir().unwrap();
    let index = layout::real_index();
    layout::write_index(source.path(), "v1", &index);
    let name = format!("{}/ctr/busybox", server.authority());
    let image = format!("{name}:v1");
    let [archive, exported] = ["in.tar", "out.tar"].map(|file| containerd.path(file));
    let _ = process::run(Command::new("tar").arg("-C").arg(source.path()).arg("-cf").arg(&archive).arg(".")).ok();
    // The layout names the image by its tag alone: the rest is said here.
    let import = ["images", "import", "--all-platforms", "--no-unpack", "--base-name", &name];
    let archive = archive.display().to_string();
    let _ = containerd.run(&[&import[..], &[&archive]].concat()).ok();
    let _ = containerd.run(&[&["images", "push"][..], options, &[&image]].concat()).ok();
    let pulled = pull::assert_whole(&server.client(), "ctr/busybox", "v1");
    assert!(pulled.manifests.contains(index.digest()), "{pulled:?}");
    containerd.forget(&image);
    let fetch = [&["content", "fetch", "--all-platforms"][..], options, &[&image]].concat();
    let _ = containerd.run(&fetch).ok();
    let exported = exported.display().to_string();
    let _ = containerd.run(&["images", "export", "--all-platforms", &exported, &image]).ok();
    let back = tempfile::tempdir().unwrap();
    let _ = process::run(Command::new("tar").arg("-C").arg(back.path()).args(["-xf", &exported])).ok();
    layout::assert_same(source.path(), back.path());
}

#[test]
fn an_index_goes_in_and_comes_out_byte_for_byte() {
    there_and_back(&Server::start(), &["--plain-http"]);
}

#[test]
fn an_index_goes_in_and_comes_out_over_tls_with_a_password() {
    let server = Server::with(Options::secured());
    let user = format!("admin:{}", server.password());
    let hosts = containerd::hosts(&server.authority(), &server.certificate());
    let hosts = hosts.path().display().to_string();
    there_and_back(&server, &["--hosts-dir", &hosts, "--user", &user]);
}

#[test]
fn a_push_of_one_platform_alone_leaves_no_listed_index_behind() {
    // `--platform` makes a sparse index: refused, with a text that tells what is missing.
    let server = Server::start();
    let containerd = Containerd::start();
    let source = tempfile::tempdir().unwrap();
    layout::write_index(source.path(), "v1", &layout::real_index());
    let name = format!("{}/ctr/sparse", server.authority());
    let image = format!("{name}:v1");
    let archive = containerd.path("in.tar");
    let _ = process::run(Command::new("tar").arg("-C").arg(source.path()).arg("-cf").arg(&archive).arg(".")).ok();
    let archive = archive.display().to_string();
    let import = ["images", "import", "--all-platforms", "--no-unpack", "--base-name", &name, &archive];
    let _ = containerd.run(&import).ok();
    let push = ["images", "push", "--plain-http", "--platform", "linux/arm64", &image];
    let refused = containerd.run(&push);
    if refused.code == Some(0) {
        // Some versions push the platform's manifest alone: then that is whole.
        let _ = pull::assert_all_whole(&server.client());
    } else {
        assert!(refused.all().contains("400"), "{refused:?}");
        assert!(pull::tags(&server.client(), "ctr/sparse").is_empty());
    }
}
