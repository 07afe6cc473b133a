//! The methods there are, read from the descriptors: which are open, what each needs, what metrics call it.

use std::collections::HashMap;
use std::sync::LazyLock;

use mcr_access::{Administer, ManagePolicy};
use prost::Message as _;
use prost_types::FileDescriptorSet;

use crate::api::{ApiError, Caller};

/// What a method needs before its message is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// No credentials that are wrong; what the caller may do, nobody included, the function asks once it knows where.
    Login,
    /// An account, whatever may be asked for.
    Account,
    /// `policy:manage`.
    ManagePolicy,
    /// To be an administrator.
    Administer,
}

/// A method as a path names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// What metrics call it: a closed set.
    pub label: &'static str,
    /// What it needs.
    pub need: Need,
}

/// A method that is none. Who has not logged in does not learn that.
const OTHER: Method = Method { label: "other", need: Need::Account };
/// What the reflection services are called together.
const REFLECTION: Method = Method { label: "reflection", need: Need::Nothing };

static METHODS: LazyLock<HashMap<String, Need>> = LazyLock::new(|| {
    let descriptors = FileDescriptorSet::decode(mcr_rpc::FILE_DESCRIPTOR_SET).unwrap_or_default();
    let mut methods = HashMap::new();
    for file in &descriptors.file {
        for service in &file.service {
            for method in &service.method {
                let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                methods.insert(name, need(service.name(), method.name()));
            }
        }
    }
    methods
});

fn need(service: &str, method: &str) -> Need {
    match (service, method) {
        ("AdminService", "Health" | "Login") => Need::Nothing,
        ("PolicyService", _) => Need::ManagePolicy,
        ("AuditService", _)
        | (
            "AdminService",
            "GetReadOnly" | "SetReadOnly" | "Snapshot" | "ListSnapshots" | "ListPlans" | "GetPlan" | "ConfirmPlan"
            | "DiscardPlan",
        )
        | (
            "RegistryService",
            "DeleteRepository" | "RestoreRepository" | "RestoreRun" | "GarbageCollect" | "GetGCStatus" | "RunRetention",
        ) => Need::Administer,
        ("AdminService", _) => Need::Account,
        _ => Need::Login,
    }
}

impl Method {
    /// The method of a path such as `/mcr.v1.AdminService/Health`.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let name = path.strip_prefix('/').unwrap_or(path);
        if name.starts_with("grpc.reflection.") {
            return REFLECTION;
        }
        METHODS.get_key_value(name).map_or(OTHER, |(label, need)| Self { label, need: *need })
    }

    /// Every method, sorted.
    #[must_use]
    pub fn all() -> Vec<&'static str> {
        let mut all: Vec<&'static str> = METHODS.keys().map(String::as_str).collect();
        all.sort_unstable();
        all
    }

    /// Refuses a caller who lacks what the method needs.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn admits(&self, caller: &Caller) -> Result<(), ApiError> {
        match self.need {
            Need::Nothing | Need::Login => Ok(()),
            Need::Account => caller.logged_in(),
            Need::ManagePolicy => caller.permit_global::<ManagePolicy>().map(drop),
            Need::Administer => caller.permit_global::<Administer>().map(drop),
        }
    }
}
