//! `mcrctl import` into a running registry that others push to as well, and tags that stay where they are, in both ways
//! of importing; never a tree.

use std::path::Path;
use std::process::Command;

use mcr_tests::distribution::Program;
use mcr_tests::server::{binary, mcrsrv};
use mcr_tests::{Image, Options, Random, Server, process, pull, push};

use crate::scene::{Import, LIMIT, Scene, read};

/// `mcrctl import` from one address to another.
fn bring(from: &str, to: &str, words: &[&str]) -> Import {
    let mut command = Command::new(binary("mcrctl"));
    let nobody = std::env::temp_dir().join("mcr-test-nobody");
    command.env("HOME", &nobody).env("XDG_RUNTIME_DIR", &nobody).env_remove("REGISTRY_AUTH_FILE");
    command.args(["--json", "--addr", to, "import", from]).args(words);
    read(&process::run_within(&mut command, LIMIT))
}

/// A configuration in which tags of the form `v1` stay where they are.
fn immutable(home: &Path) -> std::path::PathBuf {
    let data = home.join("srv").display().to_string();
    let text = format!(
        "[server]\nlisten_addr = \"127.0.0.1:0\"\n[database]\npath = \"{data}/mcr.db\"\n[storage]\n\
         layers_path = \"{data}/layers\"\nuploads_path = \"{data}/uploads\"\n[auth]\nmode = \"none\"\n\
         [[integrity.rule]]\nrepositories = [\"**\"]\nimmutable_tags = \"v[0-9]+\"\n"
    );
    let path = home.join("mcr.toml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn what_was_pushed_there_since_stays_and_is_not_called_gone() {
    let scene = Scene::new(Program::Two, 61);
    let new = Server::start();
    bring(&scene.registry.url(), &new.url(), &[]).expect(0);
    let ours = Image::random(&mut Random::new(62), 1, 700);
    push::image(&new.client(), "base", "1", &ours);
    push::image(&new.client(), "base", "only-here", &ours);
    // One that an import brought, and the origin has no more; its manifest it still has.
    std::fs::remove_dir_all(scene.registry.tree().tag("team/app", "latest")).unwrap();
    for words in [&["--dry-run"][..], &[]] {
        let second = bring(&scene.registry.url(), &new.url(), words);
        second.expect(0);
        assert_eq!(second.listed("kept"), ["base:1"], "{words:?}");
        assert_eq!(second.listed("gone"), ["team/app:latest"], "{words:?}");
        assert_eq!(second.count("moved"), 0, "{second:#?}");
    }
    assert_eq!(new.client().get("/v2/base/manifests/1").expect(200).text().as_bytes(), ours.manifest.bytes);
    // Whoever wants the origin's says so by deleting this one.
    let _ = new.client().delete("/v2/base/manifests/1").expect(202);
    let third = bring(&scene.registry.url(), &new.url(), &[]);
    assert_eq!(third.count("imported"), 1, "{third:#?}");
}

/// Moves `v1` and `latest` of `fixed` to one new image and adds another.
fn move_on(scene: &Scene, random: &mut Random) -> Image {
    let (next, other) = (Image::random(random, 1, 500), Image::random(random, 2, 500));
    for (tag, image) in [("v1", &next), ("latest", &next), ("other", &other)] {
        push::image(&scene.registry.client(), "fixed", tag, image);
    }
    next
}

#[test]
fn one_immutable_tag_holds_back_nothing_else() {
    let scene = Scene::new(Program::Two, 63);
    let mut random = Random::new(64);
    let first = Image::random(&mut random, 1, 500);
    for tag in ["v1", "latest"] {
        push::image(&scene.registry.client(), "fixed", tag, &first);
    }
    let home = tempfile::tempdir().unwrap();
    let config = immutable(home.path());
    let local = |words: &[&str]| {
        let mut command = mcrsrv();
        command.args(["import", "--json", "--config"]).arg(&config).args(words).arg(scene.root());
        read(&process::run_within(&mut command, LIMIT))
    };
    local(&[]).expect(0);
    let elsewhere = tempfile::tempdir().unwrap();
    let (config, data) = (Some(immutable(elsewhere.path())), Some(elsewhere.path().to_owned()));
    let new = Server::with(Options { config, data, ..Options::default() });
    bring(&scene.registry.url(), &new.url(), &[]).expect(0);

    let next = move_on(&scene, &mut random);
    let dry = local(&["--dry-run"]);
    for done in [dry, local(&[]), bring(&scene.registry.url(), &new.url(), &[])] {
        done.expect(1);
        assert_eq!(done.listed("refused"), ["fixed:v1"], "{done:#?}");
        assert_eq!(done.listed("moved"), ["fixed:latest"], "{done:#?}");
        assert_eq!((done.count("imported"), done.count("refused")), (1, 1), "{done:#?}");
    }
    let served = new.client().get("/v2/fixed/manifests/latest").expect(200);
    assert_eq!(served.required("docker-content-digest"), next.digest().as_str());
    let _ = pull::assert_whole(&new.client(), "fixed", "other");
}
