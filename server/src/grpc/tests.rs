//! Which methods there are and what each needs; never a connection.

use super::method::{Method, Need};
use super::*;

#[test]
fn every_method_has_its_need() {
    let all = Method::all();
    assert_eq!(all.len(), 38, "{all:#?}");
    let of = |name: &str| Method::of(&format!("/mcr.v1.{name}"));
    for (name, need) in [
        ("AdminService/Health", Need::Nothing),
        ("AdminService/Login", Need::Nothing),
        ("AdminService/Logout", Need::Account),
        ("AdminService/SetReadOnly", Need::Administer),
        ("AuditService/ListAuditEvents", Need::Administer),
        ("PolicyService/Explain", Need::ManagePolicy),
        ("RegistryService/DeleteRepository", Need::Administer),
        ("RegistryService/DeleteTag", Need::Login),
        ("RegistryService/RestoreTag", Need::Login),
        ("RegistryService/RestoreManifest", Need::Login),
        ("RegistryService/RestoreRun", Need::Administer),
        ("RegistryService/GarbageCollect", Need::Administer),
        ("RegistryService/GetGCStatus", Need::Administer),
        ("AdminService/ConfirmPlan", Need::Administer),
        ("AdminService/ListSnapshots", Need::Administer),
        ("IntegrityService/Verify", Need::Login),
    ] {
        assert_eq!(of(name).need, need, "{name}");
        assert_eq!(of(name).label, format!("mcr.v1.{name}"));
    }
}

#[test]
fn what_is_no_method_is_one_label_and_needs_a_login() {
    for path in ["", "/", "/mcr.v1.AdminService/health", "/mcr.v1.AdminService/Health/", "/x.Y/Z"] {
        assert_eq!(Method::of(path), Method { label: "other", need: Need::Account }, "{path}");
    }
    assert_eq!(Method::of("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo").label, "reflection");
}

#[test]
fn the_descriptors_can_be_reflected() {
    assert!(routes().is_ok());
}

#[test]
fn errors_keep_their_sentence() {
    let status = status::of(&ApiError::Throttled { message: "too many".to_owned(), retry_after: 7 });
    assert_eq!((status.code(), status.message()), (tonic::Code::ResourceExhausted, "too many"));
    assert_eq!(status.metadata().get("retry-after").unwrap(), "7");
}
