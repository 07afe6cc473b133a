//! The closed sets of words in requests and answers, as the OpenAPI document shows them; never how one is read.

use serde::Serialize;
use utoipa::ToSchema;

/// What a rule does.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Permits, unless another rule denies.
    Allow,
    /// Refuses, whatever others say.
    Deny,
}

/// An action; the part before the colon may be left out in requests.
#[derive(Debug, Serialize, ToSchema)]
pub enum Action {
    /// `GET /v2/`.
    #[serde(rename = "registry:version_check")]
    VersionCheck,
    /// Read manifests, blobs, tags, referrers.
    #[serde(rename = "registry:pull")]
    Pull,
    /// Upload blobs, put manifests and tags.
    #[serde(rename = "registry:push")]
    Push,
    /// Delete tags, manifests, blobs.
    #[serde(rename = "registry:delete")]
    Delete,
    /// List repositories.
    #[serde(rename = "registry:catalog")]
    Catalog,
    /// Read and change policy rules.
    #[serde(rename = "policy:manage")]
    Manage,
}

/// A kind of account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccountType {
    /// Nobody logged in.
    Anonymous,
    /// A person.
    Human,
    /// A machine.
    System,
}

/// What an API token may do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenAction {
    /// Read.
    Pull,
    /// Write.
    Push,
    /// Delete.
    Delete,
    /// List repositories.
    Catalog,
}

/// How a tag stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its closure is complete.
    Sound,
    /// Something in it is wrong.
    Broken,
    /// It could not be told.
    Undetermined,
}

/// An order in time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Newest first.
    Desc,
    /// Oldest first.
    Asc,
}

/// A format of an export.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// A JSON object a line.
    Jsonl,
    /// RFC 4180, with a head.
    Csv,
}
