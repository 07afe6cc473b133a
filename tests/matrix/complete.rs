//! No endpoint without a row: what the code serves, listed from the code, against the rows; never an answer.

use std::collections::BTreeSet;

use mcr_server::grpc::method::Method;
use mcr_server::http::endpoint::Endpoint;
use mcr_server::http::v1::path::AdminPath;
use mcr_tests::Server;

use crate::golden::sections;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// One example of every endpoint there is, with the path that the rows have. A variant that is added to the enum and
/// not here is an error of the compiler.
macro_rules! routes {
    ($type:ident, $($pattern:pat => $template:literal, $example:literal);+ $(;)?) => {{
        // The match is what makes the list whole.
        fn template(endpoint: &$type) -> &'static str {
            match endpoint { $($pattern => $template),+ }
        }
        let examples = [$(($template, $example.replace("DIGEST", DIGEST))),+];
        (template as fn(&$type) -> &'static str, examples.to_vec())
    }};
}

/// Methods and paths of the enum of endpoints.
fn served() -> BTreeSet<String> {
    let mut served = BTreeSet::new();
    let mut add = |allow: &str, template: &str| {
        served.extend(allow.split(", ").map(|method| format!("{method} {template}")));
    };
    endpoints(&mut add);
    admin(&mut add);
    served.extend(Method::all().into_iter().map(str::to_owned));
    served
}

fn endpoints(add: &mut dyn FnMut(&str, &str)) {
    let (template, examples) = routes! { Endpoint,
        Endpoint::VersionRedirect => "/v2", "/v2";
        Endpoint::Version => "/v2/", "/v2/";
        Endpoint::Token => "/v2/token", "/v2/token";
        Endpoint::Catalog => "/v2/_catalog", "/v2/_catalog";
        Endpoint::Tags(_) => "/v2/<name>/tags/list", "/v2/a/tags/list";
        Endpoint::Manifest(_, mcr_oci::Reference::Tag(_)) => "/v2/<name>/manifests/<tag>", "/v2/a/manifests/v1";
        Endpoint::Manifest(_, mcr_oci::Reference::Digest(_)) =>
            "/v2/<name>/manifests/<digest>", "/v2/a/manifests/DIGEST";
        Endpoint::ManifestBadTag(..) => "/v2/<name>/manifests/<neither>", "/v2/a/manifests/.v1";
        Endpoint::Blob(..) => "/v2/<name>/blobs/<digest>", "/v2/a/blobs/DIGEST";
        Endpoint::Uploads(_) => "/v2/<name>/blobs/uploads/", "/v2/a/blobs/uploads/";
        Endpoint::Upload(..) => "/v2/<name>/blobs/uploads/<id>", "/v2/a/blobs/uploads/x";
        Endpoint::Referrers(..) => "/v2/<name>/referrers/<digest>", "/v2/a/referrers/DIGEST";
        Endpoint::Health => "/v1/health", "/v1/health";
        Endpoint::Admin(_) => "below /v1/", "/v1/tokens";
        Endpoint::Alive => "/healthz", "/healthz";
        Endpoint::Ready => "/readyz", "/readyz";
        Endpoint::Metrics => "/metrics", "/metrics";
    };
    for (expected, example) in examples {
        let endpoint = Endpoint::parse(&example).unwrap_or_else(|bad| panic!("{example}: {bad:?}"));
        assert_eq!(template(&endpoint), expected, "{example}");
        if !matches!(endpoint, Endpoint::Admin(_)) {
            add(endpoint.allow(), expected);
        }
    }
}

fn admin(add: &mut dyn FnMut(&str, &str)) {
    let (template, examples) = routes! { AdminPath,
        AdminPath::Login => "/v1/auth/login", "/v1/auth/login";
        AdminPath::Logout => "/v1/auth/logout", "/v1/auth/logout";
        AdminPath::WhoAmI => "/v1/auth/whoami", "/v1/auth/whoami";
        AdminPath::Repositories => "/v1/repositories", "/v1/repositories";
        AdminPath::Repository(_) => "/v1/repositories/{name}", "/v1/repositories/a/b";
        AdminPath::Tags(_) => "/v1/repositories/{name}/tags", "/v1/repositories/a/b/tags";
        AdminPath::Tag(..) => "/v1/repositories/{name}/tags/{tag}", "/v1/repositories/a/b/tags/v1";
        AdminPath::TagHistory(..) =>
            "/v1/repositories/{name}/tags/{tag}/history", "/v1/repositories/a/b/tags/v1/history";
        AdminPath::RestoreRepository(_) => "/v1/repositories/{name}/restore", "/v1/repositories/a/b/restore";
        AdminPath::RestoreTag(..) =>
            "/v1/repositories/{name}/tags/{tag}/restore", "/v1/repositories/a/b/tags/v1/restore";
        AdminPath::RestoreManifest(..) =>
            "/v1/repositories/{name}/manifests/{digest}/restore", "/v1/repositories/a/b/manifests/DIGEST/restore";
        AdminPath::Restore => "/v1/restore", "/v1/restore";
        AdminPath::Gc => "/v1/gc", "/v1/gc";
        AdminPath::GcStatus => "/v1/gc/status", "/v1/gc/status";
        AdminPath::Retention => "/v1/retention/run", "/v1/retention/run";
        AdminPath::Plans => "/v1/plans", "/v1/plans";
        AdminPath::Plan(_) => "/v1/plans/{id}", "/v1/plans/1";
        AdminPath::ConfirmPlan(_) => "/v1/plans/{id}/confirm", "/v1/plans/1/confirm";
        AdminPath::DiscardPlan(_) => "/v1/plans/{id}/discard", "/v1/plans/1/discard";
        AdminPath::Snapshot => "/v1/snapshot", "/v1/snapshot";
        AdminPath::Rules => "/v1/policy/rules", "/v1/policy/rules";
        AdminPath::Rule(_) => "/v1/policy/rules/{id}", "/v1/policy/rules/1";
        AdminPath::Explain => "/v1/policy/explain", "/v1/policy/explain";
        AdminPath::Audit => "/v1/audit", "/v1/audit";
        AdminPath::AuditExport => "/v1/audit/export", "/v1/audit/export";
        AdminPath::AuditVerify => "/v1/audit/verify", "/v1/audit/verify";
        AdminPath::Tokens => "/v1/tokens", "/v1/tokens";
        AdminPath::Token(_) => "/v1/tokens/{id}", "/v1/tokens/1";
        AdminPath::ReadOnly => "/v1/read-only", "/v1/read-only";
        AdminPath::Integrity => "/v1/integrity", "/v1/integrity";
        AdminPath::Verify => "/v1/integrity/verify", "/v1/integrity/verify";
        AdminPath::OpenApi => "/v1/openapi.json", "/v1/openapi.json";
    };
    for (expected, example) in examples {
        let path = AdminPath::parse(&example, false).unwrap_or_else(|bad| panic!("{example}: {bad:?}"));
        assert_eq!(template(&path), expected, "{example}");
        add(path.allow(), expected);
    }
}

/// What has a row.
fn rows() -> BTreeSet<String> {
    let sections = sections();
    let rows = sections.iter().flat_map(|(_, rows)| rows);
    rows.map(|row| format!("{} {}", row.method, row.path).trim_start().to_owned()).collect()
}

#[test]
fn every_endpoint_has_a_row() {
    let (served, rows) = (served(), rows());
    assert!(served.len() > 90, "few endpoints were found: {served:#?}");
    let missing: Vec<&String> = served.difference(&rows).collect();
    assert!(missing.is_empty(), "endpoints without a row in tests/matrix: {missing:#?}");
}

#[test]
fn no_row_is_about_what_is_not_served() {
    let (served, rows) = (served(), rows());
    let known = [
        // HEAD of a session is answered as GET, and not announced: clients have no use for it.
        "HEAD /v2/<name>/blobs/uploads/<id>",
        // What is not there, and must not tell so to everybody.
        "GET /v2/<nothing>",
        "GET /v1/<nothing>",
        "GET /<nothing>",
        "PATCH /v2/<name>/manifests/<tag>",
        "PUT /v1/repositories",
        "mcr.v1.AdminService/<nothing>",
        "<nothing>",
        // Of tonic, not in our descriptors.
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ];
    let unknown: Vec<&String> = rows.difference(&served).filter(|row| !known.contains(&row.as_str())).collect();
    assert!(unknown.is_empty(), "rows of endpoints that are not served: {unknown:#?}");
}

#[test]
fn the_openapi_document_and_the_router_name_the_same() {
    let server = Server::start();
    let document = server.client().get("/v1/openapi.json").expect(200).json();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys().map(|method| method.to_uppercase());
        let methods = methods.filter(|method| ["GET", "PUT", "POST", "PATCH", "DELETE"].contains(&method.as_str()));
        documented.extend(methods.map(|method| format!("{method} {path}")));
    }
    let served = served();
    // HEAD is what GET is, and not documented beside it.
    let routed: BTreeSet<String> =
        served.iter().filter(|row| row.contains(" /v1/") && !row.starts_with("HEAD ")).cloned().collect();
    assert_eq!(documented, routed);
}
