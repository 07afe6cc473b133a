//! The version check, health, metrics, and what is answered to what is no endpoint.

use mcr_tests::Server;

#[test]
fn the_version_check_answers_get_and_head_and_redirects_without_slash() {
    let server = Server::start();
    let client = server.client();
    let version = client.get("/v2/").expect(200);
    assert_eq!(version.required("docker-distribution-api-version"), "registry/2.0");
    let head = client.head("/v2/").expect(200);
    assert!(head.body.is_empty());
    let redirect = client.get("/v2").expect(301);
    assert!(redirect.required("location").ends_with("/v2/"));
}

#[test]
fn health_is_told_without_login() {
    let server = Server::start();
    let client = server.client();
    let _ = client.get("/healthz").expect(200);
    let _ = client.get("/readyz").expect(200);
    let health = client.get("/v1/health").expect(200);
    assert!(health.text().contains("ok"), "{}", health.text());
}

#[test]
fn metrics_count_requests() {
    let server = Server::start();
    let client = server.client();
    let _ = client.get("/v2/").expect(200);
    let metrics = client.get("/metrics").expect(200).text();
    for name in ["mcr_http_requests_total", "mcr_storage_free_bytes", "process_start_time_seconds"] {
        assert!(metrics.contains(name), "{name} is missing in:\n{metrics}");
    }
}

#[test]
fn what_is_no_endpoint_is_a_clear_error() {
    let server = Server::start();
    let client = server.client();
    for target in ["/v2/a/b/c", "/v2/a/unknown/b", "/v2/a/manifests", "/v2/a/blobs/", "/other"] {
        let answer = client.get(target);
        assert!([400, 404].contains(&answer.status), "{target}: {}", answer.status);
    }
    for (method, target) in
        [("POST", "/v2/"), ("PATCH", "/v2/a/manifests/latest"), ("PUT", "/v2/a/tags/list"), ("DELETE", "/v2/_catalog")]
    {
        let answer = client.request(method, target).body(b"").call();
        assert!([404, 405].contains(&answer.status), "{method} {target}: {}", answer.status);
    }
}

#[test]
fn the_ready_line_names_the_url_that_was_bound() {
    let server = Server::start();
    let ready = server.ready();
    assert!(ready.line.starts_with("mcrsrv ready http://127.0.0.1:"), "{}", ready.line);
    assert_ne!(ready.address.port(), 0);
}

#[test]
fn sigterm_ends_the_server_with_exit_code_0() {
    let mut server = Server::start();
    let _ = server.client().get("/v2/").expect(200);
    let (code, took) = server.stop();
    assert_eq!(code, Some(0), "{}", server.log());
    assert!(took.as_secs() < 10, "an idle connection must not hold it: {took:?}");
}

#[test]
fn read_only_refuses_writes_and_says_so() {
    let server = Server::with(mcr_tests::Options::default().env("MCR_SERVER_READ_ONLY", "true"));
    let client = server.client();
    let refused = client.post("/v2/a/blobs/uploads/").expect_error(405, "UNSUPPORTED");
    assert!(refused.messages().contains("read-only"), "{}", refused.messages());
    let _ = client.put("/v2/a/manifests/latest", b"{}").expect_error(405, "UNSUPPORTED");
    let _ = client.delete("/v2/a/manifests/latest").expect_error(405, "UNSUPPORTED");
    let _ = client.get("/v2/").expect(200);
    let _ = client.get("/readyz").expect(200);
}
