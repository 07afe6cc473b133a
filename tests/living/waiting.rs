//! Whom the collector keeps waiting while a disk takes long to remove a file.

use std::time::{Duration, Instant};

use mcr_tests::{Blob, Random, push};
use serde_json::json;

use crate::scene::{Living, within};

/// How long one file takes to go.
const SLOW: Duration = Duration::from_secs(3);

#[test]
fn a_push_waits_for_no_file_but_its_own() {
    let living = Living::with("", &[("MCR_FAULTS", "blob.remove=sleep:3000")]);
    let client = living.client();
    let random = &mut Random::new(5110);
    let lost: Vec<Blob> = (0..4).map(|_| Blob::random(random, 500)).collect();
    lost.iter().for_each(|blob| push::blob(&client, "app", blob));
    let _ = living
        .collect_until(&json!({"dry_run": true}), || living.get("/v1/plans?n=1")["plans"][0]["totals"]["digests"] == 4);
    let id = living.post("/v1/gc", &json!({})).expect(202).json()["id"].as_str().unwrap().to_owned();
    within(SLOW, "the end of the rows", || {
        (living.get(&format!("/v1/plans/{id}"))["progress"]["blobs_removed"] == 4).then_some(())
    });
    // One of them is being removed and may be waited for. All four would take twelve seconds.
    let began = Instant::now();
    for blob in lost.iter().rev() {
        let _ = client.request("HEAD", &format!("/v2/app/blobs/{}", blob.digest)).call().expect(404);
        push::blob(&client, "app", blob);
    }
    let took = began.elapsed();
    assert!(took < 2 * SLOW, "{took:?}");
    let plan = living.settled(&id);
    assert_eq!(plan["state"], "done", "{plan}");
    assert!(lost.iter().all(|blob| living.holds(blob)), "{plan}");
}
