//! `kill -9` of the real program inside a run: at every point between its rows and its files, and between what retention
//! did and what its plan says of it. The next start goes on; nothing listed is incomplete, nothing is left over.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mcr_tests::{Blob, Image, Index, Random, pull, push};
use serde_json::{Value, json};

use crate::scene::{Living, within};

const FAULTS: &str = "MCR_FAULTS";
/// How long a run may take to come to its fault point.
const STRUCK: Duration = Duration::from_secs(30);

/// Asks for a run that does not live to its end, starts the server again without faults, and gives the plan as it then
/// ended.
fn killed(living: &mut Living, target: &str, body: &Value, job: &str) -> Value {
    let client = living.client();
    let request = client.request("POST", target).header("Content-Type", "application/json");
    // The answer may be cut off with the process.
    let _ = request.body(body.to_string().as_bytes()).send();
    assert!(living.server.wait_gone(STRUCK), "the fault point was not passed\n{}", living.server.log());
    living.server.set_env(FAULTS, "");
    living.server.restart();
    let newest = living.get(&format!("/v1/plans?n=1&job={job}"))["plans"][0].clone();
    living.settled(newest["id"].as_str().unwrap())
}

/// The blob files there are.
fn files(living: &Living) -> BTreeSet<String> {
    let shards = std::fs::read_dir(living.server.data().join("layers/sha256")).unwrap();
    let names = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap());
    names.map(|file| format!("sha256:{}", file.unwrap().file_name().into_string().unwrap())).collect()
}

/// A run of the collector over an index with a child deleted, a sole image, and blobs that nothing names, is killed there.
fn collector_killed_at(fault: &str, seed: u64) {
    let mut living = Living::start();
    let (client, random) = (living.client(), &mut Random::new(seed));
    let kept = Index::random(random, 2000);
    push::index(&client, "app", "v1", &kept);
    let (multi, sole) = (Index::random(random, 1500), Image::random(random, 3, 1500));
    push::index(&client, "app", "gone", &multi);
    // Of the layers that go one is held by what stays.
    let sharing = Image::over("s390x", vec![kept.images[0].layers[0].clone(), Blob::random(random, 900)]);
    push::image(&client, "other", "gone", &sharing);
    push::image(&client, "other", "sole", &sole);
    let lost: Vec<Blob> = (0..4).map(|_| Blob::random(random, 700)).collect();
    lost.iter().for_each(|blob| push::blob(&client, "lost", blob));
    let _ = client.delete(&format!("/v2/app/manifests/{}", multi.digest())).expect(202);
    for image in &multi.images {
        let _ = client.delete(&format!("/v2/app/manifests/{}", image.digest())).expect(202);
    }
    let _ = client.delete("/v1/repositories/other").expect(200);
    let _ = living.collect_until(&json!({"dry_run": true}), || {
        let totals = living.get("/v1/plans?n=1")["plans"][0]["totals"].clone();
        totals["waiting_digests"] == 0 && totals["digests"] != 0
    });

    let _ = living.server.stop();
    living.server.set_env(FAULTS, fault);
    living.server.restart();
    let plan = killed(&mut living, "/v1/gc", &json!({"yes": true}), "gc");
    if plan["state"] == "discarded" {
        // It was not made to its end: nothing was taken by it.
        assert!(lost.iter().all(|blob| living.holds(blob)), "{plan}");
    } else {
        assert_eq!((&plan["state"], &plan["progress"]["skipped"]), (&json!("done"), &json!(0)), "{fault}: {plan}");
    }
    let client = living.client();
    let _ = pull::assert_whole(&client, "app", "v1");
    assert_eq!(pull::assert_all_whole(&client), 1);
    let done = living.collect(&json!({"yes": true, "reconcile": true}));
    assert_eq!((&done["state"], &done["progress"]["findings"]), (&json!("done"), &json!(0)), "{fault}: {done}");
    if plan["state"] == "done" {
        assert_eq!(done["progress"]["files_removed"], 0, "{fault}: the run itself removes what it began: {done}");
    }
    let needed: BTreeSet<String> =
        kept.images.iter().flat_map(Image::blobs).map(|blob| blob.digest.to_string()).collect();
    assert_eq!(files(&living), needed, "{fault}");
    // What went can be pushed again at once.
    push::index(&client, "app", "again", &multi);
    lost.iter().for_each(|blob| push::blob(&client, "lost", blob));
    assert_eq!(pull::assert_all_whole(&client), 2);
}

/// Each of them waits for a lease of ten seconds: they do so at the same time.
#[test]
fn a_collector_that_is_killed_goes_on_and_leaves_nothing_behind() {
    let faults = [
        // Rows of all are gone, and the file of none, of some.
        ("gc.rows_gone=kill@1", 5701),
        ("gc.rows_gone=kill@4", 5702),
        ("blob.remove=kill@2", 5703),
        ("blob.removed=kill@3", 5704),
        // Which write of its life that is depends on what else the server writes: one while the plan is made.
        ("metadata.committed=kill@4", 5705),
    ];
    std::thread::scope(|scope| {
        for (fault, seed) in faults {
            let name = std::thread::Builder::new().name(fault.to_owned());
            name.spawn_scoped(scope, move || collector_killed_at(fault, seed)).unwrap();
        }
    });
}

/// Whether the server is struck again; `false` once the newest plan is done.
fn struck(living: &mut Living) -> bool {
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        if living.server.wait_gone(Duration::from_millis(20)) {
            return true;
        }
        // It may go while it is asked.
        let answer = living.client().request("GET", "/v1/plans?n=1").send();
        if answer.is_ok_and(|answer| answer.status == 200 && answer.json()["plans"][0]["state"] == "done") {
            return false;
        }
        assert!(Instant::now() < limit, "neither struck nor done");
    }
}

#[test]
fn a_collector_that_is_killed_at_every_file_comes_to_its_end() {
    let mut living = Living::start();
    let random = &mut Random::new(5706);
    let lost: Vec<Blob> = (0..3).map(|_| Blob::random(random, 700)).collect();
    lost.iter().for_each(|blob| push::blob(&living.client(), "lost", blob));
    let _ = living
        .collect_until(&json!({"dry_run": true}), || living.get("/v1/plans?n=1")["plans"][0]["totals"]["digests"] != 0);
    let _ = living.server.stop();
    living.server.set_env(FAULTS, "blob.removed=kill@1");
    living.server.restart();
    let request = living.client();
    let _ = request.request("POST", "/v1/gc").header("Content-Type", "application/json").body(b"{}").send();
    let mut lives = 0;
    while struck(&mut living) {
        lives += 1;
        assert!(lives <= lost.len() + 1, "it does not come to an end");
        // A server may be struck before it says that it is ready.
        let _ = living.server.try_start();
    }
    assert_eq!(lives, lost.len(), "one file a life");
    let newest = living.get("/v1/plans?n=1")["plans"][0].clone();
    let plan = living.settled(newest["id"].as_str().unwrap());
    assert_eq!((&plan["state"], &plan["progress"]["blobs_removed"]), (&json!("done"), &json!(3)), "{plan}");
    assert_eq!(files(&living), BTreeSet::new());
}

/// Retention of multi-platform images, killed there: resumed, undone, whole.
fn retention_killed_at(fault: &str, seed: u64) {
    let rule = "[[retention.rule]]\nrepositories = [\"**\"]\nkeep_last = 2\n";
    let mut living = Living::with(rule, &[("MCR_GC_UNDO", "7d")]);
    let random = &mut Random::new(seed);
    for number in 0..6 {
        push::index(
            &living.client(),
            &format!("app/{}", number % 2),
            &format!("v{number}"),
            &Index::random(random, 300),
        );
        push::index(&living.client(), "app/0", &format!("w{number}"), &Index::random(random, 300));
    }
    let _ = living.server.stop();
    living.server.set_env(FAULTS, fault);
    living.server.restart();
    let plan = killed(&mut living, "/v1/retention/run", &json!({"yes": true}), "retention");
    assert_eq!((&plan["state"], &plan["progress"]["skipped"]), (&json!("done"), &json!(0)), "{fault}: {plan}");
    let client = living.client();
    assert_eq!(pull::assert_all_whole(&client), 4, "{fault}");
    let run = plan["id"].as_str().unwrap();
    let undone = living.post("/v1/restore", &json!({"run": run})).expect(200).json();
    assert_eq!((&undone["tags_restored"], &undone["refused"]), (&json!(8), &json!([])), "{fault}: {undone}");
    assert_eq!(pull::assert_all_whole(&client), 12, "{fault}");
    let status = within(STRUCK, "no run", || {
        let status = living.get("/v1/gc/status");
        (status["running"] == false).then_some(status)
    });
    assert_eq!(status["current"], json!(null));
}

#[test]
fn after_the_first_deletes_of_retention() {
    retention_killed_at("retention.applied=kill@1", 5707);
}

#[test]
fn after_the_second_repository_of_retention() {
    retention_killed_at("retention.applied=kill@2", 5708);
}

/// A file that the disk does not let go keeps neither its row nor the rest of the garbage.
#[test]
fn one_file_that_cannot_be_removed_stops_no_later_run() {
    let mut living = Living::start();
    let random = &mut Random::new(5709);
    let [stuck, other] = [(); 2].map(|()| Blob::random(random, 700));
    for blob in [&stuck, &other] {
        std::fs::create_dir_all(living.file(&blob.digest).parent().unwrap()).unwrap();
        std::fs::write(living.file(&blob.digest), &blob.bytes).unwrap();
    }
    let lost = Blob::random(random, 700);
    push::blob(&living.client(), "lost", &lost);
    let _ = living.collect_until(&json!({"dry_run": true, "reconcile": true}), || {
        living.get("/v1/plans?n=1")["plans"][0]["totals"]["digests"] == 3
    });
    let _ = living.server.stop();
    living.server.set_env(FAULTS, "blob.remove=eio@1");
    living.server.restart();
    let plan = living.collect(&json!({"reconcile": true}));
    assert_eq!((&plan["state"], &plan["progress"]["skipped"]), (&json!("done"), &json!(1)), "{plan}");
    assert_eq!(files(&living).len(), 1, "{plan}");
    // That it lies there is remembered.
    let plan = living.collect(&json!({}));
    assert_eq!((&plan["progress"]["files_removed"], files(&living).len()), (&json!(1), 0), "{plan}");
}
