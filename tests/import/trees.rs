//! Trees of real registries: what is sound comes whole with its times, what is broken is listed, the tree stays as it
//! was.

use std::os::unix::fs::MetadataExt as _;

use mcr_oci::Digest;
use mcr_tests::distribution::{Program, Tree};
use mcr_tests::{Image, Random, damage, process, pull, push};

use crate::scene::{Scene, command, import, picture, pushed_at, read, serve, without_links};

#[test]
fn a_sound_tree_comes_whole_and_stays_as_it_was() {
    for program in Program::ALL {
        let scene = Scene::new(program, 11);
        pushed_at(&scene.registry, "base", "1", 1_700_000_000);
        let before = picture(scene.root());
        // The old one goes on meanwhile: it is only read.
        let dry = import(&scene.data(), ["--dry-run".as_ref(), scene.root().as_os_str()]);
        assert!(!scene.data().exists(), "a dry run makes nothing");
        dry.expect(0);
        assert_eq!((dry.count("imported"), dry.bytes("new")), (4, scene.blob_bytes()), "{dry:#?}");

        let done = import(&scene.data(), [scene.root()]);
        done.expect(0);
        assert_eq!((done.count("imported"), done.count("tags"), done.count("manifests")), (4, 4, 5), "{done:#?}");
        assert_eq!((done.bytes("new"), done.json["sound"].as_bool()), (scene.blob_bytes(), Some(true)));
        assert_eq!(picture(scene.root()), before);

        let mut server = serve(&scene.data());
        let client = server.client();
        assert_eq!(pull::assert_all_whole(&client), 4);
        assert_eq!(pull::tags(&client, "team/app"), ["latest", "v1"]);
        let history = client.get("/v1/repositories/base/tags/1/history").expect(200).json();
        assert!(history.to_string().contains("2023-11-14T22:13:20"), "the time of the link: {history:#}");
        assert!(history.to_string().contains("\"import\""), "{history:#}");
        let audit = client.get("/v1/audit?event=import_completed").expect(200).json();
        assert!(audit.to_string().contains("\"imported\":4"), "{audit:#}");
        let _ = server.stop();

        // Again: nothing to do, and the dry run knows.
        let again = import(&scene.data(), [scene.root()]);
        assert_eq!((again.count("unchanged"), again.bytes("new")), (4, 0), "{again:#?}");
        let dry = import(&scene.data(), ["--dry-run".as_ref(), scene.root().as_os_str()]);
        assert_eq!((dry.count("unchanged"), dry.bytes("new")), (4, 0), "{dry:#?}");
    }
}

#[test]
fn what_is_broken_is_listed_and_left_out() {
    let scene = Scene::new(Program::Two, 12);
    let (tree, client) = (scene.registry.tree(), scene.registry.client());
    let mut random = Random::new(13);
    let mut broken = |tag: &str| {
        let image = Image::random(&mut random, 2, 2_000);
        push::image(&client, "broken", tag, &image);
        image
    };
    let (cut, flipped, unlinked, gone) = (broken("cut"), broken("flipped"), broken("unlinked"), broken("gone"));
    // The orphan index: its children's own tags never were, so the collection of registry:2 takes them.
    scene.registry.collect();
    Tree::cut(&tree.data(&cut.layers[0].digest), 7);
    Tree::flip(&tree.data(&flipped.layers[1].digest));
    std::fs::remove_file(tree.layer("broken", &unlinked.layers[0].digest)).unwrap();
    std::fs::remove_file(tree.revision("broken", gone.digest())).unwrap();
    std::fs::write(tree.current("base", "2"), b"no digest").unwrap();
    let before = picture(scene.root());
    let done = import(&scene.data(), [scene.root()]);
    done.expect(1);
    assert_eq!(picture(scene.root()), before);
    let one = |kind: &str, digest: &Digest| vec![(kind.to_owned(), digest.to_string())];
    assert_eq!(done.wrong("broken", "cut"), one("blob-truncated", &cut.layers[0].digest));
    assert_eq!(done.wrong("broken", "flipped"), one("blob-corrupt", &flipped.layers[1].digest));
    assert_eq!(done.wrong("broken", "unlinked"), one("blob-unlinked", &unlinked.layers[0].digest));
    assert!(done.wrong("broken", "gone")[0].0.starts_with("manifest-"), "{done:#?}");
    assert_eq!(done.wrong("base", "2")[0].0, "tag-dangling");
    let mut children: Vec<_> =
        scene.index.images.iter().map(|child| ("manifest-unlinked".to_owned(), child.digest().to_string())).collect();
    children.sort();
    assert_eq!(done.wrong("team/app", "v1"), children);
    assert_eq!((done.count("imported"), done.count("broken")), (1, 7), "{done:#?}");
    let server = serve(&scene.data());
    assert_eq!(pull::catalog(&server.client()), ["base"]);
    assert_eq!(pull::tags(&server.client(), "base"), ["1"]);
    assert_eq!(pull::assert_all_whole(&server.client()), 1);
}

#[test]
fn hard_links_take_no_room_and_change_nothing_else() {
    let mut scene = Scene::new(Program::Two, 14);
    scene.registry.stop();
    let flipped = &scene.images[1].layers[0];
    Tree::flip(&scene.registry.tree().data(&flipped.digest));
    let before = picture(scene.root());
    let done = import(&scene.data(), ["--hardlinks".as_ref(), scene.root().as_os_str()]);
    done.expect(1);
    assert_eq!(done.bytes("hardlinked"), done.bytes("new"), "{done:#?}");
    assert_eq!(without_links(&picture(scene.root())), without_links(&before));
    let ours = damage::blob_path(&scene.data(), &scene.images[0].layers[0].digest);
    let theirs = scene.registry.tree().data(&scene.images[0].layers[0].digest);
    assert_eq!(std::fs::metadata(ours).unwrap().ino(), std::fs::metadata(theirs).unwrap().ino());
    // One that hashes wrong has one name, as before.
    assert_eq!(std::fs::metadata(scene.registry.tree().data(&flipped.digest)).unwrap().nlink(), 1);
    assert_eq!(pull::assert_all_whole(&serve(&scene.data()).client()), 3);
}

#[test]
fn referrers_come_with_what_they_refer_to_and_other_untagged_ones_when_asked() {
    let scene = Scene::new(Program::Two, 15);
    let client = scene.registry.client();
    let subject = &scene.images[0];
    let mut random = Random::new(16);
    let signature = Image::random(&mut random, 1, 300).about(&subject.manifest, "application/vnd.example.signature");
    push::image(&client, "base", signature.digest().as_str(), &signature);
    // Of the signature itself, and of nothing that is here.
    let of_signature = Image::random(&mut random, 1, 300).about(&signature.manifest, "application/vnd.example.note");
    push::image(&client, "base", of_signature.digest().as_str(), &of_signature);
    let loose = Image::random(&mut random, 1, 300);
    push::image(&client, "base", loose.digest().as_str(), &loose);
    let done = import(&scene.data(), [scene.root()]);
    done.expect(0);
    assert_eq!((done.count("loose"), done.count("untagged_left")), (2, 1), "{done:#?}");
    let mut server = serve(&scene.data());
    let referrers = server.client().get(&format!("/v2/base/referrers/{}", subject.digest())).expect(200).json();
    assert_eq!(referrers["manifests"][0]["digest"], signature.digest().as_str(), "{referrers:#}");
    server.client().get(&format!("/v2/base/manifests/{}", loose.digest())).expect(404);
    let _ = server.stop();
    let done = import(&scene.data(), ["--untagged".as_ref(), scene.root().as_os_str()]);
    done.expect(0);
    assert_eq!((done.count("loose"), done.count("untagged_left")), (1, 0), "{done:#?}");
    serve(&scene.data()).client().get(&format!("/v2/base/manifests/{}", loose.digest())).expect(200);
}

#[test]
fn several_registries_in_a_folder_go_below_their_names() {
    let scene = Scene::new(Program::Two, 17);
    let folder = scene.home.path().join("registries");
    std::fs::create_dir(&folder).unwrap();
    for name in ["infra", "mirror"] {
        let mut copy = std::process::Command::new("cp");
        let _ = process::run(copy.arg("-a").arg(scene.root()).arg(folder.join(name))).ok();
    }
    let done = import(&scene.data(), ["--repository".as_ref(), "*/base".as_ref(), folder.as_os_str()]);
    done.expect(0);
    assert_eq!(done.count("imported"), 4);
    // The bytes of both came once.
    assert_eq!(done.count("blobs_already"), 0);
    let server = serve(&scene.data());
    assert_eq!(pull::catalog(&server.client()), ["infra/base", "mirror/base"]);
    assert_eq!(pull::assert_all_whole(&server.client()), 4);
}

#[test]
fn a_running_server_is_named_and_so_is_the_way_through_it() {
    let scene = Scene::new(Program::Two, 18);
    let _server = serve(&scene.data());
    let output = process::run(command(&scene.data()).arg(scene.root()));
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("mcrsrv server") && output.stderr.contains("mcrctl"), "{}", output.stderr);
    assert_eq!(output.stderr.trim().lines().count(), 1, "{}", output.stderr);
    // A dry run runs beside it.
    let dry = read(&process::run(command(&scene.data()).args(["--json", "--dry-run"]).arg(scene.root())));
    assert_eq!((dry.code, dry.count("imported")), (Some(0), 4));
}

#[test]
fn what_is_not_looked_into_is_told_and_a_repository_that_went_is_gone() {
    let scene = Scene::new(Program::Two, 19);
    let folder = scene.home.path().join("registries");
    std::fs::create_dir(&folder).unwrap();
    let mut copy = std::process::Command::new("cp");
    let _ = process::run(copy.arg("-a").arg(scene.root()).arg(folder.join("infra"))).ok();
    import(&scene.data(), [&folder]).expect(0);
    std::fs::remove_dir_all(folder.join("infra/docker/registry/v2/repositories/team")).unwrap();
    std::os::unix::fs::symlink(scene.root(), folder.join("mirror")).unwrap();
    let closed = import(&scene.data(), [&folder]);
    closed.expect(3);
    assert_eq!(closed.json["findings"][0]["kind"], "unreachable", "{closed:#?}");
    // Who knows what the other one holds.
    assert_eq!((closed.count("unchanged"), closed.count("gone")), (2, 0), "{closed:#?}");
    std::fs::remove_file(folder.join("mirror")).unwrap();
    let again = import(&scene.data(), [&folder]);
    again.expect(0);
    assert_eq!(again.listed("gone"), ["team/app:latest", "team/app:v1"]);
    assert_eq!(pull::tags(&serve(&scene.data()).client(), "team/app"), ["latest", "v1"]);
}
