//! What every gRPC call passes: login, permission, log, limits, the end of the server.

use std::time::{Duration, Instant};

use mcr_tests::grpc::{self, Grpc, code};
use mcr_tests::{Options, Server, process, tools};
use serde_json::json;
use tonic::Code;

use crate::scene::Scene;

/// What is answered to anybody.
const OPEN: [&str; 2] = ["mcr.v1.AdminService/Health", "mcr.v1.AdminService/Login"];

#[test]
fn the_services_are_those_of_the_contract() {
    let grpc = Scene::empty().grpc();
    let mut services = grpc.services().to_vec();
    services.sort();
    assert_eq!(
        services,
        [
            "grpc.reflection.v1.ServerReflection",
            "mcr.v1.AdminService",
            "mcr.v1.AuditService",
            "mcr.v1.IntegrityService",
            "mcr.v1.PolicyService",
            "mcr.v1.RegistryService",
        ]
    );
    assert_eq!(grpc.methods().len(), 38);
}

#[test]
fn nobody_gets_past_the_login_but_where_it_is_open() {
    let scene = Scene::empty();
    let mut grpc = scene.grpc();
    for authorization in [None, Some("Basic YWRtaW46d3Jvbmc="), Some("Bearer x.y.z"), Some("nonsense")] {
        grpc.authorize(authorization);
        for method in grpc.methods() {
            let outcome = grpc.raw(&method, Vec::new());
            if OPEN.contains(&method.as_str()) {
                let expected = if method.ends_with("Health") { Code::Ok } else { Code::Unauthenticated };
                assert!(
                    matches!(code(&outcome), found if found == expected || found == Code::InvalidArgument || found == Code::ResourceExhausted),
                    "{method}: {outcome:?}"
                );
            } else {
                assert!(
                    matches!(code(&outcome), Code::Unauthenticated | Code::ResourceExhausted),
                    "{method}: {outcome:?}"
                );
            }
        }
        let unknown = grpc.raw("mcr.v1.AdminService/Nothing", Vec::new());
        assert!(matches!(code(&unknown), Code::Unauthenticated | Code::ResourceExhausted), "{unknown:?}");
    }
    grpc.authorize(Some(&scene.authorization()));
    assert_eq!(code(&grpc.raw("mcr.v1.AdminService/Nothing", Vec::new())), Code::Unimplemented);
    assert_eq!(code(&grpc.raw("mcr.v2.AdminService/Health", Vec::new())), Code::Unimplemented);
}

#[test]
fn calls_are_logged_and_counted_without_what_was_sent() {
    let scene = Scene::empty();
    let mut grpc = scene.grpc();
    let _ = grpc.call("AdminService/WhoAmI", &json!({})).unwrap();
    let _ = grpc.call("RegistryService/GetRepository", &json!({"name": "secret-name"})).unwrap_err();
    let authorization = scene.authorization();
    grpc.authorize(Some("Bearer secret-token-value"));
    let _ = grpc.call("AdminService/WhoAmI", &json!({})).unwrap_err();
    let log = scene.server.log();
    let line = log.lines().find(|line| line.contains("mcr.v1.AdminService/WhoAmI")).unwrap();
    assert!(line.contains("127.0.0.1") && line.contains("OK") && line.contains("ms"), "{line}");
    assert!(log.contains("NOT_FOUND"), "{log}");
    for secret in [&authorization[6..], "secret-token-value", scene.server.password()] {
        assert!(!log.contains(secret), "{secret}");
    }
    let figures = scene.client.get("/metrics").expect(200).text();
    for line in [
        "mcr_grpc_requests_total{code=\"OK\",method=\"mcr.v1.AdminService/WhoAmI\"} 1",
        "mcr_grpc_requests_total{code=\"UNAUTHENTICATED\",method=\"mcr.v1.AdminService/WhoAmI\"} 1",
        "mcr_grpc_requests_total{code=\"NOT_FOUND\",method=\"mcr.v1.RegistryService/GetRepository\"} 1",
    ] {
        assert!(figures.contains(line), "{line}\n{figures}");
    }
}

fn message(frame: &'static [u8]) -> tonic::body::Body {
    tonic::body::Body::new(http_body_util::Full::new(bytes::Bytes::from_static(frame)))
}

#[test]
fn what_is_no_call_is_told_so() {
    let scene = Scene::empty();
    let grpc = scene.grpc();
    let get = http::Request::get("/v1/health").body(tonic::body::Body::empty()).unwrap();
    let (status, _, body) = grpc.http(get);
    assert_eq!(status.as_u16(), 415);
    assert!(String::from_utf8_lossy(&body).contains("gRPC"));
    // A call that has hardly any time.
    let call = http::Request::post("/mcr.v1.AuditService/VerifyAudit").header("content-type", "application/grpc");
    let call = call.header("grpc-timeout", "1n").header("authorization", scene.authorization());
    let (status, head, _) = grpc.http(call.body(message(b"\0\0\0\0\0")).unwrap());
    assert_eq!((status.as_u16(), head["grpc-status"].to_str().unwrap()), (200, "4"));
    // A message larger than any that makes sense.
    let long = json!({"name": "x".repeat(100_000)});
    let status = grpc.call("RegistryService/GetRepository", &long).unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
}

#[test]
fn it_is_plain_where_rest_is_plain_and_off_where_it_has_no_address() {
    let server = Server::start();
    let grpc = Grpc::connect(grpc::address(&server.ready().line), None);
    let me = grpc.call("AdminService/WhoAmI", &json!({})).unwrap();
    assert_eq!(me["admin"], true);

    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("mcr.toml");
    let at = home.path().display();
    let text = format!(
        "[server]\nlisten_addr = \"127.0.0.1:0\"\nbehind_tls_proxy = true\n[database]\npath = \"{at}/mcr.db\"\n\
         [storage]\nlayers_path = \"{at}/layers\"\nuploads_path = \"{at}/uploads\"\n[auth]\nmode = \"none\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let options = Options { config: Some(config), data: Some(home.path().to_owned()), ..Options::default() };
    let server = Server::with(options);
    assert!(!server.ready().line.contains("grpc"), "{}", server.ready().line);
    assert_eq!(server.client().get("/v1/auth/whoami").expect(200).json()["admin"], true);
}

#[test]
fn the_end_does_not_wait_for_a_stream_that_nobody_closes() {
    let mut scene = Scene::empty();
    let grpc = scene.grpc();
    let holder = std::thread::spawn(move || {
        // A reflection stream whose side of the client never ends.
        let (sender, body) = tokio::sync::mpsc::channel::<Result<hyper::body::Frame<bytes::Bytes>, tonic::Status>>(1);
        let stream =
            futures_util::stream::unfold(body, |mut body| async move { body.recv().await.map(|it| (it, body)) });
        let body = tonic::body::Body::new(http_body_util::StreamBody::new(stream));
        let call = http::Request::post("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
        let call = call.header("content-type", "application/grpc").body(body).unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| grpc.http(call)));
        drop(sender);
        outcome.is_ok()
    });
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    let (exit, _) = scene.server.stop();
    assert_eq!(exit, Some(0));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let _ = holder.join();
}

#[test]
fn grpcurl_finds_its_way() {
    let Some(grpcurl) = tools::optional("grpcurl", "grpcurl") else { return };
    let scene = Scene::filled();
    let address = grpc::address(&scene.server.ready().line).to_string();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&grpcurl);
        command.arg("-cacert").arg(scene.server.certificate());
        command.arg("-H").arg(format!("authorization: {}", scene.authorization()));
        process::run(command.args(arguments)).ok().text()
    };
    let listed = run(&[&address, "list"]);
    assert!(listed.contains("mcr.v1.RegistryService"), "{listed}");
    let described = run(&[&address, "describe", "mcr.v1.PolicyRule"]);
    assert!(described.contains("subject_uuid"), "{described}");
    let answered = run(&["-d", "{\"name\": \"app\"}", &address, "mcr.v1.RegistryService/ListTags"]);
    assert!(answered.contains("v1") && answered.contains("v2"), "{answered}");
}
