//! Saving where something is wrong: broken images, bad words, full disks, closed pipes, registries that die; what was
//! there before stays, and no half of a file is left.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use mcr_tests::distribution::Distribution;
use mcr_tests::server::binary;
use mcr_tests::{damage, layout, process};

use crate::scene::{Scene, ctl, fill, mcrctl};

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_broken_image_is_refused_with_its_finding() {
    let mut scene = Scene::new();
    let layer = layout::real_image("arm64").blobs().nth(1).unwrap().clone();
    assert_eq!(scene.server.stop().0, Some(0));
    let file = scene.path("f.tar").display().to_string();
    let save = |words: &[&str]| process::run(&mut scene.save(&[words, &["-o", file.as_str()]].concat()));
    damage::flip(scene.server.data(), &layer.digest, 10);
    let said = save(&["real:v1"]).failed();
    assert_eq!(said.code, Some(1));
    for word in ["blob-corrupt", layer.digest.as_str(), "not saved"] {
        assert!(said.stderr.contains(word), "{word}: {}", said.stderr);
    }
    let _ = save(&["real:v1", "--platform", "linux/amd64"]).ok();
    std::fs::remove_file(&file).unwrap();
    damage::truncate(scene.server.data(), &layer.digest, 10);
    let said = save(&["real:v1"]).failed();
    assert!(said.stderr.contains("blob-size-mismatch"), "{}", said.stderr);
    damage::remove(scene.server.data(), &layer.digest);
    let said = save(&["real:v1"]).failed();
    assert!(said.stderr.contains("blob-missing"), "{}", said.stderr);
    assert_eq!(names(scene.home.path()), ["mcr.toml"]);
}

#[test]
fn what_a_server_set_aside_is_refused() {
    let scene = Scene::new();
    let client = scene.server.client();
    let layer = layout::real_image("amd64").blobs().nth(1).unwrap().clone();
    damage::truncate(scene.server.data(), &layer.digest, 5);
    // Noticed and quarantined at the first look.
    let _ = client.get(&format!("/v2/real/blobs/{}", layer.digest)).expect(404);
    let file = scene.path("f.tar").display().to_string();
    let said = process::run(&mut scene.save(&["real:single", "-o", &file])).failed();
    assert!(said.stderr.contains("blob-missing") && said.stderr.contains("push it again"), "{}", said.stderr);
    let reference = format!("{}/real:single", scene.server.authority());
    let said = ctl(&["--plain-http", "--json", "save", &reference, "-o", &file]).failed();
    assert_eq!(said.code, Some(1), "{said:?}");
    let document: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(document["saved"], false);
    assert!(document["findings"].as_array().is_some_and(|findings| !findings.is_empty()), "{document}");
    assert_eq!(names(scene.home.path()), ["mcr.toml"]);
}

#[test]
fn rot_of_others_is_found_while_it_is_written() {
    let old = Distribution::start();
    fill(&old.client());
    let layer = layout::real_image("amd64").blobs().nth(1).unwrap().clone();
    let path = old.data(&layer.digest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let home = tempfile::tempdir().unwrap();
    let tar = home.path().join("f.tar");
    std::fs::write(&tar, "before").unwrap();
    let reference = format!("{}/real:single", old.authority());
    let said = ctl(&["--plain-http", "save", &reference, "-o", &tar.display().to_string()]).failed();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.text().contains("blob-corrupt"), "{said:?}");
    assert_eq!(std::fs::read_to_string(&tar).unwrap(), "before");
    assert_eq!(names(home.path()), ["f.tar"]);
    // Through a pipe, what was sent so far must not pass for a tar.
    let said = ctl(&["--plain-http", "save", &reference, "-o", "-"]).failed();
    assert_eq!(said.code, Some(1), "{said:?}");
    let cut = home.path().join("cut.tar");
    std::fs::write(&cut, &said.stdout).unwrap();
    assert_ne!(process::run(Command::new("tar").arg("-tf").arg(&cut)).code, Some(0), "it is cut");
}

#[test]
fn bad_words_are_told_in_one_line() {
    let scene = Scene::new();
    let file = scene.path("f.tar").display().to_string();
    let authority = scene.server.authority();
    let real = format!("{authority}/real:v1");
    let cases: &[(&[&str], i32)] = &[
        (&["real:v1", "-o", &file], 2),
        (&[&real], 2),
        (&["-o", &file], 2),
        (&[&format!("{authority}/REAL:v1"), "-o", &file], 2),
        (&[&real, "--platform", "amd64", "-o", &file], 2),
        (&[&format!("{authority}/real:nothing"), "-o", &file], 1),
        (&[&format!("{authority}/nothing:v1"), "-o", &file], 1),
        (&["127.0.0.1:1/real:v1", "-o", &file], 3),
        (&[&real, "-o", "/dev/full"], 3),
        (&[&real, "-o", "/nowhere/f.tar"], 3),
        (&[&real, "-o", "/"], 3),
        (&["--json", &real, "-o", "-"], 2),
    ];
    for (arguments, code) in cases {
        let said = ctl(&[&["--plain-http", "save"][..], arguments].concat());
        assert_eq!(said.code, Some(*code), "{arguments:?}: {said:?}");
        // A finding is an answer, on stdout; everything else is one line on stderr.
        assert_eq!(said.stderr.lines().count(), usize::from(*code != 1), "{arguments:?}: {said:?}");
    }
    let cases: &[(&[&str], i32)] = &[
        (&["REAL", "-o", &file], 2),
        (&["real:v1@sha256:1", "-o", &file], 2),
        (&["real:nothing", "-o", &file], 1),
        (&["nothing", "-o", &file], 1),
        (&["real:v1", "-o", "/dev/full"], 1),
    ];
    for (arguments, code) in cases {
        let said = process::run(&mut scene.save(arguments));
        assert_eq!(said.code, Some(*code), "{arguments:?}: {said:?}");
    }
    assert_eq!(names(scene.home.path()), ["mcr.toml"]);
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    let scene = Scene::new();
    let reference = format!("{}/real:v1", scene.server.authority());
    let mut command = Command::new("bash");
    command.args(["-c", "\"$0\" --plain-http save \"$1\" -o - | head -c 100 >/dev/null; exit ${PIPESTATUS[0]}"]);
    command.arg(binary("mcrctl")).arg(&reference);
    let said = process::run(&mut command).failed();
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.stderr.to_lowercase().contains("broken pipe"), "{said:?}");
}

#[test]
fn somebody_who_interrupts_it_finds_no_half_of_a_file() {
    let scene = Scene::new();
    let reference = format!("{}/real:v1", scene.server.authority());
    // A pipe that nobody reads: it stands still for as long as one likes.
    let pipe = scene.path("pipe");
    let _ = process::run(Command::new("mkfifo").arg(&pipe)).ok();
    let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let mut command = mcrctl(&["--plain-http", "save", &reference, "-o", &pipe.display().to_string()]);
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    // It is in the middle of it once something came.
    reader.read_exact(&mut [0]).unwrap();
    process::terminate(&child);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(3));
    drop(reader);
    // The time of the whole command.
    let file = scene.path("f.tar").display().to_string();
    let said = ctl(&["--plain-http", "--timeout", "1ms", "save", &reference, "-o", &file]).failed();
    assert_eq!(said.code, Some(3), "{said:?}");
    assert_eq!(names(scene.home.path()), ["mcr.toml", "pipe"]);
}

#[test]
fn a_registry_that_dies_half_way_leaves_nothing() {
    // The third read of a blob is the last thing the server does.
    let options = mcr_tests::Options::faulty("blob.read=kill@2");
    let server = mcr_tests::Server::with(options);
    fill(&server.client());
    let home = tempfile::tempdir().unwrap();
    let tar = home.path().join("f.tar").display().to_string();
    let reference = format!("{}/real:v1", server.authority());
    let said = ctl(&["--plain-http", "--timeout", "60s", "save", &reference, "-o", &tar]).failed();
    assert_eq!(said.code, Some(3), "{said:?}");
    assert_eq!(names(home.path()), Vec::<String>::new());
}
