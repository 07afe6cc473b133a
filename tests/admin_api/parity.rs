//! REST and gRPC give the same answers: every function asked both ways, the answers compared field by field, the
//! refusals by sentence.

use mcr_tests::grpc::Grpc;
use mcr_tests::{Image, Random, damage, push};
use serde_json::{Value, json};
use tonic::Code;

use crate::scene::{Scene, send};

/// What the two forms write differently: null is left out of messages, and so are empty lists of answers; times have
/// as many digits as they need; `details` is text.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.iter().map(|(name, value)| {
                let details = if name == "details" { value.as_str() } else { None };
                let value = details.map_or_else(|| value.clone(), |text| serde_json::from_str(text).unwrap());
                (name.clone(), plain(&value))
            });
            let is_there =
                |(name, value): &(String, Value)| !value.is_null() && *value != json!([]) && name != "duration_ms";
            Value::Object(kept.filter(is_there).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(plain).collect()),
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => json!({ "ms": time.as_millisecond() }),
            Err(_) => value.clone(),
        },
        _ => value.clone(),
    }
}

#[track_caller]
pub(crate) fn same(what: &str, rest: &Value, grpc: &Value) {
    assert_eq!(plain(rest), plain(grpc), "{what}");
}

fn filled() -> (Scene, Grpc) {
    let scene = Scene::filled();
    let image = Image::random(&mut Random::new(11), 1, 5000);
    push::image(&scene.client, "broken", "v1", &image);
    damage::truncate(scene.server.data(), &image.layers[0].digest, 10);
    let _ = scene.client.get(&format!("/v2/broken/blobs/{}", image.layers[0].digest)).expect(404);
    let _ = scene.client.delete("/v1/repositories/app/tags/v2").expect(204);
    for priority in [5, 9] {
        let rule = json!({"priority": priority, "effect": "deny", "actions": ["push"], "repositories": ["x/**"]});
        let _ = scene.send("POST", "/v1/policy/rules", &rule).expect(201);
    }
    let token =
        json!({"name": "ci", "actions": ["pull"], "repositories": ["**"], "expires_at": "2027-06-01T00:00:00.5Z"});
    let _ = scene.send("POST", "/v1/tokens", &token);
    let grpc = scene.grpc();
    (scene, grpc)
}

#[test]
fn what_is_read_is_the_same() {
    let (scene, grpc) = filled();
    for (target, method, request) in [
        ("/v1/repositories", "RegistryService/ListRepositories", json!({})),
        ("/v1/repositories?n=1", "RegistryService/ListRepositories", json!({"n": 1})),
        (
            "/v1/repositories?n=9&last=app&filter=team/*",
            "RegistryService/ListRepositories",
            json!({"n": 9, "last": "app", "filter": "team/*"}),
        ),
        ("/v1/repositories/app", "RegistryService/GetRepository", json!({"name": "app"})),
        ("/v1/repositories/team/app?n=1", "RegistryService/GetRepository", json!({"name": "team/app", "n": 1})),
        ("/v1/repositories/app/tags/v1/", "RegistryService/GetRepository", json!({"name": "app/tags/v1"})),
        ("/v1/repositories/app/tags?n=1", "RegistryService/ListTags", json!({"name": "app", "n": 1})),
        ("/v1/repositories/app/tags/v2/history", "RegistryService/TagHistory", json!({"name": "app", "tag": "v2"})),
        (
            "/v1/repositories/app/tags/v2/history?n=1",
            "RegistryService/TagHistory",
            json!({"name": "app", "tag": "v2", "n": 1}),
        ),
        ("/v1/policy/rules", "PolicyService/ListPolicyRules", json!({})),
        ("/v1/policy/rules?n=5&last=0:-1", "PolicyService/ListPolicyRules", json!({"n": 5, "last": "0:-1"})),
        (
            "/v1/audit?n=1000&until=2999-01-01T00:00:00Z",
            "AuditService/ListAuditEvents",
            json!({"n": 1000, "until": "2999-01-01T00:00:00Z"}),
        ),
        (
            "/v1/audit?event=manifest_pushed&order=asc&n=2",
            "AuditService/ListAuditEvents",
            json!({"event": "manifest_pushed", "order": "asc", "n": 2}),
        ),
        (
            "/v1/audit?actor=admin&repository=app&offset=1",
            "AuditService/ListAuditEvents",
            json!({"actor": "admin", "repository": "app", "offset": 1}),
        ),
        ("/v1/tokens", "AdminService/ListTokens", json!({})),
        ("/v1/read-only", "AdminService/GetReadOnly", json!({})),
        ("/v1/auth/whoami", "AdminService/WhoAmI", json!({})),
        ("/v1/health", "AdminService/Health", json!({})),
    ] {
        let answered = grpc.call(method, &request).unwrap_or_else(|status| panic!("{method}: {status:?}"));
        same(method, &scene.get(target), &answered);
    }
    for id in [-1, 1] {
        let answered = grpc.call("PolicyService/GetPolicyRule", &json!({"id": id})).unwrap();
        same("GetPolicyRule", &scene.get(&format!("/v1/policy/rules/{id}")), &answered["rule"]);
    }
}

#[test]
fn integrity_is_the_same() {
    let (scene, grpc) = filled();
    for (query, request) in [("", json!({})), ("?n=2&state=undetermined", json!({"n": 2, "state": "undetermined"}))] {
        let mut answered = grpc.call("IntegrityService/GetIntegrity", &request).unwrap();
        // A finding stands within its source there.
        for open in answered["findings"].as_array_mut().unwrap() {
            let (source, since) = (open["source"].clone(), open["since"].clone());
            *open = open["finding"].clone();
            (open["source"], open["since"]) = (source, since);
        }
        let rest = scene.get(&format!("/v1/integrity{query}"));
        assert!(!rest["findings"].as_array().unwrap().is_empty());
        same("GetIntegrity", &rest, &answered);
    }
    for (repository, reference) in [("team/app", "multi"), ("broken", "v1")] {
        let request = json!({"repository": repository, "reference": reference});
        let rest = scene.send("POST", "/v1/integrity/verify", &request).expect(200).json();
        same("Verify", &rest, &grpc.call("IntegrityService/Verify", &request).unwrap());
    }
    let rest = scene.send("POST", "/v1/audit/verify", &json!({})).expect(200).json();
    same("VerifyAudit", &rest, &grpc.call("AuditService/VerifyAudit", &json!({})).unwrap());
}

#[test]
fn what_is_written_is_the_same() {
    let (scene, grpc) = filled();
    let strip = |mut value: Value, names: &[&str]| {
        for name in names {
            value.as_object_mut().unwrap().remove(*name);
        }
        value
    };
    let volatile = ["id", "created_at", "updated_at"];
    let rule = json!({
        "priority": 70, "description": "x", "effect": "allow", "actions": ["pull"], "roles": ["dev"],
        "account_types": ["human"], "subject_uuid": "s", "repositories": ["a/*"], "enabled": false,
    });
    let rest = scene.send("POST", "/v1/policy/rules", &rule).expect(201).json();
    let made = grpc.call("PolicyService/CreatePolicyRule", &rule).unwrap()["rule"].clone();
    same("CreatePolicyRule", &strip(rest.clone(), &volatile), &strip(made.clone(), &volatile));

    let change = json!({"effect": "deny", "actions": [], "subject_uuid": null, "enabled": true});
    let changed = scene.send("PATCH", &format!("/v1/policy/rules/{}", rest["id"]), &change).expect(200).json();
    let change =
        json!({"id": made["id"], "effect": "deny", "actions": {"values": []}, "subject_uuid": "", "enabled": true});
    let other = grpc.call("PolicyService/UpdatePolicyRule", &change).unwrap()["rule"].clone();
    same("UpdatePolicyRule", &strip(changed, &volatile), &strip(other, &volatile));

    let question = json!({"subject": "a", "action": "pull", "repository": "a/b", "account_type": "human"});
    let asked = json!({"roles": ["dev"]});
    let mut body = question.clone();
    body.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
    let rest_says = scene.send("POST", "/v1/policy/explain", &body).expect(200).json();
    body["roles"] = json!({"values": ["dev"]});
    same("Explain", &rest_says, &grpc.call("PolicyService/Explain", &body).unwrap());
    assert_eq!(rest_says["allowed"], false);

    let _ = scene.client.delete(&format!("/v1/policy/rules/{}", made["id"])).expect(204);
    let _ = grpc.call("PolicyService/DeletePolicyRule", &json!({"id": rest["id"]})).unwrap();
    assert_eq!(scene.get("/v1/policy/rules")["rules"].as_array().unwrap().len(), 6);

    let read_only = json!({"read_only": true, "reason": "r"});
    same("SetReadOnly", &json!(read_only), &grpc.call("AdminService/SetReadOnly", &read_only).unwrap());
    same("GetReadOnly", &scene.get("/v1/read-only"), &read_only);
    let off = scene.send("PUT", "/v1/read-only", &json!({"read_only": false})).expect(200).json();
    same("GetReadOnly", &off, &grpc.call("AdminService/GetReadOnly", &json!({})).unwrap());

    let expires_at = "2027-01-01T00:00:00Z";
    let token = json!({"name": "n", "actions": ["pull"], "repositories": ["a"], "expires_at": expires_at});
    let rest = scene.send("POST", "/v1/tokens", &token).expect(201).json();
    let made = grpc.call("AdminService/CreateToken", &token).unwrap();
    let volatile = ["id", "created_at", "token"];
    same("CreateToken", &strip(rest.clone(), &volatile), &strip(made["record"].clone(), &volatile));
    let used = scene.client.with_bearer(made["token"].as_str().unwrap()).get("/v1/auth/whoami").expect(200);
    assert_eq!(used.json()["scope"], "repository:a:pull");
    let _ = grpc.call("AdminService/RevokeToken", &json!({"id": rest["id"]})).unwrap();
    let _ = scene.client.delete(&format!("/v1/tokens/{}", made["record"]["id"].as_str().unwrap())).expect(204);

    let _ = grpc.call("RegistryService/DeleteTag", &json!({"name": "app", "tag": "v1"})).unwrap();
    assert_eq!(scene.get("/v1/repositories/app/tags")["tags"], json!([]));
    let gone = grpc.call("RegistryService/DeleteRepository", &json!({"name": "team/app"})).unwrap();
    assert_eq!(gone["deleted"]["tags"], 1);
    assert_eq!(scene.client.get("/v1/repositories/team/app").status, 404);
}

#[test]
fn a_session_of_one_is_a_session_of_the_other() {
    let (scene, mut grpc) = filled();
    let login = json!({"username": "admin", "password": scene.server.password()});
    grpc.authorize(None);
    let session = grpc.call("AdminService/Login", &login).unwrap();
    assert_eq!(session["account"], "admin");
    let token = session["token"].as_str().unwrap();
    let client = scene.client.with_bearer(token);
    let _ = client.get("/v1/auth/whoami").expect(200);
    grpc.authorize(Some(&format!("Bearer {token}")));
    let _ = grpc.call("AdminService/Logout", &json!({})).unwrap();
    let _ = client.get("/v1/auth/whoami").expect(401);
    let status = grpc.call("AdminService/WhoAmI", &json!({})).unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

/// A question that is refused: REST's method, target and body, gRPC's method and message, the code.
pub(crate) type Refusal = (&'static str, &'static str, &'static str, &'static str, &'static str, Code);

/// Questions that are refused.
const REFUSED: &[Refusal] = &[
    ("GET", "/v1/repositories?n=0", "", "RegistryService/ListRepositories", r#"{"n": 0}"#, Code::InvalidArgument),
    ("GET", "/v1/repositories/nothing", "", "RegistryService/GetRepository", r#"{"name": "nothing"}"#, Code::NotFound),
    ("GET", "/v1/repositories/BAD", "", "RegistryService/GetRepository", r#"{"name": "BAD"}"#, Code::InvalidArgument),
    (
        "GET",
        "/v1/repositories/app?last=x",
        "",
        "RegistryService/GetRepository",
        r#"{"name": "app", "last": "x"}"#,
        Code::InvalidArgument,
    ),
    (
        "DELETE",
        "/v1/repositories/nothing",
        "",
        "RegistryService/DeleteRepository",
        r#"{"name": "nothing"}"#,
        Code::NotFound,
    ),
    (
        "DELETE",
        "/v1/repositories/app/tags/no",
        "",
        "RegistryService/DeleteTag",
        r#"{"name": "app", "tag": "no"}"#,
        Code::NotFound,
    ),
    (
        "GET",
        "/v1/repositories/app/tags/no/history",
        "",
        "RegistryService/TagHistory",
        r#"{"name": "app", "tag": "no"}"#,
        Code::NotFound,
    ),
    ("GET", "/v1/policy/rules/77", "", "PolicyService/GetPolicyRule", r#"{"id": 77}"#, Code::NotFound),
    ("DELETE", "/v1/policy/rules/-1", "", "PolicyService/DeletePolicyRule", r#"{"id": -1}"#, Code::AlreadyExists),
    (
        "POST",
        "/v1/policy/rules",
        r#"{"priority": 0, "effect": "allow"}"#,
        "PolicyService/CreatePolicyRule",
        r#"{"priority": 0, "effect": "allow"}"#,
        Code::InvalidArgument,
    ),
    (
        "POST",
        "/v1/policy/rules",
        r#"{"priority": 1, "effect": "no"}"#,
        "PolicyService/CreatePolicyRule",
        r#"{"priority": 1, "effect": "no"}"#,
        Code::InvalidArgument,
    ),
    (
        "POST",
        "/v1/policy/explain",
        r#"{"subject": "a", "action": "fly"}"#,
        "PolicyService/Explain",
        r#"{"subject": "a", "action": "fly"}"#,
        Code::InvalidArgument,
    ),
    ("GET", "/v1/audit?order=up", "", "AuditService/ListAuditEvents", r#"{"order": "up"}"#, Code::InvalidArgument),
    ("GET", "/v1/audit?last=x", "", "AuditService/ListAuditEvents", r#"{"last": "x"}"#, Code::InvalidArgument),
    (
        "GET",
        "/v1/audit?offset=9999999999",
        "",
        "AuditService/ListAuditEvents",
        r#"{"offset": 9999999999}"#,
        Code::InvalidArgument,
    ),
    (
        "POST",
        "/v1/audit/verify",
        r#"{"expect_head": "x"}"#,
        "AuditService/VerifyAudit",
        r#"{"expect_head": "x"}"#,
        Code::InvalidArgument,
    ),
    (
        "POST",
        "/v1/tokens",
        r#"{"name": "n", "actions": ["pull"]}"#,
        "AdminService/CreateToken",
        r#"{"name": "n", "actions": ["pull"]}"#,
        Code::InvalidArgument,
    ),
    ("DELETE", "/v1/tokens/x", "", "AdminService/RevokeToken", r#"{"id": "x"}"#, Code::NotFound),
    (
        "POST",
        "/v1/auth/login",
        r#"{"username": "admin", "password": "x"}"#,
        "AdminService/Login",
        r#"{"username": "admin", "password": "x"}"#,
        Code::Unauthenticated,
    ),
    ("POST", "/v1/auth/logout", "", "AdminService/Logout", "{}", Code::InvalidArgument),
    (
        "GET",
        "/v1/integrity?state=fine",
        "",
        "IntegrityService/GetIntegrity",
        r#"{"state": "fine"}"#,
        Code::InvalidArgument,
    ),
    (
        "POST",
        "/v1/integrity/verify",
        r#"{"repository": "app", "reference": "no"}"#,
        "IntegrityService/Verify",
        r#"{"repository": "app", "reference": "no"}"#,
        Code::NotFound,
    ),
];

/// The same while the registry is read-only.
const REFUSED_READ_ONLY: &[Refusal] = &[
    (
        "DELETE",
        "/v1/repositories/app",
        "",
        "RegistryService/DeleteRepository",
        r#"{"name": "app"}"#,
        Code::FailedPrecondition,
    ),
    (
        "DELETE",
        "/v1/repositories/app/tags/v1",
        "",
        "RegistryService/DeleteTag",
        r#"{"name": "app", "tag": "v1"}"#,
        Code::FailedPrecondition,
    ),
];

/// Asks both ways and compares the sentences.
#[track_caller]
pub(crate) fn compared(scene: &Scene, grpc: &Grpc, questions: &[Refusal]) {
    for &(method, target, body, call, request, code) in questions {
        let rest = send(&scene.client, method, target, body.as_bytes()).json();
        let status = grpc.call(call, &serde_json::from_str(request).unwrap()).expect_err(call);
        assert_eq!(status.code(), code, "{call}: {status:?}");
        assert_eq!(rest["error"].as_str(), Some(status.message()), "{method} {target}");
    }
}

#[test]
fn refusals_are_the_same_sentence() {
    let (scene, grpc) = filled();
    compared(&scene, &grpc, REFUSED);
    let _ = scene.send("PUT", "/v1/read-only", &json!({"read_only": true, "reason": "moving"})).expect(200);
    compared(&scene, &grpc, REFUSED_READ_ONLY);
}
