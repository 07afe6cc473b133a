//! `gc`, `plan`, `retention`, `snapshot`, `tag restore`, `repo restore` as an operator uses them.

use std::time::{Duration, Instant};

use mcr_tests::accounts::{Mode, Registry, Setup, USER};
use mcr_tests::{Blob, Image, Random, pull, push};

use crate::scene::{Shell, push_index, words};

/// Keeps deletes for a week, and what nothing refers to for the shortest lease.
fn registry() -> Registry {
    let setup = Setup::default()
        .set("gc", "schedule = \"off\"\ngrace = \"0s\"\nlease = \"10s\"")
        .set("[retention.rule]", "repositories = [\"team/**\"]\nkeep_last = 1");
    Registry::with(Mode::Htpasswd, &setup)
}

fn versions(registry: &Registry, repository: &str, count: usize, random: &mut Random) -> Vec<Image> {
    let images: Vec<Image> = (0..count).map(|_| Image::random(random, 1, 200)).collect();
    for (number, image) in images.iter().enumerate() {
        push::image(&registry.admin(), repository, &format!("v{}", number + 1), image);
    }
    images
}

#[test]
fn an_operator_frees_space() {
    let registry = registry();
    let (admin, random) = (Shell::admin(&registry), &mut Random::new(5701));
    let fresh = admin.says(&["gc", "status"]);
    assert!(fresh.starts_with("idle: it has not run yet\n") && fresh.contains("no schedule"), "{fresh}");
    push::blob(&registry.admin(), "team/app", &Blob::random(random, 200_000));
    let kept = versions(&registry, "team/app", 1, random);
    let said = admin.says(&["gc"]);
    assert!(said.starts_with("freed 0 B; 195.3 KiB wait until "), "{said}");
    assert!(said.ends_with("; now: mcrctl gc run --grace 0s --undo 0s --yes\n"), "{said}");

    // The dry run lists what goes and why, once the lease of ten seconds is over, and the run takes it.
    let end = Instant::now() + Duration::from_secs(40);
    let dry = loop {
        let dry = admin.says(&["gc", "run", "--dry-run"]);
        if dry.contains("would free 195.3 KiB") {
            break dry;
        }
        assert!(Instant::now() < end, "{dry}");
        std::thread::sleep(Duration::from_millis(500));
    };
    let lines = words(&dry);
    assert_eq!(lines[0], ["STEP", "WHERE", "DIGEST", "SIZE", "WHY", "STATE"], "{dry}");
    assert!(lines.iter().any(|line| line.first() == Some(&"blob")), "{dry}");
    let (code, json) = admin.json(&["gc", "run", "--grace", "0s", "--undo", "0s", "--yes"]);
    assert_eq!((code, &json["state"]), (0, &"done".into()), "{json}");
    assert_eq!(json["progress"]["bytes_freed"], 200_000, "{json}");
    let again = admin.says(&["gc", "run", "--no-wait"]);
    assert!(again.starts_with("begun: mcrctl plan show "), "{again}");
    let status = admin.says(&["gc", "status"]);
    assert!(status.contains("by alice"), "{status}");
    let listed = admin.says(&["gc", "plan"]);
    assert!(listed.contains("dry run") && listed.contains("done"), "{listed}");
    let _ = pull::assert_whole(&registry.admin(), "team/app", "v1");
    assert_eq!(kept.len(), 1);
}

#[test]
fn a_new_rule_is_confirmed_and_a_wrong_run_undone() {
    let registry = registry();
    let (admin, random) = (Shell::admin(&registry), &mut Random::new(5702));
    let _ = versions(&registry, "team/app", 3, random);
    let dry = admin.says(&["retention", "run", "--dry-run"]);
    assert!(dry.contains("team/app:v1") && dry.contains("team/app:v2") && !dry.contains("team/app:v3"), "{dry}");
    assert!(dry.contains("\nwould delete 2 tags "), "{dry}");
    // It does not run by itself the first time: exit code 1, and the command that says so.
    let waits = admin.exits(1, &["retention", "run"]);
    let id = waits.trim_end().rsplit(' ').next().unwrap().to_owned();
    assert!(waits.trim_end().ends_with(&format!("mcrctl plan confirm {id}")), "{waits}");
    let listed = admin.says(&["plan", "list", "--state", "needs_confirmation"]);
    assert_eq!(words(&listed)[1][..3], [id.as_str(), "needs_confirmation", "retention"], "{listed}");
    assert!(admin.says(&["plan", "show", &id]).contains("discarded on "));
    let done = admin.says(&["plan", "confirm", &id]);
    assert!(done.starts_with("deleted 2 tags and 2 manifests in "), "{done}");
    assert!(done.ends_with(&format!("to undo it: mcrctl tag restore --run {id}\n")), "{done}");
    assert_eq!(pull::tags(&registry.admin(), "team/app"), ["v3"]);
    assert!(admin.exits(1, &["plan", "confirm", &id]).contains("done"));

    let would = admin.says(&["tag", "restore", "--run", &id, "--dry-run"]);
    assert!(would.ends_with("would restore 2 tags and 2 manifests in 1 repository\n"), "{would}");
    assert_eq!(pull::tags(&registry.admin(), "team/app"), ["v3"]);
    let back = admin.says(&["tag", "restore", "--run", &id]);
    assert!(back.ends_with("restored 2 tags and 2 manifests in 1 repository\n"), "{back}");
    assert_eq!(pull::assert_all_whole(&registry.admin()), 3);
    // Somebody who is asked says no; who is not there is not asked.
    let (code, said) = admin.typed("no\n", &["retention", "run"]);
    assert!(code == Some(1) && said.contains("nothing was changed"), "{said}");
    let (code, json) = admin.json(&["retention", "run", "--yes", "--repositories", "team/*"]);
    assert_eq!((code, &json["progress"]["tags_removed"]), (0, &2.into()), "{json}");
}

#[test]
fn a_plan_is_discarded() {
    let registry = registry();
    let admin = Shell::admin(&registry);
    let _ = versions(&registry, "team/app", 2, &mut Random::new(5703));
    let (code, plan) = admin.json(&["retention", "run"]);
    assert_eq!((code, &plan["state"]), (1, &"needs_confirmation".into()), "{plan}");
    let id = plan["id"].as_str().unwrap();
    assert_eq!(admin.says(&["retention", "plan", "discard", id]), format!("discarded {id}\n"));
    assert!(admin.exits(1, &["plan", "discard", id]).contains("discarded"));
    assert_eq!(admin.json(&["plan", "show", id]).1["state"], "discarded");
    assert!(admin.exits(1, &["plan", "show", "nothing"]).contains("no such plan"));
}

#[test]
fn tags_manifests_and_repositories_come_back() {
    let registry = registry();
    let (admin, random) = (Shell::admin(&registry), &mut Random::new(5704));
    let images = versions(&registry, "app", 1, random);
    let index = push_index(&registry, "app", "multi", 5705);
    let moved = Image::random(random, 1, 100);
    push::image(&registry.admin(), "app", "v1", &moved);
    let said = admin.says(&["tag", "restore", "app:v1"]);
    assert_eq!(said, format!("app:v1 points at {}, and pointed at {} before\n", images[0].digest(), moved.digest()));
    let said = admin.says(&["tag", "restore", "app:v1", "--to", moved.digest().as_str()]);
    assert!(said.starts_with(&format!("app:v1 points at {}", moved.digest())), "{said}");
    let _ = registry.admin().delete(&format!("/v2/app/manifests/{}", index.digest())).expect(202);
    assert_eq!(admin.says(&["tag", "restore", &format!("app@{}", index.digest())]), "restored 1 manifest\n");
    assert_eq!(admin.says(&["tag", "restore", "app:multi"]), format!("app:multi points at {}\n", index.digest()));
    let _ = admin.says(&["repo", "delete", "app", "--yes"]);
    let back = admin.says(&["repo", "restore", "app"]);
    assert!(back.starts_with("restored app: 2 tags, "), "{back}");
    assert_eq!(pull::assert_all_whole(&registry.admin()), 2);
    let since = jiff::Timestamp::now().to_string();
    let _ = admin.says(&["tag", "delete", "app:multi", "--yes"]);
    let back = admin.says(&["tag", "restore", "--since", &since, "--by", "alice"]);
    assert!(
        back.contains("app:multi ") && pull::tags(&registry.admin(), "app").contains(&"multi".to_owned()),
        "{back}"
    );

    for wrong in [
        &["tag", "restore"][..],
        &["tag", "restore", "app"],
        &["tag", "restore", "app:v1", "--run", "x"],
        &["tag", "restore", "app:v1", "--dry-run"],
        &["tag", "restore", "--run", "x", "--since", "1h"],
        &["tag", "restore", "--run", "x", "--by", "alice"],
        &["tag", "restore", "app:v1", "--to", "v2"],
        // Incident 16: what looks like a flag is one, or an error; never a name.
        &["gc", "--dryrun"],
        &["gc", "run", "dry-run"],
        &["gc", "run", "--grace", "--dry-run"],
        &["retention", "run", "team/app"],
        &["plan", "show"],
    ] {
        let _ = admin.exits(2, wrong);
    }
    assert!(admin.exits(1, &["tag", "restore", "app:never"]).contains("never"));
    assert!(admin.exits(1, &["repo", "restore", "never"]).contains("never"));
    let _ = admin.exits(1, &["tag", "restore", "--run", "0000"]);
    let user = Shell::of(&registry, USER);
    for refused in
        [&["gc"][..], &["retention", "run"], &["snapshot"], &["repo", "restore", "app"], &["tag", "restore", "app:v1"]]
    {
        let _ = user.exits(1, refused);
    }
    let _ = user.exits(3, &["plan", "list"]);
}

#[test]
fn a_snapshot_is_taken_and_listed() {
    let registry = registry();
    let admin = Shell::admin(&registry);
    let _ = versions(&registry, "app", 1, &mut Random::new(5706));
    let said = admin.says(&["snapshot"]);
    assert!(said.contains("/backups/mcr-") && said.ends_with("refers to 2 blobs\n"), "{said}");
    assert!(std::path::Path::new(said.split(": ").next().unwrap()).is_file(), "{said}");
    let listed = admin.says(&["snapshot", "list"]);
    assert!(words(&listed)[1].ends_with(&["2", "sound"]), "{listed}");
    assert_eq!(admin.json(&["snapshot", "list"]).1["snapshots"].as_array().unwrap().len(), 1);
}

#[test]
fn a_bar_is_drawn_on_a_terminal_and_the_answer_after_it() {
    let registry = registry();
    let admin = Shell::admin(&registry);
    let (code, said) = admin.typed("yes\n", &["gc", "run", "--grace", "0s"]);
    assert!(code == Some(0) && said.contains("removes for good"), "{said}");
    assert!(said.trim_end().ends_with("freed 0 B; nothing waits"), "{said}");
}
