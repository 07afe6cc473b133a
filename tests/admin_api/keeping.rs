//! Garbage collection, retention, plans, undo and snapshots: REST and gRPC give the same answers.

use std::time::{Duration, Instant};

use mcr_tests::grpc::Grpc;
use serde_json::{Value, json};
use tonic::Code;

use crate::parity::{Refusal, compared, same};
use crate::scene::Scene;

/// A plan, once nothing more happens to it by itself.
#[track_caller]
fn settled(scene: &Scene, begun: &Value) -> Value {
    let target = format!("/v1/plans/{}", begun["id"].as_str().unwrap());
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let plan = scene.get(&target);
        if !["planning", "running"].contains(&plan["state"].as_str().unwrap()) {
            return plan;
        }
        assert!(Instant::now() < end, "{plan}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn call(grpc: &Grpc, method: &str, request: &Value) -> Value {
    grpc.call(method, request).unwrap_or_else(|status| panic!("{method}: {status:?}"))
}

/// As it is over REST: steps stand beside the plan's own fields there.
fn flat(answered: &Value) -> Value {
    let mut whole = answered["plan"].clone();
    for name in ["steps", "next"] {
        whole[name] = answered[name].clone();
    }
    whole
}

/// What was asked for is an object over REST, its text over gRPC.
fn read(mut plan: Value) -> Value {
    if let Some(text) = plan["settings"].as_str() {
        plan["settings"] = serde_json::from_str(text).unwrap();
    }
    plan
}

#[test]
fn runs_and_their_plans_are_the_same() {
    let scene = Scene::filled();
    let grpc = scene.grpc();
    let _ = scene.client.delete("/v1/repositories/app").expect(200);
    let one = scene.send("POST", "/v1/gc", &json!({"dry_run": true, "undo": "0s", "grace": "1h"}));
    assert_eq!(
        one.required("location"),
        format!("/v1/plans/{}", one.clone().expect(202).json()["id"].as_str().unwrap())
    );
    let one = settled(&scene, &one.expect(202).json());
    let two = json!({"dry_run": true, "undo": "0s", "grace": "1h", "reconcile": false, "yes": false});
    let two = settled(&scene, &call(&grpc, "RegistryService/GarbageCollect", &two));
    assert_eq!(one["settings"], two["settings"], "asked for alike");
    let three = settled(&scene, &scene.send("POST", "/v1/gc", &Value::Null).expect(202).json());
    assert_eq!(three["state"], "done", "a body may be left out: {three}");
    let four = settled(
        &scene,
        &call(&grpc, "RegistryService/RunRetention", &json!({"dry_run": true, "repositories": ["app"]})),
    );
    let five = settled(
        &scene,
        &scene.send("POST", "/v1/retention/run", &json!({"dry_run": true, "repositories": ["app"]})).expect(202).json(),
    );
    assert_eq!(four["settings"], five["settings"]);

    let rest = scene.get("/v1/plans?n=2&job=gc");
    let mut answered = call(&grpc, "AdminService/ListPlans", &json!({"n": 2, "job": "gc"}));
    for plan in answered["plans"].as_array_mut().unwrap() {
        *plan = read(plan.clone());
    }
    assert!(rest["next"].is_string(), "{rest}");
    same("ListPlans", &rest, &answered);
    for plan in [&one, &five] {
        let request = json!({"id": plan["id"], "n": 3});
        let answered = read(flat(&call(&grpc, "AdminService/GetPlan", &request)));
        same("GetPlan", &scene.get(&format!("/v1/plans/{}?n=3", plan["id"].as_str().unwrap())), &answered);
    }
    let mut answered = call(&grpc, "RegistryService/GetGCStatus", &json!({}));
    // How long it took is left out where it is compared, here and there.
    let rest = scene.get("/v1/gc/status");
    answered["current"] = Value::Null;
    same("GetGCStatus", &rest, &answered);
}

#[test]
fn what_is_brought_back_is_the_same() {
    let scene = Scene::filled();
    let grpc = scene.grpc();
    let digest = scene.get("/v1/repositories/app")["tags"][0]["digest"].clone();
    let gone = || scene.client.delete("/v1/repositories/app/tags/v1").expect(204);
    let _ = gone();
    let rest = scene.send("POST", "/v1/repositories/app/tags/v1/restore", &json!({})).expect(200).json();
    let _ = gone();
    let request = json!({"name": "app", "tag": "v1", "to": digest});
    same("RestoreTag", &rest, &call(&grpc, "RegistryService/RestoreTag", &request));

    let gone = || scene.client.delete(&format!("/v2/app/manifests/{}", digest.as_str().unwrap())).expect(202);
    let _ = gone();
    let target = format!("/v1/repositories/app/manifests/{}/restore", digest.as_str().unwrap());
    let rest = scene.send("POST", &target, &json!({})).expect(200).json();
    let _ = gone();
    let request = json!({"name": "app", "digest": digest});
    same("RestoreManifest", &rest, &call(&grpc, "RegistryService/RestoreManifest", &request));

    let gone = || scene.client.delete("/v1/repositories/team/app").expect(200);
    let _ = gone();
    let rest = scene.send("POST", "/v1/repositories/team/app/restore", &json!({})).expect(200).json();
    let _ = gone();
    let answered = call(&grpc, "RegistryService/RestoreRepository", &json!({"name": "team/app"}));
    same("RestoreRepository", &rest, &answered);

    let since = jiff::Timestamp::now().to_string();
    let _ = gone();
    let request = json!({"since": since, "by": "admin", "dry_run": true});
    let rest = scene.send("POST", "/v1/restore", &request).expect(200).json();
    assert_eq!(rest["tags_restored"], 1, "{rest}");
    same("RestoreRun", &rest, &call(&grpc, "RegistryService/RestoreRun", &request));
}

#[test]
fn snapshots_are_the_same() {
    let scene = Scene::filled();
    let grpc = scene.grpc();
    let made = scene.send("POST", "/v1/snapshot", &json!({})).expect(201).json();
    let other = call(&grpc, "AdminService/Snapshot", &json!({}))["snapshot"].clone();
    assert!(made["name"] != other["name"] && other["blobs"] == made["blobs"], "{made} {other}");
    let listed = scene.get("/v1/snapshot");
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 2, "{listed}");
    same("ListSnapshots", &listed, &call(&grpc, "AdminService/ListSnapshots", &json!({})));
}

const NO_PLAN: &str = r#"{"id": "0"}"#;

/// Questions that are refused, as in `parity.rs`.
const REFUSED: &[Refusal] = &[
    ("GET", "/v1/plans/0", "", "AdminService/GetPlan", NO_PLAN, Code::NotFound),
    ("POST", "/v1/plans/0/confirm", "", "AdminService/ConfirmPlan", NO_PLAN, Code::NotFound),
    ("POST", "/v1/plans/0/discard", "", "AdminService/DiscardPlan", NO_PLAN, Code::NotFound),
    ("DELETE", "/v1/plans/0", "", "AdminService/DiscardPlan", NO_PLAN, Code::NotFound),
    ("GET", "/v1/plans?job=x", "", "AdminService/ListPlans", r#"{"job": "x"}"#, Code::InvalidArgument),
    ("GET", "/v1/plans?state=x", "", "AdminService/ListPlans", r#"{"state": "x"}"#, Code::InvalidArgument),
    ("GET", "/v1/plans/0?last=x", "", "AdminService/GetPlan", r#"{"id": "0", "last": "x"}"#, Code::InvalidArgument),
    (
        "POST",
        "/v1/gc",
        r#"{"grace": "1w"}"#,
        "RegistryService/GarbageCollect",
        r#"{"grace": "1w"}"#,
        Code::InvalidArgument,
    ),
    (
        "POST",
        "/v1/retention/run",
        r#"{"repositories": ["/"]}"#,
        "RegistryService/RunRetention",
        r#"{"repositories": ["/"]}"#,
        Code::InvalidArgument,
    ),
    ("POST", "/v1/restore", "{}", "RegistryService/RestoreRun", "{}", Code::InvalidArgument),
    ("POST", "/v1/restore", r#"{"run": "0"}"#, "RegistryService/RestoreRun", r#"{"run": "0"}"#, Code::NotFound),
    (
        "POST",
        "/v1/repositories/nothing/restore",
        "",
        "RegistryService/RestoreRepository",
        r#"{"name": "nothing"}"#,
        Code::NotFound,
    ),
    (
        "POST",
        "/v1/repositories/app/tags/none/restore",
        "",
        "RegistryService/RestoreTag",
        r#"{"name": "app", "tag": "none"}"#,
        Code::NotFound,
    ),
    (
        "POST",
        "/v1/repositories/app/tags/v1/restore",
        r#"{"to": "v2"}"#,
        "RegistryService/RestoreTag",
        r#"{"name": "app", "tag": "v1", "to": "v2"}"#,
        Code::InvalidArgument,
    ),
];

/// The same while the registry is read-only.
const REFUSED_READ_ONLY: &[Refusal] = &[
    ("POST", "/v1/gc", "", "RegistryService/GarbageCollect", "{}", Code::FailedPrecondition),
    ("POST", "/v1/retention/run", "", "RegistryService/RunRetention", "{}", Code::FailedPrecondition),
    (
        "POST",
        "/v1/repositories/app/restore",
        "",
        "RegistryService/RestoreRepository",
        r#"{"name": "app"}"#,
        Code::FailedPrecondition,
    ),
];

#[test]
fn refusals_of_what_deletes_are_the_same_sentence() {
    let scene = Scene::filled();
    let grpc = scene.grpc();
    compared(&scene, &grpc, REFUSED);
    let _ = scene.send("PUT", "/v1/read-only", &json!({"read_only": true, "reason": "moving"})).expect(200);
    compared(&scene, &grpc, REFUSED_READ_ONLY);
}
