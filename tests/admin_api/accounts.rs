//! The same under a password file: who is no administrator gets what rules give, and the rest is refused in this
//! API's own form. Every combination stands in `access`.

use mcr_tests::accounts::{ADMIN, GUEST, Mode, Registry, Setup, USER};
use mcr_tests::grpc::{self, Grpc};
use mcr_tests::{Image, Random, push};
use serde_json::{Value, json};
use tonic::Code;

use crate::scene::{refused, send};

fn start() -> Registry {
    let registry = Registry::with(Mode::Htpasswd, &Setup::default().set("server", "grpc_addr = \"127.0.0.1:0\""));
    let image = Image::random(&mut Random::new(5), 1, 500);
    for repository in ["open/a", "closed/b"] {
        push::image(&registry.admin(), repository, "v1", &image);
    }
    registry
}

fn basic(registry: &Registry, name: &str) -> String {
    use base64::Engine as _;
    let pair = format!("{name}:{}", registry.password(name));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

#[test]
fn a_user_sees_what_it_may_pull_and_administers_nothing() {
    let registry = start();
    let user = registry.account(USER);
    let deny = json!({"priority": 1, "effect": "deny", "subject_uuid": USER, "repositories": ["closed/**"]});
    let _ = registry.rule(&deny);
    let list = user.get("/v1/repositories").expect(200).json();
    assert_eq!(list["repositories"].as_array().unwrap().len(), 1);
    assert_eq!(list["repositories"][0]["name"], "open/a");
    let denied = refused(user.get("/v1/repositories/closed/b"), 403);
    assert_eq!(denied, refused(user.get("/v1/repositories/closed/nothing"), 403).replace("nothing", "b"));
    for (method, target) in [
        ("GET", "/v1/policy/rules"),
        ("POST", "/v1/policy/rules"),
        ("POST", "/v1/policy/explain"),
        ("GET", "/v1/audit"),
        ("GET", "/v1/audit/export"),
        ("POST", "/v1/audit/verify"),
        ("GET", "/v1/read-only"),
        ("PUT", "/v1/read-only"),
        ("DELETE", "/v1/repositories/open/a"),
        ("DELETE", "/v1/repositories/open/a/tags/v1"),
    ] {
        assert!(refused(send(&user, method, target, b""), 403).contains(USER), "{method} {target}");
    }
    let guest = registry.account(GUEST);
    let _ = refused(guest.get("/v1/repositories"), 403);
    assert_eq!(guest.get("/v1/auth/whoami").expect(200).json()["roles"], json!(["guest"]));
}

#[test]
fn the_same_over_grpc() {
    let registry = start();
    let mut grpc = Grpc::connect(grpc::address(&registry.server().ready().line), Some(registry.tls()));
    grpc.authorize(Some(&basic(&registry, USER)));
    for method in ["PolicyService/ListPolicyRules", "AuditService/ListAuditEvents", "AdminService/GetReadOnly"] {
        let status = grpc.call(method, &json!({})).unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{method}");
        assert!(status.message().contains(USER), "{method}: {}", status.message());
    }
    // Refused before the message is looked at.
    let status = grpc.raw("mcr.v1.RegistryService/DeleteRepository", vec![0xff; 9]).unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let status = grpc.call("RegistryService/DeleteTag", &json!({"name": "open/a", "tag": "v1"})).unwrap_err();
    let rest = refused(registry.account(USER).delete("/v1/repositories/open/a/tags/v1"), 403);
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, rest.as_str()));
    grpc.authorize(Some(&basic(&registry, ADMIN)));
    let rules = grpc.call("PolicyService/ListPolicyRules", &json!({})).unwrap();
    assert_eq!(rules["rules"].as_array().unwrap().len(), 4);
}

#[test]
fn tokens_are_ones_own_unless_one_is_an_administrator() {
    let registry = start();
    let (user, admin) = (registry.account(USER), registry.admin());
    let body =
        json!({"name": "mine", "actions": ["pull"], "repositories": ["open/**"], "expires_at": "2027-05-01T00:00:00Z"});
    let mine = send(&user, "POST", "/v1/tokens", body.to_string().as_bytes()).expect(201).json();
    let theirs = send(&admin, "POST", "/v1/tokens", body.to_string().as_bytes()).expect(201).json();
    let ids = |list: &Value| list["tokens"].as_array().unwrap().len();
    assert_eq!(ids(&user.get("/v1/tokens").json()), 1);
    assert_eq!(ids(&admin.get("/v1/tokens").json()), 2);
    let target = |token: &Value| format!("/v1/tokens/{}", token["id"].as_str().unwrap());
    let _ = refused(user.delete(&target(&theirs)), 404);
    let _ = admin.delete(&target(&mine)).expect(204);
    // A credential that was limited makes no other one.
    let limited = registry.server().client().with_bearer(theirs["token"].as_str().unwrap());
    let answer = send(&limited, "POST", "/v1/tokens", body.to_string().as_bytes());
    assert!(matches!(answer.status, 401 | 403), "{}", answer.text());
}
