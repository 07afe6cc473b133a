//! Trees that somebody made to hurt an import: left out with findings, never a panic, a hang or a step outside.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mcr_tests::distribution::Program;
use mcr_tests::{Image, Random, process, pull, push};

use crate::scene::{Scene, command, import, serve};

/// Longer than this no import of a small tree may take.
const QUICK: Duration = Duration::from_secs(20);

fn fifo(path: &Path) {
    std::fs::remove_file(path).unwrap();
    let _ = process::run(Command::new("mkfifo").arg(path)).ok();
}

#[test]
fn what_is_no_registry_s_making_is_left_out() {
    let scene = Scene::new(Program::Two, 51);
    let (tree, client) = (scene.registry.tree(), scene.registry.client());
    let mut random = Random::new(52);
    let mut image = |tag: &str| {
        let image = Image::random(&mut random, 2, 600);
        push::image(&client, "odd", tag, &image);
        image
    };
    let (waits, outside, huge, wrong) = (image("waits"), image("outside"), image("huge"), image("wrong"));
    let (_, long) = (image("circle"), image("long"));
    fifo(&tree.data(&waits.layers[0].digest));
    // A secret of this machine behind a layer's name.
    let data = tree.data(&outside.layers[0].digest);
    std::fs::remove_file(&data).unwrap();
    let secret = scene.home.path().join("secret");
    std::fs::write(&secret, &outside.layers[0].bytes).unwrap();
    symlink(&secret, &data).unwrap();
    // Links and manifests of a gigabyte, sparse.
    std::fs::File::options()
        .write(true)
        .open(tree.layer("odd", &huge.layers[0].digest))
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    std::fs::File::options().write(true).open(tree.data(long.digest())).unwrap().set_len(1 << 30).unwrap();
    // The bytes of another one, of the right length.
    std::fs::write(tree.data(&wrong.layers[0].digest), vec![0; wrong.layers[0].size()]).unwrap();
    let link = tree.current("odd", "circle");
    std::fs::remove_file(&link).unwrap();
    symlink("link", &link).unwrap();
    symlink("..", tree.repository("odd").join("again")).unwrap();
    let began = Instant::now();
    let done = import(&scene.data(), [scene.root()]);
    assert!(began.elapsed() < QUICK, "{:?}", began.elapsed());
    done.expect(1);
    assert_eq!((done.count("imported"), done.count("broken")), (4, 6), "{done:#?}");
    assert_eq!(done.wrong("odd", "wrong"), [("blob-corrupt".to_owned(), wrong.layers[0].digest.to_string())]);
    assert_eq!(done.wrong("odd", "outside")[0].0, "unreachable");
    assert_eq!(done.wrong("odd", "circle")[0].0, "tag-dangling");
    assert_eq!(pull::assert_all_whole(&serve(&scene.data()).client()), 4);
}

#[test]
fn what_is_no_tree_says_so_and_makes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("srv");
    let empty = home.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for (words, code, said) in [
        (vec![empty.to_str().unwrap()], 3, "docker/registry/v2"),
        (vec!["/nowhere/at/all"], 3, "cannot be looked at"),
        (vec!["--kind", "none=pull-through", empty.to_str().unwrap()], 3, "docker/registry/v2"),
        (vec!["--hardlinks", "https://127.0.0.1:1"], 2, "--hardlinks"),
        (vec!["--with-policy", empty.to_str().unwrap()], 2, "--with-policy"),
        (vec!["https://ann:secret@127.0.0.1:1"], 2, "credentials"),
    ] {
        let output = process::run(command(&data).args(&words));
        assert_eq!(output.code, Some(code), "{words:?}: {output:?}");
        assert!(output.stderr.contains(said), "{words:?}: {}", output.stderr);
        assert!(!output.stderr.contains("secret"), "{}", output.stderr);
    }
    assert!(!data.exists());
}

#[test]
fn of_a_cache_what_was_pulled_whole_comes() {
    let scene = Scene::new(Program::Two, 53);
    let tree = scene.registry.tree();
    std::fs::write(scene.root().join("scheduler-state.json"), b"{}").unwrap();
    // Nobody ever pulled the second platform.
    let child = &scene.index.images[1];
    for digest in child.blobs().map(|blob| &blob.digest) {
        std::fs::remove_file(tree.layer("team/app", digest)).unwrap();
    }
    std::fs::remove_file(tree.revision("team/app", child.digest())).unwrap();
    let done = import(&scene.data(), [scene.root()]);
    done.expect(0);
    assert_eq!((done.count("imported"), done.count("partial"), done.count("broken")), (2, 2, 0), "{done:#?}");
    assert_eq!(done.listed("partial"), ["team/app:latest", "team/app:v1"]);
    assert_eq!(pull::catalog(&serve(&scene.data()).client()), ["base"]);
}
