//! The document against what the paths answer; never a request.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::http::v1::path::AdminPath;

fn parsed() -> Value {
    serde_json::from_str(text()).unwrap()
}

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A path of the document with something in its braces.
fn filled(path: &str) -> String {
    path.replace("{name}", "a/b").replace("{tag}", "v1").replace("{id}", "7").replace("{digest}", DIGEST)
}

#[test]
fn every_method_that_is_answered_is_documented_and_no_other() {
    let document = parsed();
    for (path, item) in document["paths"].as_object().unwrap() {
        if path == "/v1/health" {
            continue;
        }
        let known = AdminPath::parse(&filled(path), false).unwrap_or_else(|bad| panic!("{path}: {bad:?}"));
        let documented: BTreeSet<String> = item.as_object().unwrap().keys().map(|m| m.to_uppercase()).collect();
        // HEAD is what GET is, without a body.
        let answered: BTreeSet<String> =
            known.allow().split(", ").filter(|m| *m != "HEAD").map(str::to_owned).collect();
        assert_eq!(documented, answered, "{path}");
    }
}

#[test]
fn every_path_is_documented() {
    let document = parsed();
    let documented: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(|path| {
            format!(
                "{:?}",
                std::mem::discriminant(&AdminPath::parse(&filled(path), false).unwrap_or(AdminPath::OpenApi))
            )
        })
        .collect();
    // One of each variant: the compiler says when one is missing here.
    let each = |path: &AdminPath| match path {
        AdminPath::Login | AdminPath::Logout | AdminPath::WhoAmI | AdminPath::Repositories => 4,
        AdminPath::Repository(_) | AdminPath::Tags(_) | AdminPath::Tag(..) | AdminPath::TagHistory(..) => 4,
        AdminPath::Rules | AdminPath::Rule(_) | AdminPath::Explain => 3,
        AdminPath::Audit | AdminPath::AuditExport | AdminPath::AuditVerify => 3,
        AdminPath::Tokens | AdminPath::Token(_) | AdminPath::ReadOnly => 3,
        AdminPath::Integrity | AdminPath::Verify | AdminPath::OpenApi => 3,
        AdminPath::RestoreRepository(_) | AdminPath::RestoreTag(..) => 2,
        AdminPath::RestoreManifest(..) | AdminPath::Restore => 2,
        AdminPath::Gc | AdminPath::GcStatus | AdminPath::Retention | AdminPath::Snapshot => 4,
        AdminPath::Plans | AdminPath::Plan(_) | AdminPath::ConfirmPlan(_) | AdminPath::DiscardPlan(_) => 4,
    };
    assert_eq!(each(&AdminPath::Login), 4);
    assert_eq!(documented.len(), 4 + 4 + 3 + 3 + 3 + 3 + 2 + 2 + 4 + 4);
}

#[test]
fn operations_have_names_of_their_own_and_errors_have_the_same_shape() {
    let document = parsed();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            assert!(operation["summary"].is_string(), "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                if status.starts_with('4') {
                    let schema = &response["content"]["application/json"]["schema"]["$ref"];
                    assert_eq!(schema, "#/components/schemas/ErrorBody", "{method} {path} {status}");
                }
            }
        }
    }
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn every_schema_that_is_named_is_there() {
    let document = parsed();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (at, _) in text().match_indices("#/components/schemas/") {
        let name: String = text()[at + 21..].chars().take_while(|c| *c != '"').collect();
        assert!(schemas.contains_key(&name), "{name}");
    }
}
