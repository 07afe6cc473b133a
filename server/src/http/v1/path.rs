//! From a path below `/v1/` to one closed enum; never a method's meaning beyond which of two readings a path has.
//!
//! Repository names have slashes, so paths are read from the right, as below `/v2/`: `…/tags/TAG/history` is a tag's
//! history, `…/tags` the list, `…/tags/TAG` a tag. A name that ends so itself (`a/tags/b`) is given with a slash at
//! its end: `/v1/repositories/a/tags/b/` is that repository and never the tag `b` of `a`. So it is with `…/restore`. A
//! slash at the end is right for every name. Where the last word is `tags` or `history` and a path could be a tag or something about one, DELETE
//! means the tag: there is nothing else there that can be deleted. An escaped slash is a slash.

use mcr_oci::{Digest, RepositoryName, Tag};

use crate::http::endpoint::BadPath;

/// What a request to the admin API is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminPath {
    /// `/v1/auth/login`
    Login,
    /// `/v1/auth/logout`
    Logout,
    /// `/v1/auth/whoami`
    WhoAmI,
    /// `/v1/repositories`
    Repositories,
    /// `/v1/repositories/<name>`
    Repository(RepositoryName),
    /// `/v1/repositories/<name>/tags`
    Tags(RepositoryName),
    /// `/v1/repositories/<name>/tags/<tag>`
    Tag(RepositoryName, Tag),
    /// `/v1/repositories/<name>/tags/<tag>/history`
    TagHistory(RepositoryName, Tag),
    /// `/v1/repositories/<name>/restore`
    RestoreRepository(RepositoryName),
    /// `/v1/repositories/<name>/tags/<tag>/restore`
    RestoreTag(RepositoryName, Tag),
    /// `/v1/repositories/<name>/manifests/<digest>/restore`
    RestoreManifest(RepositoryName, Digest),
    /// `/v1/restore`
    Restore,
    /// `/v1/gc`
    Gc,
    /// `/v1/gc/status`
    GcStatus,
    /// `/v1/retention/run`
    Retention,
    /// `/v1/plans`
    Plans,
    /// `/v1/plans/<id>`
    Plan(String),
    /// `/v1/plans/<id>/confirm`
    ConfirmPlan(String),
    /// `/v1/plans/<id>/discard`
    DiscardPlan(String),
    /// `/v1/snapshot`
    Snapshot,
    /// `/v1/policy/rules`
    Rules,
    /// `/v1/policy/rules/<id>`
    Rule(String),
    /// `/v1/policy/explain`
    Explain,
    /// `/v1/audit`
    Audit,
    /// `/v1/audit/export`
    AuditExport,
    /// `/v1/audit/verify`
    AuditVerify,
    /// `/v1/tokens`
    Tokens,
    /// `/v1/tokens/<id>`
    Token(String),
    /// `/v1/read-only`
    ReadOnly,
    /// `/v1/integrity`
    Integrity,
    /// `/v1/integrity/verify`
    Verify,
    /// `/v1/openapi.json`
    OpenApi,
}

/// Below this every path is the admin API's.
pub const ROOT: &str = "/v1/";

impl AdminPath {
    /// Reads a path that was percent-decoded; `deletes` says whether the method is DELETE.
    ///
    /// # Errors
    /// [`BadPath`]: nothing is there, or a name or tag that is none.
    pub fn parse(path: &str, deletes: bool) -> Result<Self, BadPath> {
        let rest = path.strip_prefix(ROOT).ok_or(BadPath::NoSuchPath)?;
        Ok(match rest {
            "auth/login" => Self::Login,
            "auth/logout" => Self::Logout,
            "auth/whoami" => Self::WhoAmI,
            "repositories" => Self::Repositories,
            "restore" => Self::Restore,
            "gc" => Self::Gc,
            "gc/status" => Self::GcStatus,
            "retention/run" => Self::Retention,
            "plans" => Self::Plans,
            "snapshot" => Self::Snapshot,
            "policy/rules" => Self::Rules,
            "policy/explain" => Self::Explain,
            "audit" => Self::Audit,
            "audit/export" => Self::AuditExport,
            "audit/verify" => Self::AuditVerify,
            "tokens" => Self::Tokens,
            "read-only" => Self::ReadOnly,
            "integrity" => Self::Integrity,
            "integrity/verify" => Self::Verify,
            "openapi.json" => Self::OpenApi,
            _ => return Self::with_names(rest, deletes),
        })
    }

    fn with_names(rest: &str, deletes: bool) -> Result<Self, BadPath> {
        if let Some(rest) = rest.strip_prefix("repositories/") {
            return repository(rest, deletes);
        }
        let id = |id: &str| if id.is_empty() || id.contains('/') { None } else { Some(id.to_owned()) };
        if let Some(rest) = rest.strip_prefix("policy/rules/") {
            return id(rest).map(Self::Rule).ok_or(BadPath::NoSuchPath);
        }
        if let Some(rest) = rest.strip_prefix("tokens/") {
            return id(rest).map(Self::Token).ok_or(BadPath::NoSuchPath);
        }
        if let Some(rest) = rest.strip_prefix("plans/") {
            let (plan, make): (&str, fn(String) -> Self) = match rest.rsplit_once('/') {
                Some((plan, "confirm")) => (plan, Self::ConfirmPlan),
                Some((plan, "discard")) => (plan, Self::DiscardPlan),
                _ => (rest, Self::Plan),
            };
            return id(plan).map(make).ok_or(BadPath::NoSuchPath);
        }
        Err(BadPath::NoSuchPath)
    }

    /// The route's name in metrics: a closed set.
    #[must_use]
    pub fn route(&self) -> &'static str {
        match self {
            Self::Login | Self::Logout | Self::WhoAmI => "v1_auth",
            Self::Repositories => "v1_repositories",
            Self::Repository(_) => "v1_repository",
            Self::RestoreRepository(_) | Self::RestoreTag(..) | Self::RestoreManifest(..) | Self::Restore => {
                "v1_restore"
            }
            Self::Gc | Self::GcStatus => "v1_gc",
            Self::Retention => "v1_retention",
            Self::Plans | Self::Plan(_) | Self::ConfirmPlan(_) | Self::DiscardPlan(_) => "v1_plans",
            Self::Snapshot => "v1_snapshot",
            Self::Tags(_) | Self::Tag(..) | Self::TagHistory(..) => "v1_tags",
            Self::Rules | Self::Rule(_) | Self::Explain => "v1_policy",
            Self::Audit | Self::AuditExport | Self::AuditVerify => "v1_audit",
            Self::Tokens | Self::Token(_) => "v1_tokens",
            Self::ReadOnly => "v1_read_only",
            Self::Integrity => "integrity",
            Self::Verify => "v1_verify",
            Self::OpenApi => "v1_openapi",
        }
    }

    /// The methods it knows, as in `Allow`.
    #[must_use]
    pub fn allow(&self) -> &'static str {
        match self {
            Self::Login | Self::Logout | Self::Explain | Self::AuditVerify | Self::Verify => "POST",
            Self::RestoreRepository(_) | Self::RestoreTag(..) | Self::RestoreManifest(..) | Self::Restore => "POST",
            Self::Gc | Self::Retention | Self::ConfirmPlan(_) | Self::DiscardPlan(_) => "POST",
            Self::WhoAmI
            | Self::Repositories
            | Self::Tags(_)
            | Self::TagHistory(..)
            | Self::Audit
            | Self::AuditExport
            | Self::Integrity
            | Self::GcStatus
            | Self::Plans
            | Self::OpenApi => "GET, HEAD",
            Self::Repository(_) | Self::Plan(_) => "GET, HEAD, DELETE",
            Self::Tag(..) | Self::Token(_) => "DELETE",
            Self::Rules | Self::Tokens | Self::Snapshot => "GET, HEAD, POST",
            Self::Rule(_) => "GET, HEAD, PATCH, DELETE",
            Self::ReadOnly => "GET, HEAD, PUT",
        }
    }

    /// Whether it is answered to whoever asks.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Login | Self::OpenApi)
    }
}

/// What stands behind `/v1/repositories/`.
fn repository(rest: &str, deletes: bool) -> Result<AdminPath, BadPath> {
    if let Some(closed) = rest.strip_suffix('/') {
        return Ok(AdminPath::Repository(name(closed)?));
    }
    if deletes && let Some(found) = tag(rest)? {
        return Ok(found);
    }
    if let Some(before) = rest.strip_suffix("/history")
        && let Some(AdminPath::Tag(repository, tag)) = tag(before)?
    {
        return Ok(AdminPath::TagHistory(repository, tag));
    }
    if let Some(before) = rest.strip_suffix("/restore") {
        return restored(before);
    }
    if let Some(before) = rest.strip_suffix("/tags") {
        return Ok(AdminPath::Tags(name(before)?));
    }
    match tag(rest)? {
        Some(found) => Ok(found),
        None => Ok(AdminPath::Repository(name(rest)?)),
    }
}

/// What `<path>/restore` brings back.
fn restored(path: &str) -> Result<AdminPath, BadPath> {
    if let Some((repository, digest)) = path.rsplit_once("/manifests/").filter(|(_, digest)| digest.contains(':')) {
        let digest = Digest::parse(digest).map_err(|error| BadPath::Digest(error.to_string()))?;
        return Ok(AdminPath::RestoreManifest(name(repository)?, digest));
    }
    Ok(match tag(path)? {
        Some(AdminPath::Tag(repository, tag)) => AdminPath::RestoreTag(repository, tag),
        _ => AdminPath::RestoreRepository(name(path)?),
    })
}

/// `<name>/tags/<tag>`; none where the last word but one is not `tags`, or no name stands before it.
fn tag(path: &str) -> Result<Option<AdminPath>, BadPath> {
    let Some((before, last)) = path.rsplit_once('/') else { return Ok(None) };
    let Some(before) = before.strip_suffix("/tags") else { return Ok(None) };
    let tag = Tag::parse(last).map_err(|error| BadPath::Name(error.to_string()))?;
    Ok(Some(AdminPath::Tag(name(before)?, tag)))
}

fn name(text: &str) -> Result<RepositoryName, BadPath> {
    RepositoryName::parse(text).map_err(|error| BadPath::Name(error.to_string()))
}

#[cfg(test)]
mod tests;
