//! Tests of counting pulls: one row per minute and who, what is lost is told, and a pull hardly waits.

use std::time::{Duration, Instant};

use mcr_access::Identity;
use mcr_oci::{Digest, Reference};
use serde_json::json;

use super::{SHARD_MAX, SHARDS};
use crate::testing::{Bed, NOW, admin, name, tag, user};
use crate::{LoginEvent, Reading, Settings};

fn digest(n: usize) -> Digest {
    Digest::sha256(n.to_string().as_bytes())
}

#[tokio::test]
async fn pulls_are_one_row_per_minute_account_and_digest() {
    let bed = Bed::new();
    let pushed = bed.push("a", "x", "v1").await;
    let permit = bed.permit(&admin(), "a");
    for reference in [Reference::Tag(tag("v1")), Reference::Digest(pushed.clone())] {
        bed.registry.manifest(&permit, reference.clone(), Reading::Get).await.unwrap();
        bed.registry.manifest(&permit, reference, Reading::Head).await.unwrap();
    }
    bed.registry.note_pull(&user("ann"), &name("a"), &pushed);
    bed.registry.note_pull(&Identity::probe(None), &name("a"), &pushed);
    bed.registry.flush_pulls(false).await;
    assert_eq!(bed.told("manifest_pulled").await.len(), 0, "the minute is not over");
    bed.clock.advance(60_000);
    bed.registry.note_pull(&user("ann"), &name("a"), &pushed);
    bed.registry.flush_pulls(false).await;
    let told = bed.told("manifest_pulled").await;
    let mut rows: Vec<_> =
        told.iter().map(|row| (row.actor.as_str(), row.details["count"].as_u64().unwrap())).collect();
    rows.sort_unstable();
    assert_eq!(rows, [("ann", 1), ("root", 2)]);
    assert_eq!((told[0].repository.as_deref(), told[0].digest.as_deref()), (Some("a"), Some(pushed.as_str())));
    assert_eq!((told[0].at_ms, told[0].tag.as_deref()), (NOW, None));
    let bed = bed.reopen(Settings::default()).await;
    assert_eq!(bed.told("manifest_pulled").await.len(), 3, "closing tells the rest");
    assert!(bed.registry.verify_audit(&bed.global(), None).await.unwrap().sound);
}

#[tokio::test]
async fn what_finds_no_place_is_told_as_a_gap() {
    let bed = Bed::new();
    let some = SHARDS * SHARD_MAX + 5000;
    for n in 0..some {
        bed.registry.note_pull(&user("ann"), &name("a"), &digest(n));
    }
    bed.registry.flush_pulls(true).await;
    let told = bed.count("manifest_pulled").await;
    let gap = bed.told("audit_gap").await;
    assert!(told <= SHARDS * SHARD_MAX, "{told}");
    assert_eq!(gap.len(), 1);
    assert_eq!(gap[0].details, json!({ "count": some - told }));
    bed.registry.flush_pulls(true).await;
    assert_eq!(bed.told("audit_gap").await.len(), 1, "once");
}

/// Runs SQL on the database beside the registry, as another process.
fn sql(bed: &Bed, text: &str) {
    let program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2])";
    let status = std::process::Command::new("python3").args(["-c", program]).arg(bed.database()).arg(text).status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn what_cannot_be_written_is_told_once_writing_works_again() {
    let bed = Bed::new();
    sql(
        &bed,
        "CREATE TRIGGER no BEFORE INSERT ON audit WHEN NEW.event IN ('manifest_pulled', 'audit_gap', 'logout')
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    );
    for n in 0..3 {
        bed.registry.note_pull(&user("ann"), &name("a"), &digest(n));
        bed.registry.note_pull(&user("ann"), &name("a"), &digest(n));
    }
    bed.registry.record_login(LoginEvent::Logout, "ann", None, json!({}));
    bed.registry.flush_pulls(true).await;
    assert_eq!((bed.count("manifest_pulled").await, bed.count("audit_gap").await), (0, 0));
    sql(&bed, "DROP TRIGGER no");
    bed.registry.flush_pulls(false).await;
    let gap = bed.told("audit_gap").await;
    assert_eq!((gap.len(), &gap[0].details), (1, &json!({ "count": 7 })));
    assert!(bed.registry.verify_audit(&bed.global(), None).await.unwrap().sound);
}

#[test]
fn a_pull_costs_little() {
    let bed = Bed::new();
    let (ann, repository, digest) = (user("ann"), name("library/alpine"), digest(1));
    let rounds: u32 = 100_000;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..rounds).for_each(|_| bed.registry.note_pull(&ann, &repository, &digest)));
        }
    });
    let each = begun.elapsed() / (2 * rounds);
    println!("{each:?} a pull, two threads on one digest");
    // Unoptimised, and on a machine that does other things: far above what it takes, far below a write.
    assert!(each < Duration::from_micros(20), "{each:?}");
}
