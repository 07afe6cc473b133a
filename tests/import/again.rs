//! Imports that are repeated: after a kill, after tags moved, after others pushed; never from the wire.

use mcr_tests::distribution::Program;
use mcr_tests::{Image, Random, process, pull, push};

use crate::scene::{LIMIT, Scene, command, import, pushed_at, read, serve};

#[test]
fn killed_anywhere_and_run_again_it_comes_to_the_same() {
    let scene = Scene::new(Program::Two, 21);
    let points = [
        "blob.write",
        "blob.sync_all",
        "blob.synced",
        "blob.renamed",
        "blob.dir_synced",
        "metadata.begin",
        "metadata.before_commit",
        "metadata.committed",
    ];
    let mut killed = 0;
    for point in points {
        for nth in [1, 4] {
            let mut command = command(&scene.data());
            command.env("MCR_FAULTS", format!("{point}=kill@{nth}")).arg("--json").arg(scene.root());
            killed += u32::from(process::run_within(&mut command, LIMIT).code.is_none());
        }
    }
    assert!(killed >= 5, "only {killed} runs were killed");
    let done = import(&scene.data(), [scene.root()]);
    done.expect(0);
    assert_eq!(done.count("imported") + done.count("unchanged"), 4, "{done:#?}");
    let server = serve(&scene.data());
    assert_eq!(pull::assert_all_whole(&server.client()), 4);
    let uploads = std::fs::read_dir(scene.data().join("uploads")).unwrap().count();
    assert_eq!(uploads, 0, "what killed runs left behind is gone");
}

#[test]
fn what_did_not_reach_the_disk_is_brought_again() {
    let scene = Scene::new(Program::Two, 28);
    let mut command = command(&scene.data());
    command.env("MCR_FAULTS", "blob.sync_all=eio@1").arg("--json").arg(scene.root());
    let failed = read(&process::run_within(&mut command, LIMIT));
    failed.expect(3);
    assert!(failed.json["ended"].is_string(), "{failed:#?}");
    import(&scene.data(), [scene.root()]).expect(0);
    assert_eq!(pull::assert_all_whole(&serve(&scene.data()).client()), 4);
}

#[test]
fn it_follows_tags_that_moved_and_lists_those_that_went() {
    let scene = Scene::new(Program::Three, 22);
    import(&scene.data(), [scene.root()]).expect(0);
    let next = Image::random(&mut Random::new(23), 1, 700);
    push::image(&scene.registry.client(), "base", "1", &next);
    std::fs::remove_dir_all(scene.registry.tree().tag("team/app", "latest")).unwrap();
    let second = import(&scene.data(), [scene.root()]);
    second.expect(0);
    assert_eq!(second.listed("moved"), ["base:1"]);
    assert_eq!(second.listed("gone"), ["team/app:latest"]);
    assert_eq!((second.count("unchanged"), second.count("imported")), (2, 0), "{second:#?}");
    let server = serve(&scene.data());
    let _ = pull::assert_whole(&server.client(), "base", "1");
    assert_eq!(server.client().get("/v2/base/manifests/1").expect(200).text().as_bytes(), next.manifest.bytes);
    // It stays: whether it is to go is not the old registry's to say.
    assert_eq!(pull::tags(&server.client(), "team/app"), ["latest", "v1"]);
}

#[test]
fn what_was_pushed_here_since_stays() {
    let scene = Scene::new(Program::Two, 24);
    import(&scene.data(), [scene.root()]).expect(0);
    let mut server = serve(&scene.data());
    let ours = Image::random(&mut Random::new(25), 1, 700);
    push::image(&server.client(), "base", "1", &ours);
    push::image(&server.client(), "base", "only-here", &ours);
    let _ = server.stop();
    let second = import(&scene.data(), [scene.root()]);
    second.expect(0);
    assert_eq!(second.listed("kept"), ["base:1"]);
    assert!(second.listed("gone").is_empty(), "what no import brought is not gone: {second:#?}");
    let server = serve(&scene.data());
    assert_eq!(server.client().get("/v2/base/manifests/1").expect(200).text().as_bytes(), ours.manifest.bytes);
}

#[test]
fn the_newest_tags_are_the_newest_here() {
    let scene = Scene::new(Program::Two, 26);
    let client = scene.registry.client();
    let mut random = Random::new(27);
    // Pushed in one order, and by their links in another.
    for (tag, seconds) in [("a", 1_600_000_500), ("b", 1_600_000_100), ("c", 1_600_000_900), ("d", 1_600_000_300)] {
        push::image(&client, "dated", tag, &Image::random(&mut random, 1, 300));
        pushed_at(&scene.registry, "dated", tag, seconds);
    }
    import(&scene.data(), ["--repository".as_ref(), "dated".as_ref(), scene.root().as_os_str()]).expect(0);
    let server = serve(&scene.data());
    let mut moved: Vec<(String, &str)> = Vec::new();
    for tag in ["a", "b", "c", "d"] {
        let history = server.client().get(&format!("/v1/repositories/dated/tags/{tag}/history")).expect(200).json();
        let text = history.to_string();
        let at = text.find("2020-09-13T").map(|at| text[at..at + 19].to_owned());
        moved.push((at.unwrap_or_else(|| panic!("{history:#}")), tag));
    }
    moved.sort();
    assert_eq!(moved.iter().map(|(_, tag)| *tag).collect::<Vec<_>>(), ["b", "d", "a", "c"]);
}
