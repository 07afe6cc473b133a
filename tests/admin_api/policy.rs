//! Policy rules: made, shown, changed, deleted, explained; in force before the answer; bad ones refused with a sentence.

use serde_json::{Value, json};

use crate::scene::{Scene, refused};

fn rule() -> Value {
    json!({
        "priority": 7, "description": "ci pushes", "effect": "allow", "actions": ["registry:push", "pull"],
        "roles": [], "account_types": ["system"], "subject_uuid": "ci-1", "repositories": ["team/**"],
    })
}

#[test]
fn a_rule_lives_its_life() {
    let scene = Scene::empty();
    let answer = scene.send("POST", "/v1/policy/rules", &rule()).expect(201);
    let made = answer.json();
    let target = format!("/v1/policy/rules/{}", made["id"]);
    assert_eq!(answer.required("location"), target);
    assert_eq!(made["actions"], json!(["registry:push", "registry:pull"]), "actions have their whole names");
    assert_eq!((&made["enabled"], &made["created_by"]), (&json!(true), &json!("admin")));
    assert_eq!(scene.get(&target), made);

    let question = json!({"subject": "ci-1", "account_type": "system", "action": "pull", "repository": "team/a/b"});
    let explained = scene.send("POST", "/v1/policy/explain", &question).expect(200).json();
    assert_eq!((&explained["allowed"], &explained["rule"]), (&json!(true), &made));
    assert!(explained["reason"].as_str().unwrap().contains("ci pushes"), "{explained}");

    let changed = scene.send("PATCH", &target, &json!({"effect": "deny", "subject_uuid": null})).expect(200).json();
    assert_eq!((&changed["effect"], &changed["subject_uuid"]), (&json!("deny"), &json!(null)));
    assert_eq!(changed["priority"], 7, "what is left out stays");
    let explained = scene.send("POST", "/v1/policy/explain", &question).expect(200).json();
    assert_eq!((&explained["allowed"], &explained["rule"]["id"]), (&json!(false), &made["id"]));

    let _ = scene.client.delete(&target).expect(204);
    let _ = refused(scene.client.delete(&target), 404);
    let _ = refused(scene.client.get(&target), 404);
    let explained = scene.send("POST", "/v1/policy/explain", &question).expect(200).json();
    assert_eq!((&explained["allowed"], &explained["rule"]), (&json!(false), &json!(null)));
    for event in ["created", "updated", "deleted"] {
        let events = scene.get(&format!("/v1/audit?event=policy_rule_{event}"));
        assert_eq!(events["events"].as_array().unwrap().len(), 1, "{event}");
    }
}

#[test]
fn bad_rules_are_refused_with_the_place() {
    let scene = Scene::empty();
    for (change, said) in [
        (json!({"priority": 0}), "priority"),
        (json!({"priority": -1}), "priority"),
        (json!({"priority": 4_294_967_296_u64}), "priority"),
        (json!({"priority": "7"}), "priority: invalid type"),
        (json!({"effect": "maybe"}), "effect"),
        (json!({"actions": ["fly"]}), "fly"),
        (json!({"actions": ["registry:administer"]}), "administer"),
        (json!({"actions": [7]}), "actions[0]"),
        (json!({"account_types": ["robot"]}), "robot"),
        (json!({"repositories": [""]}), "repositories"),
        (json!({"efect": "deny"}), "unknown field `efect`"),
        (json!({"id": 7}), "unknown field `id`"),
    ] {
        let mut body = rule();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let text = refused(scene.send("POST", "/v1/policy/rules", &body), 400);
        assert!(text.contains(said), "{change}: {text}");
    }
    assert_eq!(scene.get("/v1/policy/rules")["rules"].as_array().unwrap().len(), 4, "only the built-in ones");
}

#[test]
fn built_in_rules_stay_as_they_are() {
    let scene = Scene::empty();
    assert_eq!(scene.get("/v1/policy/rules/-1")["roles"], json!(["admin"]));
    for target in ["/v1/policy/rules/-1", "/v1/policy/rules/-3"] {
        let _ = refused(scene.client.delete(target), 409);
        let _ = refused(scene.send("PATCH", target, &json!({"enabled": false})), 409);
    }
    for (id, status) in [("0", 404), ("9223372036854775807", 404), ("9223372036854775808", 400), ("x", 400)] {
        let _ = refused(scene.client.get(&format!("/v1/policy/rules/{id}")), status);
    }
}

#[test]
fn rules_are_listed_as_they_decide() {
    let scene = Scene::empty();
    for priority in [9, 3, 3] {
        let mut body = rule();
        body["priority"] = json!(priority);
        let _ = scene.send("POST", "/v1/policy/rules", &body).expect(201);
    }
    let ids = |list: &Value| -> Vec<i64> {
        list["rules"].as_array().unwrap().iter().map(|rule| rule["id"].as_i64().unwrap()).collect()
    };
    let whole = ids(&scene.get("/v1/policy/rules"));
    assert_eq!(whole, [-1, -2, -3, -4, 2, 3, 1]);
    let (mut target, mut seen) = ("/v1/policy/rules?n=2".to_owned(), Vec::new());
    for _ in 0..10 {
        let page = scene.get(&target);
        seen.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        target = format!("/v1/policy/rules?n=2&last={next}");
    }
    assert_eq!(seen, whole);
}
