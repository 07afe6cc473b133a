//! The audit log: looked through, exported, verified.

use serde_json::{Value, json};

use crate::scene::{Scene, refused};

fn seqs(list: &Value) -> Vec<i64> {
    list["events"].as_array().unwrap().iter().map(|event| event["seq"].as_i64().unwrap()).collect()
}

#[test]
fn events_are_filtered_and_paged() {
    let scene = Scene::filled();
    let list = scene.get("/v1/audit?n=1000&order=asc");
    let all = seqs(&list);
    assert_eq!(all, (1..=i64::try_from(all.len()).unwrap()).collect::<Vec<_>>());
    let mut newest = all.clone();
    newest.reverse();
    assert_eq!(seqs(&scene.get("/v1/audit?n=1000")), newest, "newest first where nothing is said");
    let event = &list["events"][0];
    let keys: Vec<&String> = event.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["seq", "at", "event", "actor", "address", "repository", "tag", "digest", "details", "hash"]);

    let pushed = scene.get("/v1/audit?event=manifest_pushed&repository=app");
    assert_eq!(pushed["events"].as_array().unwrap().len(), 2);
    assert_eq!(pushed, scene.get("/v1/audit?event_type=manifest_pushed&repository=app&actor_id=admin"));
    assert!(seqs(&scene.get("/v1/audit?actor=nobody")).is_empty());

    let (mut target, mut seen) = ("/v1/audit?n=3".to_owned(), Vec::new());
    for _ in 0..100 {
        let page = scene.client.get(&target).expect(200);
        seen.extend(seqs(&page.json()));
        let Some(link) = page.header("link") else { break };
        target = link.strip_prefix('<').unwrap().split('>').next().unwrap().to_owned();
    }
    assert_eq!(seen, newest);
    assert_eq!(seqs(&scene.get("/v1/audit?n=2&offset=3")), newest[3..5]);

    let time = list["events"][3]["at"].as_str().unwrap();
    let since = seqs(&scene.get(&format!("/v1/audit?n=1000&order=asc&since={time}")));
    let until = seqs(&scene.get(&format!("/v1/audit?n=1000&order=asc&until={time}")));
    assert!(since.contains(&4) && !until.contains(&4), "{since:?} {until:?}");
    assert_eq!([until, since].concat(), all);
}

#[test]
fn what_does_not_make_sense_is_refused() {
    let scene = Scene::empty();
    for query in [
        "n=0",
        "n=x",
        "n=-1",
        "n=",
        "offset=x",
        "offset=99999999999999999999",
        "last=x",
        "since=yesterday",
        "until=",
        "order=up",
        "event=a&event_type=b",
        "actr=x",
        "n=1&n=2",
    ] {
        let text = refused(scene.client.get(&format!("/v1/audit?{query}")), 400);
        assert!(!text.contains("panick"), "{query}: {text}");
    }
    let _ = refused(scene.client.get("/v1/audit/export?format=xml"), 400);
    let _ = refused(scene.client.get("/v1/audit/export?n=5"), 400);
}

#[test]
fn an_export_is_the_whole_log_in_either_format() {
    let scene = Scene::filled();
    let export = scene.client.get("/v1/audit/export?until=2999-01-01T00:00:00Z").expect(200);
    let lines: Vec<Value> = export.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let listed = scene.get("/v1/audit?n=1000&order=asc");
    let listed = listed["events"].as_array().unwrap();
    assert_eq!(&lines, &listed[..lines.len()]);
    assert!(lines.len() > 10);
    let csv = scene.client.get("/v1/audit/export?format=csv&event=manifest_pushed").expect(200);
    assert!(csv.required("content-type").starts_with("text/csv"));
    let text = csv.text();
    assert_eq!(text.lines().next(), Some("seq,at,event,actor,address,repository,tag,digest,details,hash"));
    assert_eq!(text.lines().filter(|line| line.contains(",manifest_pushed,admin,")).count(), text.lines().count() - 1);
}

#[test]
fn the_chain_is_verified_against_a_head() {
    let scene = Scene::filled();
    let verify = |body: Value| scene.send("POST", "/v1/audit/verify", &body);
    let whole = verify(json!({})).expect(200).json();
    assert_eq!((&whole["sound"], &whole["broken_at"]), (&json!(true), &json!(null)));
    let head = whole["head"].as_str().unwrap();
    let again = verify(json!({ "expect_head": head })).expect(200).json();
    assert_eq!(again["expected_found"], true);
    let other = verify(json!({ "expect_head": "0".repeat(64) })).expect(200).json();
    assert_eq!((&other["expected_found"], &other["sound"]), (&json!(false), &json!(false)));
    assert!(refused(verify(json!({ "expect_head": "xyz" })), 400).contains("expect_head"));
    // Nothing to say needs no body.
    assert_eq!(scene.client.post("/v1/audit/verify").expect(200).json()["sound"], true);
}
