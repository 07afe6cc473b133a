//! What garbage collection takes, what it leaves, and what it says.

use mcr_oci::media_type;
use mcr_tests::{Blob, Image, Random, pull, push};
use serde_json::json;

use crate::scene::{Living, as_configured, steps};

#[test]
fn what_nothing_refers_to_goes_and_everything_else_stays() {
    let living = Living::start();
    let (client, random) = (living.client(), &mut Random::new(5101));
    let [tagged, pinned, dropped] = [(); 3].map(|()| Image::random(random, 2, 3000));
    push::image(&client, "app", "v1", &tagged);
    push::image(&client, "app", pinned.digest().as_str(), &pinned);
    push::image(&client, "other", "v1", &dropped);
    // Shares its layers with what stays.
    let sharing = Image::over("arm64", tagged.layers.clone());
    push::image(&client, "other", "sharing", &sharing);
    let _ = client.delete("/v1/repositories/other").expect(200);
    let lost = Blob::random(random, 5000);
    push::blob(&client, "app", &lost);

    // What was just promised stays, whatever is asked for.
    let early = living.collect(&json!({"grace": "0s", "undo": "0s", "yes": true}));
    assert_eq!((&early["state"], &early["progress"]["blobs_removed"]), (&json!("done"), &json!(0)), "{early}");
    let message = early["message"].as_str().unwrap();
    assert!(message.starts_with("freed 0 B; ") && message.contains(" wait until "), "{message}");
    assert!(message.ends_with("; now: mcrctl gc run --grace 0s --undo 0s --yes"), "{message}");
    assert!(living.holds(&lost) && living.holds(&dropped.layers[0]));

    // A dry run says what would go, and why, and takes nothing; then it is taken.
    let dry = living.collect_until(&json!({"dry_run": true}), || {
        let last = living.get("/v1/plans?n=1")["plans"][0].clone();
        last["totals"]["waiting_digests"] == 0 && last["totals"]["digests"] != 0
    });
    assert!(dry["dry_run"] == true && living.holds(&lost), "{dry}");
    let named = steps(&dry, "blob");
    assert!(named.iter().any(|step| step["digest"] == lost.digest.as_str()), "{dry}");
    assert!(named.iter().all(|step| !step["reason"].as_str().unwrap().is_empty()), "{dry}");
    assert!(
        !named
            .iter()
            .any(|step| tagged.blobs().chain(pinned.blobs()).any(|blob| step["digest"] == blob.digest.as_str()))
    );
    let done = living.collect(&as_configured());
    assert_eq!(done["state"], "done", "{done}");
    for blob in dropped.blobs().chain([&lost, &sharing.config]) {
        assert!(!living.holds(blob), "{} is still there: {done}", blob.digest);
    }
    assert_eq!(done["progress"]["blobs_removed"], json!(dropped.blobs().count() + 2), "{done}");
    assert_eq!(done["progress"]["manifests_removed"], 2, "{done}");
    assert_eq!(done["progress"]["bytes_freed"], dry["totals"]["bytes"], "{done}");

    let _ = pull::assert_whole(&client, "app", "v1");
    let _ = pull::assert_whole(&client, "app", pinned.digest().as_str());
    let status = living.get("/v1/gc/status");
    assert_eq!((&status["running"], &status["current"]), (&json!(false), &json!(null)), "{status}");
    assert_eq!(status["last_run"]["id"], done["id"], "a dry run is none: {status}");
    assert_eq!(status["last_run"]["bytes_freed"], done["progress"]["bytes_freed"]);
    assert_eq!(status["message"], done["message"]);
    assert_eq!(living.figure("mcr_gc_freed_bytes_total").unwrap(), done["progress"]["bytes_freed"].as_f64().unwrap());
    assert!(living.figure("mcr_gc_last_success_timestamp").unwrap() > 1.7e9);
    assert_eq!(living.figure("mcr_gc_running"), Some(0.0));
    let events = living.get("/v1/audit?n=1000&event=gc_completed");
    assert!(
        events["events"].as_array().unwrap().iter().any(|event| event["details"]["run_id"] == done["id"]),
        "{events}"
    );
}

#[test]
fn what_was_deleted_waits_for_undo_and_a_snapshot_holds_it() {
    let living = Living::with("", &[("MCR_GC_UNDO", "7d")]);
    let (client, random) = (living.client(), &mut Random::new(5102));
    let [before, after] = [(); 2].map(|()| Image::random(random, 1, 3000));
    push::image(&client, "before", "v1", &before);
    let snapshot = living.post("/v1/snapshot", &json!({})).expect(201).json();
    assert!(snapshot["path"].as_str().unwrap().ends_with(snapshot["name"].as_str().unwrap()), "{snapshot}");
    assert_eq!(living.get("/v1/snapshot")["snapshots"], json!([snapshot]));
    push::image(&client, "after", "v1", &after);
    for name in ["before", "after"] {
        let _ = client.delete(&format!("/v1/repositories/{name}")).expect(200);
    }
    // By then the leases are over: with less patience the one goes, which no snapshot refers to.
    let _ = living.collect_until(&json!({"undo": "0s", "dry_run": true}), || {
        let plan = living.get("/v1/plans?n=1")["plans"][0].clone();
        plan["totals"]["digests"] != 0
    });
    let kept = living.collect(&as_configured());
    assert_eq!(kept["progress"]["bytes_freed"], 0, "{kept}");
    assert!(living.holds(&after.layers[0]));
    let done = living.collect_until(&json!({"undo": "0s", "yes": true}), || !living.holds(&after.layers[0]));
    assert!(before.blobs().all(|blob| living.holds(blob)), "{done}");
    assert!(done["totals"]["held_bytes"].as_u64().unwrap() >= 3000, "{done}");
    let message = done["message"].as_str().unwrap();
    assert!(message.contains("held by") && message.contains(" wait until "), "{done}");
    assert!(living.figure("mcr_snapshot_last_success_timestamp").unwrap() > 1.7e9);
}

#[test]
fn uploads_whose_time_is_past_end_with_a_collection() {
    let living = Living::with("", &[("MCR_STORAGE_UPLOAD_TTL", "1s")]);
    let session = push::open_upload(&living.client(), "app");
    let ended = || living.client().get(&session).status == 404;
    assert!(!ended());
    let _ = living.collect_until(&json!({}), ended);
}

#[test]
fn one_run_at_a_time() {
    let living = Living::with("", &[("MCR_FAULTS", "gc.rows_gone=sleep:8000")]);
    let client = living.client();
    let lost = Blob::random(&mut Random::new(5103), 500);
    push::blob(&client, "app", &lost);
    let _ = living
        .collect_until(&json!({"dry_run": true}), || living.get("/v1/plans?n=1")["plans"][0]["totals"]["digests"] != 0);
    let id = living.post("/v1/gc", &json!({})).expect(202).json()["id"].as_str().unwrap().to_owned();
    let refused = living.post("/v1/gc", &json!({})).expect(409).json();
    assert!(refused["error"].as_str().unwrap().contains("under way"), "{refused}");
    let status = living.get("/v1/gc/status");
    assert_eq!((&status["running"], &status["current"]["id"]), (&json!(true), &json!(id)), "{status}");
    assert_eq!(living.figure("mcr_gc_running"), Some(1.0));
    // Pushes and pulls go on meanwhile.
    push::image(&client, "meanwhile", "v1", &Image::random(&mut Random::new(5104), 1, 100));
    let _ = pull::assert_whole(&client, "meanwhile", "v1");
    assert_eq!(living.settled(&id)["state"], "done");
    assert!(!living.holds(&lost));
}

#[test]
fn a_run_that_makes_no_sense_is_refused() {
    let living = Living::start();
    for (body, said) in [
        (json!({"grace": "soon"}), "grace is no length of time"),
        (json!({"undo": "-1s"}), "undo is no length of time"),
        (json!({"dryrun": true}), "unknown field `dryrun`"),
        (json!({"dry_run": "yes"}), "dry_run: invalid type"),
    ] {
        let refused = living.post("/v1/gc", &body).expect(400).json();
        assert!(refused["error"].as_str().unwrap().contains(said), "{refused}");
    }
    let _ = living
        .client()
        .request("PUT", "/v1/read-only")
        .header("Content-Type", "application/json")
        .body(br#"{"read_only": true, "reason": "moving"}"#)
        .call()
        .expect(200);
    for (target, body) in [
        ("/v1/gc", json!({})),
        ("/v1/retention/run", json!({})),
        ("/v1/restore", json!({"since": "2026-11-21T03:30:00Z"})),
        ("/v1/repositories/a/restore", json!({})),
    ] {
        let refused = living.post(target, &body).expect(405).json();
        assert!(refused["error"].as_str().unwrap().contains("moving"), "{target}: {refused}");
    }
    assert_eq!(living.get("/v1/plans")["plans"], json!([]));
}

#[test]
fn reconcile_removes_what_has_no_row_and_reports_what_has_no_file() {
    let living = Living::start();
    let (client, random) = (living.client(), &mut Random::new(5105));
    let image = Image::random(random, 1, 2000);
    push::image(&client, "app", "v1", &image);
    let stray = Blob::random(random, 4000);
    std::fs::create_dir_all(living.file(&stray.digest).parent().unwrap()).unwrap();
    std::fs::write(living.file(&stray.digest), &stray.bytes).unwrap();
    std::fs::remove_file(living.file(&image.layers[0].digest)).unwrap();
    let plain = living.collect(&as_configured());
    assert!(plain["progress"]["findings"] == 0 && living.holds(&stray), "{plain}");
    let done = living.collect_until(&json!({"reconcile": true}), || !living.holds(&stray));
    assert_eq!(done["progress"]["files_removed"], 1, "{done}");
    let open = living.get("/v1/integrity")["findings"].clone();
    let missing = open.as_array().unwrap().iter().find(|finding| finding["digest"] == image.layers[0].digest.as_str());
    assert_eq!(missing.unwrap_or_else(|| panic!("{open}"))["kind"], "blob-missing");
    assert_eq!(client.get("/v2/app/manifests/v1").status, 404, "{}", media_type::OCI_MANIFEST);
    // No row goes for it: pushing again heals.
    push::blob(&client, "app", &image.layers[0]);
    let _ = pull::assert_whole(&client, "app", "v1");
}
