//! Retention as it is configured: it reports first, is confirmed once, then works by itself.

use mcr_tests::{Image, Random, pull, push};
use serde_json::json;

use crate::scene::{Living, as_configured, steps};

const KEEP_TWO: &str = "[[retention.rule]]\nrepositories = [\"app/**\"]\nkeep_last = 2\nkeep_tags = \"release-.*\"\n";

#[test]
fn a_new_rule_reports_until_its_first_plan_is_confirmed() {
    let living = Living::with(KEEP_TWO, &[("MCR_GC_UNDO", "7d")]);
    let random = &mut Random::new(5301);
    push::image(&living.client(), "app/one", "release-1", &Image::random(random, 1, 300));
    let _ = living.versions("app/one", 4, 300, random);
    let _ = living.versions("elsewhere", 4, 300, random);
    // The newest two are not those with the highest numbers.
    let moved = Image::random(random, 1, 300);
    push::image(&living.client(), "app/one", "v1", &moved);

    let dry = living.retain(&json!({"dry_run": true}));
    let tags = |plan: &serde_json::Value| -> Vec<String> {
        steps(plan, "tag")
            .iter()
            .map(|step| format!("{}:{}", step["repository"].as_str().unwrap(), step["tag"].as_str().unwrap()))
            .collect()
    };
    assert_eq!(tags(&dry), ["app/one:v2", "app/one:v3"], "{dry}");
    assert!(steps(&dry, "tag").iter().all(|step| !step["reason"].as_str().unwrap().is_empty()), "{dry}");
    assert!(dry["message"].as_str().unwrap().starts_with("would delete 2 tags"), "{dry}");
    let first = living.retain(&as_configured());
    assert_eq!(first["state"], "needs_confirmation", "{first}");
    assert_eq!(tags(&first), tags(&dry));
    assert_eq!(living.figure("mcr_plan_waiting{job=\"retention\"}"), Some(1.0));
    assert_eq!(pull::tags(&living.client(), "app/one"), ["release-1", "v1", "v2", "v3", "v4"]);

    let id = first["id"].as_str().unwrap();
    let _ = living.post(&format!("/v1/plans/{id}/confirm"), &json!({})).expect(200);
    let done = living.settled(id);
    assert_eq!((&done["state"], &done["progress"]["tags_removed"]), (&json!("done"), &json!(2)), "{done}");
    assert_eq!(pull::tags(&living.client(), "app/one"), ["release-1", "v1", "v4"]);
    assert_eq!(pull::tags(&living.client(), "elsewhere").len(), 4, "no rule: nothing is deleted");

    // From now on it needs nobody.
    push::image(&living.client(), "app/one", "v5", &Image::random(random, 1, 300));
    let next = living.retain(&as_configured());
    assert_eq!(next["state"], "done", "{next}");
    assert_eq!(pull::tags(&living.client(), "app/one"), ["release-1", "v1", "v5"]);
    let history = living.get("/v1/repositories/app/one/tags/v4/history");
    assert_eq!(history["history"][0]["run_id"], next["id"], "{history}");
    let _ = pull::assert_all_whole(&living.client());
}

#[test]
fn only_the_repositories_that_are_asked_for() {
    let living = Living::with(KEEP_TWO, &[("MCR_GC_UNDO", "7d")]);
    for name in ["app/one", "app/two"] {
        let _ = living.versions(name, 3, 100, &mut Random::new(5302));
    }
    let done = living.retain(&json!({"repositories": ["app/tw*"], "yes": true}));
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(pull::tags(&living.client(), "app/two"), ["v2", "v3"]);
    assert_eq!(pull::tags(&living.client(), "app/one").len(), 3);
    let refused = living.post("/v1/retention/run", &json!({"repositories": ["NO"]})).expect(400).json();
    assert!(refused["error"].as_str().unwrap().contains("NO"), "{refused}");
}

#[test]
fn without_a_rule_nothing_is_deleted() {
    let living = Living::start();
    let _ = living.versions("app", 3, 100, &mut Random::new(5303));
    let plan = living.retain(&json!({"yes": true}));
    assert_eq!((&plan["state"], &plan["totals"]["tags"]), (&json!("done"), &json!(0)), "{plan}");
    assert_eq!(pull::tags(&living.client(), "app").len(), 3);
}
