//! Running registries as origins; never a tree.

use mcr_tests::distribution::{Distribution, Program, Setup};
use mcr_tests::{Image, Options, Random, Server, pull, push};

use crate::scene::{Scene, import, serve};

#[test]
fn a_running_registry_of_others_comes_whole() {
    for program in Program::ALL {
        let scene = Scene::new(program, 31);
        let url = scene.registry.url();
        let dry = import(&scene.data(), ["--dry-run", &url]);
        assert_eq!((dry.count("imported"), dry.bytes("new")), (4, scene.blob_bytes()), "{dry:#?}");
        let done = import(&scene.data(), [&url]);
        done.expect(0);
        assert_eq!((done.count("imported"), done.bytes("sent")), (4, scene.blob_bytes()), "{done:#?}");
        assert_eq!(pull::assert_all_whole(&serve(&scene.data()).client()), 4);
    }
}

#[test]
fn what_a_registry_serves_broken_is_left_out() {
    let scene = Scene::new(Program::Two, 32);
    let broken = &scene.images[0].layers[1].digest;
    mcr_tests::distribution::Tree::cut(&scene.registry.data(broken), 100);
    // A dry run finds it too, and brings nothing.
    let dry = import(&scene.data(), ["--dry-run", &scene.registry.url()]);
    dry.expect(1);
    assert_eq!((dry.wrong("base", "1")[0].1.as_str(), dry.count("imported")), (broken.as_str(), 3));
    let done = import(&scene.data(), [scene.registry.url()]);
    done.expect(1);
    let wrong = done.wrong("base", "1");
    assert_eq!(wrong.len(), 1, "{done:#?}");
    assert_eq!(wrong[0].1, broken.as_str());
    assert!(wrong[0].0.starts_with("blob-"), "{wrong:?}");
    assert_eq!(pull::assert_all_whole(&serve(&scene.data()).client()), 3);
}

#[test]
fn one_of_ours_gives_its_referrers_and_only_the_repositories_that_are_named() {
    let (from, home) = (Server::with(Options::default()), tempfile::tempdir().unwrap());
    let client = from.client();
    let mut random = Random::new(33);
    let image = Image::random(&mut random, 2, 900);
    push::image(&client, "team/app", "1", &image);
    let signature = Image::random(&mut random, 1, 300).about(&image.manifest, "application/vnd.example.signature");
    push::image(&client, "team/app", signature.digest().as_str(), &signature);
    push::image(&client, "other", "1", &image);
    let data = home.path().join("srv");
    let done = import(&data, ["--prefix", "old", "--repository", "old/team/**", &from.url()]);
    done.expect(0);
    assert_eq!((done.count("imported"), done.count("loose")), (1, 1), "{done:#?}");
    let server = serve(&data);
    assert_eq!(pull::catalog(&server.client()), ["old/team/app"]);
    let referrers = server.client().get(&format!("/v2/old/team/app/referrers/{}", image.digest())).expect(200).json();
    assert_eq!(referrers["manifests"][0]["digest"], signature.digest().as_str());
}

#[test]
fn rules_that_cannot_be_had_are_missed_before_anything_comes() {
    let scene = Scene::new(Program::Three, 34);
    for option in ["--with-policy", "--with-audit"] {
        let mut command = crate::scene::command(&scene.data());
        let output = mcr_tests::process::run_within(command.args([option, &scene.registry.url()]), crate::scene::LIMIT);
        assert_eq!(output.code, Some(3), "{output:?}");
        assert!(output.stderr.contains("/v1/") && output.stderr.trim().lines().count() == 1, "{}", output.stderr);
        assert!(!scene.data().exists());
    }
}

#[test]
fn one_that_does_not_answer_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let closed = Distribution::with(Setup::default());
    let url = closed.url();
    drop(closed);
    let mut command = crate::scene::command(&home.path().join("srv"));
    let output = mcr_tests::process::run_within(command.arg(url), crate::scene::LIMIT);
    assert_eq!(output.code, Some(3), "{output:?}");
    assert_eq!(output.stderr.trim().lines().count(), 1, "{}", output.stderr);
    assert!(!home.path().join("srv").exists());
}
