//! Plans that take so much that a person must confirm them: what is said, confirmed, discarded.

use std::time::Duration;

use mcr_tests::{Random, pull};
use serde_json::{Value, json};

use crate::scene::{Living, within};

/// A registry whose every image was deleted, and the plan that waits because of it.
fn braked() -> (Living, Vec<mcr_tests::Image>, Value) {
    let living = Living::start();
    let images = living.versions("much", 60, 200, &mut Random::new(5201));
    let kept = living.versions("kept", 3, 200, &mut Random::new(5202));
    assert_eq!(kept.len(), 3);
    let _ = living.client().delete("/v1/repositories/much").expect(200);
    let plan = within(Duration::from_secs(40), "a plan that waits", || {
        let plan = living.collect(&json!({}));
        (plan["state"] == "needs_confirmation").then_some(plan).or_else(|| {
            std::thread::sleep(Duration::from_millis(300));
            None
        })
    });
    (living, images, plan)
}

#[test]
fn a_plan_that_takes_much_waits_until_it_is_confirmed() {
    let (living, images, plan) = braked();
    let id = plan["id"].as_str().unwrap();
    assert!(images.iter().flat_map(mcr_tests::Image::blobs).all(|blob| living.holds(blob)), "{plan}");
    assert!(plan["totals"]["percent_bytes"].as_f64().unwrap() > 10.0, "{plan}");
    assert!(plan["reason"].as_str().unwrap().contains("max_delete_percent"), "{plan}");
    assert!(plan["message"].as_str().unwrap().ends_with(&format!("mcrctl plan confirm {id}")), "{plan}");
    let (begun, ends) = (time(&plan["created_at"]), time(&plan["expires_at"]));
    assert!((ends - begun - 7 * 24 * 3600).abs() <= 60, "{plan}");
    let listed = living.get("/v1/plans?state=needs_confirmation&job=gc");
    assert_eq!(listed["plans"][0]["id"], plan["id"]);
    assert_eq!(living.figure("mcr_plan_waiting{job=\"gc\"}"), Some(1.0));

    let confirmed = living.post(&format!("/v1/plans/{id}/confirm"), &json!({})).expect(200).json();
    assert_eq!(confirmed["id"], plan["id"]);
    let done = living.settled(id);
    assert_eq!(done["state"], "done", "{done}");
    assert!(!images.iter().flat_map(mcr_tests::Image::blobs).any(|blob| living.holds(blob)), "{done}");
    assert_eq!(pull::assert_all_whole(&living.client()), 3);
    assert_eq!(living.figure("mcr_plan_waiting{job=\"gc\"}"), Some(0.0));
    let again = living.post(&format!("/v1/plans/{id}/confirm"), &json!({})).expect(409).json();
    assert!(again["error"].as_str().unwrap().contains("done"), "{again}");
    let audit = living.get("/v1/audit?event=plan_confirmed");
    assert_eq!(audit["events"].as_array().unwrap().len(), 1, "{audit}");
}

#[test]
fn a_plan_that_is_discarded_takes_nothing() {
    let (mut living, images, plan) = braked();
    let id = plan["id"].as_str().unwrap();
    // It waits over a restart.
    let _ = living.server.stop();
    living.server.restart();
    assert_eq!(living.settled(id)["state"], "needs_confirmation");
    let gone = living.client().delete(&format!("/v1/plans/{id}")).expect(200).json();
    assert_eq!(gone["state"], "discarded", "{gone}");
    for what in ["confirm", "discard"] {
        let _ = living.post(&format!("/v1/plans/{id}/{what}"), &json!({})).expect(409);
    }
    assert!(images.iter().flat_map(mcr_tests::Image::blobs).all(|blob| living.holds(blob)));
    // Who says yes needs no second question.
    let done = living.collect(&json!({"yes": true}));
    assert_eq!(done["state"], "done", "{done}");
    assert!(!images.iter().flat_map(mcr_tests::Image::blobs).any(|blob| living.holds(blob)), "{done}");
}

#[test]
fn there_is_no_other_plan() {
    let living = Living::start();
    let none = "0".repeat(32);
    for id in [none.as_str(), "x", "%2e%2e"] {
        let _ = living.client().get(&format!("/v1/plans/{id}")).expect(404);
        let _ = living.post(&format!("/v1/plans/{id}/confirm"), &json!({})).expect(404);
        let _ = living.client().delete(&format!("/v1/plans/{id}")).expect(404);
    }
    for query in ["state=ready", "job=probe", "n=0", "x=1"] {
        let _ = living.client().get(&format!("/v1/plans?{query}")).expect(400);
    }
    assert_eq!(living.get("/v1/plans"), json!({"plans": [], "next": null}));
}

fn time(text: &Value) -> i64 {
    text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second()
}
