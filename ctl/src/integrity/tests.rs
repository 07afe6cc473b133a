//! Tests of the verdict and of the text.

use serde_json::json;

use super::*;

const REGISTRY: &str = "https://registry.example";

fn ran(reason: Option<&str>, undetermined: u64) -> Value {
    json!({
        "started_at": "2026-11-21T13:00:00.000Z", "ended_at": "2026-11-21T13:00:03.100Z", "age_seconds": 180,
        "duration_ms": 3100, "level": "tail", "outcome": "complete", "reason": reason, "catalog_accessible": true,
        "repositories": 14, "tags": 120, "indexes": 37, "findings": 0, "broken_tags": 0, "undetermined": undetermined,
    })
}

fn document(last_run: &Value, last_attempt: &Value, findings: &Value, tags: &Value) -> Document {
    let schedule = "*/15 * * * *";
    let probe = json!({
        "schedule": schedule, "level": "tail", "next_run": "2026-11-21T13:15:00.000Z",
        "last_run": last_run, "last_attempt": last_attempt, "history": [],
    });
    let json = json!({"sound": null, "probe": probe, "scrub": null, "findings": findings, "tags": tags, "next": null});
    read(REGISTRY, &json).unwrap()
}

fn judged(last_run: &Value, last_attempt: &Value) -> Outcome {
    outcome(&document(last_run, last_attempt, &json!([]), &json!([])))
}

#[test]
fn only_a_whole_last_attempt_without_findings_holds() {
    let (whole, cut, blind) = (ran(None, 0), ran(Some("503"), 0), ran(None, 2));
    assert_eq!(judged(&whole, &whole), Outcome::Holds);
    assert_eq!(judged(&Value::Null, &Value::Null), Outcome::Undetermined, "no run yet");
    assert_eq!(judged(&Value::Null, &cut), Outcome::Undetermined);
    assert_eq!(judged(&whole, &cut), Outcome::Undetermined, "it was whole once");
    assert_eq!(judged(&blind, &blind), Outcome::Undetermined);
    let finding = json!([{"kind": "blob-missing", "source": "serving", "since": "2026-11-21T12:00:00.000Z"}]);
    assert_eq!(outcome(&document(&whole, &cut, &finding, &json!([]))), Outcome::Bad);
    let tag = json!([{"repository": "a", "tag": "v1", "state": "broken", "last_seen_whole": null, "findings": 1}]);
    assert_eq!(outcome(&document(&whole, &whole, &json!([]), &tag)), Outcome::Bad);
}

#[test]
fn a_probe_that_is_off_says_nothing() {
    let mut document = document(&ran(None, 0), &ran(None, 0), &json!([]), &json!([]));
    (document.probe.schedule, document.probe.next_run) = (None, None);
    assert_eq!(outcome(&document), Outcome::Undetermined);
    assert!(text(&document, Outcome::Undetermined).contains("next run:     never, the probe is off"));
}

#[test]
fn a_sound_registry_is_told_in_three_lines() {
    let document = document(&ran(None, 0), &ran(None, 0), &json!([]), &json!([]));
    assert_eq!(
        text(&document, Outcome::Holds),
        "sound\n\
         last run:     2026-11-21T13:00:03.100Z (3 minutes ago), level tail: 14 repositories, 120 tags, 37 indexes in 3.1 s\n\
         next run:     2026-11-21T13:15:00.000Z (schedule */15 * * * *)\n"
    );
}

#[test]
fn findings_are_told_with_their_path_and_tags_with_their_last_good_day() {
    let digest = |n: char| format!("sha256:{}", n.to_string().repeat(64));
    let findings = json!([{
        "kind": "blob-missing", "digest": digest('c'), "repository": "infra/ci", "tag": "latest",
        "path": [digest('a'), digest('b')], "platform": "linux/arm64", "status": 404, "detail": "HEAD\u{1b}[2J answered 404",
        "source": "probe", "since": "2026-11-21T12:00:00.000Z",
    }]);
    let tags = json!([{
        "repository": "infra/ci", "tag": "latest", "digest": digest('a'), "state": "broken",
        "last_seen_whole": "2026-11-20T00:00:00.000Z", "checked_at": "2026-11-21T13:00:03.100Z", "findings": 1,
    }]);
    let document = document(&ran(None, 0), &ran(Some("the catalog: 503"), 0), &findings, &tags);
    let said = text(&document, outcome(&document));
    for line in [
        "BROKEN: 1 finding",
        "last attempt: 2026-11-21T13:00:00.000Z (3 minutes ago) could not complete: the catalog: 503",
        &format!("  infra/ci:latest linux/arm64 blob-missing {}", digest('c')),
        &format!("    below {} > {}", digest('a'), digest('b')),
        "    found by the probe, since 2026-11-21T12:00:00.000Z",
        "  infra/ci:latest (1 finding, last seen whole 2026-11-20T00:00:00.000Z)",
    ] {
        assert!(said.lines().any(|said| said == line), "{line} in\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "what a server sends must not move the cursor");
}

#[test]
fn another_document_is_no_answer() {
    for other in [json!({}), json!({"probe": 1}), json!([]), json!({"status": "ok"})] {
        assert_eq!(read(REGISTRY, &other).unwrap_err().outcome(), Outcome::Undetermined, "{other}");
    }
}

#[test]
fn ages_are_in_the_unit_a_reader_wants() {
    for (seconds, said) in
        [(1, "1 second"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2 hours"), (172_800, "2 days")]
    {
        assert_eq!(age(seconds), said);
    }
}
