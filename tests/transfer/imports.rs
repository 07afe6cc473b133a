//! `mcrctl import`: from a registry of others and from one of ours into a running server, again and again, with what is
//! broken left out; never a tree on disk.

use mcr_oci::media_type;
use mcr_tests::accounts::{Mode, Registry};
use mcr_tests::distribution::Distribution;
use mcr_tests::{Blob, Image, Index, Options, Random, Server, damage, layout, process, pull, push};
use serde_json::Value;

use crate::scene::{ctl, fill, mcrctl};

/// Imports, and reads what was said.
#[track_caller]
fn import(from: &str, to: &str, options: &[&str]) -> (Option<i32>, Value) {
    let said = ctl(&[&["--json", "--addr", to, "import", from], options].concat());
    let report = serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    (said.code, report)
}

#[track_caller]
fn count(report: &Value, what: &str) -> u64 {
    report["counts"][what].as_u64().unwrap_or_else(|| panic!("no {what}: {report}"))
}

#[test]
fn everything_comes_and_a_second_run_follows() {
    let old = Distribution::start();
    let theirs = old.client();
    fill(&theirs);
    let mut random = Random::new(11);
    let docker = Image::random(&mut random, 3, 5_000);
    push::image(&theirs, "team/app", "1", &docker);
    push::image(&theirs, "team/app", "2", &docker);
    let new = Server::start();
    let (code, report) = import(&old.url(), &new.url(), &["--dry-run"]);
    assert_eq!((code, count(&report, "imported")), (Some(0), 4), "{report}");
    assert!(report["bytes"]["new"].as_u64().is_some_and(|bytes| bytes > 1_000_000), "{report}");
    assert!(pull::catalog(&new.client()).is_empty(), "a dry run brings nothing");

    let (code, report) = import(&old.url(), &new.url(), &[]);
    assert_eq!((code, count(&report, "imported"), count(&report, "unchanged")), (Some(0), 4, 0), "{report}");
    assert_eq!(report["sound"], true);
    for (repository, tag) in [("real", "v1"), ("real", "single"), ("team/app", "1"), ("team/app", "2")] {
        let theirs = old.manifest(repository, tag).expect(200);
        let ours = new.client().get(&format!("/v2/{repository}/manifests/{tag}")).expect(200);
        assert_eq!(ours.required("docker-content-digest"), theirs.required("docker-content-digest"));
        let _ = pull::assert_whole(&new.client(), repository, tag);
    }

    // A tag that moved, one that is new, one that went.
    let moved = Image::random(&mut random, 1, 500);
    push::image(&theirs, "team/app", "2", &moved);
    push::image(&theirs, "team/app", "3", &docker);
    std::fs::remove_dir_all(old.repository("team/app").join("_manifests/tags/1")).unwrap();
    let (code, report) = import(&old.url(), &new.url(), &[]);
    assert_eq!(code, Some(0), "{report}");
    let counts = ["imported", "moved", "unchanged", "gone"].map(|what| count(&report, what));
    assert_eq!(counts, [1, 1, 2, 1], "{report}");
    assert_eq!(report["moved"][0]["to"], moved.digest().as_str());
    assert_eq!(report["gone"][0]["tag"], "1");
    let _ = pull::assert_whole(&new.client(), "team/app", "1");

    let (code, report) = import(&old.url(), &new.url(), &["--repository", "real"]);
    assert_eq!((code, count(&report, "unchanged"), count(&report, "tags")), (Some(0), 2, 2), "{report}");
    assert_eq!(report["bytes"]["sent"], 0);
    // A name that is written wrong is not "done", whether it is asked for or looked for in the catalog.
    for wrong in ["rael", "rael/**"] {
        let (code, report) = import(&old.url(), &new.url(), &["--repository", wrong]);
        assert_eq!((code, &report["unmatched"]), (Some(1), &serde_json::json!([wrong])), "{report}");
    }
}

#[test]
fn what_is_broken_is_listed_and_left_out() {
    let old = Distribution::start();
    let theirs = old.client();
    fill(&theirs);
    let mut random = Random::new(12);
    let [rotten, cut] = [(); 2].map(|()| Image::random(&mut random, 2, 3_000));
    push::image(&theirs, "bad", "rotten", &rotten);
    push::image(&theirs, "bad", "cut", &cut);
    let index = Index::random(&mut random, 2_000);
    push::index(&theirs, "bad", "orphan", &index);
    let layer = |image: &Image| image.blobs().nth(1).unwrap().digest.clone();
    let path = old.data(&layer(&rotten));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[7] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    std::fs::OpenOptions::new().write(true).open(old.data(&layer(&cut))).unwrap().set_len(5).unwrap();
    std::fs::remove_file(old.revision("bad", index.images[0].digest())).unwrap();
    let new = Server::start();
    // What is flipped is seen only by who reads it.
    let (code, report) = import(&old.url(), &new.url(), &["--dry-run"]);
    assert_eq!((code, count(&report, "imported"), count(&report, "broken")), (Some(1), 3, 2), "{report}");
    let (code, report) = import(&old.url(), &new.url(), &[]);
    assert_eq!((code, count(&report, "imported"), count(&report, "broken")), (Some(1), 2, 3), "{report}");
    let kinds: Vec<(&str, &str)> = report["broken"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| (tag["tag"].as_str().unwrap(), tag["findings"][0]["kind"].as_str().unwrap()))
        .collect();
    assert_eq!(kinds[1], ("orphan", "manifest-missing"), "{kinds:?}");
    assert_eq!(kinds[2], ("rotten", "blob-corrupt"), "{kinds:?}");
    assert_eq!(kinds[0].0, "cut");
    assert!(["blob-truncated", "blob-size-mismatch"].contains(&kinds[0].1), "{kinds:?}");
    assert!(pull::tags(&new.client(), "bad").is_empty());
    let text = ctl(&["--addr", &new.url(), "import", &old.url()]).failed();
    assert!(text.text().contains("left out bad:rotten") && text.text().contains("NOT ALL IMPORTED"), "{text:?}");
}

#[test]
fn referrers_come_along_and_layers_are_mounted() {
    let (old, new) = (Server::start(), Server::start());
    let theirs = old.client();
    let mut random = Random::new(13);
    let image = Image::random(&mut random, 2, 200_000);
    push::image(&theirs, "one", "v1", &image);
    push::image(&theirs, "two", "v1", &image);
    let signature = Image::random(&mut random, 1, 100).about(&image.manifest, "application/vnd.example.signature");
    push::image(&theirs, "one", signature.digest().as_str(), &signature);
    let (code, report) = import(&old.url(), &new.url(), &["--jobs", "1"]);
    assert_eq!((code, count(&report, "imported"), count(&report, "loose")), (Some(0), 2, 1), "{report}");
    let sent = report["bytes"]["sent"].as_u64().unwrap();
    assert!(sent < 500_000, "what two repositories share is sent once: {report}");
    let referrers = new.client().get(&format!("/v2/one/referrers/{}", image.digest())).expect(200).json();
    assert_eq!(referrers["manifests"][0]["digest"], signature.digest().as_str());
    let _ = pull::assert_whole(&new.client(), "one", signature.digest().as_str());
}

#[test]
fn what_everybody_may_pull_comes_with_its_referrers_though_each_question_needs_a_token() {
    let (old, new) = (Registry::start(Mode::Htpasswd), Server::start());
    let _ = old.open_to_all("public/**");
    let theirs = old.admin();
    let mut random = Random::new(16);
    let mut signatures = Vec::new();
    for repository in ["public/one", "public/two"] {
        let image = Image::random(&mut random, 1, 2_000);
        push::image(&theirs, repository, "v1", &image);
        let signature = Image::random(&mut random, 1, 100).about(&image.manifest, "application/vnd.example.signature");
        push::image(&theirs, repository, signature.digest().as_str(), &signature);
        signatures.push((repository, signature));
    }
    let (from, trust) = (format!("https://{}", old.authority()), old.trust().join("ca.crt").display().to_string());
    let names = ["--ca-cert", trust.as_str(), "--repository", "public/one,public/two"];
    let (code, report) = import(&from, &new.url(), &names);
    assert_eq!((code, count(&report, "imported"), count(&report, "loose")), (Some(0), 2, 2), "{report}");
    for (repository, signature) in signatures {
        let _ = pull::assert_whole(&new.client(), repository, signature.digest().as_str());
    }
}

#[test]
fn what_is_broken_here_is_healed() {
    let old = Distribution::start();
    fill(&old.client());
    let new = Server::start();
    let (code, _) = import(&old.url(), &new.url(), &[]);
    assert_eq!(code, Some(0));
    let layer = layout::real_image("arm64").blobs().nth(1).unwrap().clone();
    damage::truncate(new.data(), &layer.digest, 9);
    let _ = new.client().get(&format!("/v2/real/blobs/{}", layer.digest)).expect(404);
    let (code, report) = import(&old.url(), &new.url(), &[]);
    assert_eq!((code, count(&report, "blobs")), (Some(0), 1), "{report}");
    let _ = pull::assert_whole(&new.client(), "real", "v1");
}

#[test]
fn logins_trust_and_addresses_are_each_registry_s_own() {
    let old = Distribution::secured();
    fill(&old.client());
    let new = Server::with(Options::secured());
    let home = tempfile::tempdir().unwrap();
    let both = home.path().join("both.pem");
    let certificates = [old.certificate(), new.certificate()].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::write(&both, certificates.concat()).unwrap();
    let both = both.display().to_string();
    let (from, to) = (old.url(), new.url());
    let run = |options: &[&str]| {
        let words = [&["--ca-cert", both.as_str(), "--addr", &to, "import", &from][..], options].concat();
        process::run(mcrctl(&words).env("MCR_PASSWORD", new.password()))
    };
    let said = run(&[]).failed();
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.stderr.contains("401") && said.stderr.lines().count() == 1, "{said:?}");
    let said = run(&["--username", "admin"]).ok();
    assert!(said.text().contains("imported 2 of 2 tags"), "{said:?}");
    let _ = pull::assert_whole(&new.client(), "real", "v1");
    for (arguments, code) in [
        (vec!["--addr", &new.url(), "import", "/var/lib/registry"], 2),
        (vec!["--addr", &new.url(), "import"], 2),
        (vec!["--addr", &new.url(), "import", &new.url()], 2),
        (vec!["import", &old.url()], 2),
        (vec!["--addr", &new.url(), "--ca-cert", &both, "import", "http://127.0.0.1:1"], 3),
    ] {
        let said = ctl(&arguments);
        assert_eq!(said.code, Some(code), "{said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
    }
}

#[test]
fn a_target_that_refuses_says_why() {
    let old = Distribution::start();
    fill(&old.client());
    let new = Server::start();
    let _ = ctl(&["--addr", &new.url(), "read-only", "on", "--yes"]);
    let _ = ctl(&["--addr", &new.url(), "read-only", "on"]);
    let (code, report) = import(&old.url(), &new.url(), &[]);
    assert_eq!(code, Some(3), "{report}");
    assert!(report["ended"].as_str().is_some_and(|why| why.contains("405")), "{report}");
    let _ = ctl(&["--addr", &new.url(), "read-only", "off"]).ok();
    let (code, _) = import(&old.url(), &new.url(), &[]);
    assert_eq!(code, Some(0));
}

#[test]
fn a_source_that_dies_half_way_is_gone_on_with() {
    let old = Server::with(Options::faulty("blob.read=kill@6"));
    let theirs = old.client();
    let mut random = Random::new(14);
    let images: Vec<Image> = (0..8).map(|_| Image::random(&mut random, 2, 150_000)).collect();
    for (number, image) in images.iter().enumerate() {
        push::image(&theirs, "many", &format!("v{number}"), image);
    }
    let new = Server::start();
    let (code, report) = import(&old.url(), &new.url(), &["--jobs", "2", "--timeout", "120s"]);
    assert_eq!(code, Some(3), "{report}");
    assert!(report["ended"].is_string(), "{report}");
    let _ = pull::assert_all_whole(&new.client());
    let again = Server::with(Options::default().at(old.data()));
    let (code, report) = import(&again.url(), &new.url(), &[]);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(pull::assert_all_whole(&new.client()), images.len());
}

#[test]
fn lists_of_docker_types_and_foreign_layers_come_as_they_are() {
    let old = Server::start();
    let theirs = old.client();
    let mut random = Random::new(15);
    let image = Image::random(&mut random, 1, 2_000).changed(|manifest| {
        let foreign = Blob::new("never stored").descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar");
        manifest["layers"].as_array_mut().unwrap().push(foreign);
    });
    push::image(&theirs, "odd", "foreign", &image);
    let new = Server::start();
    let (code, report) = import(&old.url(), &new.url(), &["--prefix", "old/registry"]);
    assert_eq!(code, Some(0), "{report}");
    let ours = new.client().get("/v2/old/registry/odd/manifests/foreign").expect(200);
    assert_eq!(ours.required("content-type"), media_type::OCI_MANIFEST);
    assert_eq!(ours.required("docker-content-digest"), image.digest().as_str());
}
