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

/// What kind of run a plan is of.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlanJob {
    /// Garbage collection.
    Gc,
    /// Retention.
    Retention,
}

/// How far a plan is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanState {
    /// Its steps are being written.
    Planning,
    /// It takes so much, or is of a rule so new, that somebody must confirm it.
    NeedsConfirmation,
    /// It is being applied.
    Running,
    /// It was applied, or was only to be looked at.
    Done,
    /// It was given up.
    Failed,
    /// It was never applied.
    Discarded,
}

/// What a step of a plan does.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepAction {
    /// Deletes a tag.
    Tag,
    /// Deletes a manifest, so that it can be restored.
    Bury,
    /// Removes a manifest for good.
    Manifest,
    /// Removes a repository's link to a blob.
    Link,
    /// Removes a blob.
    Blob,
    /// Removes a file that has no row.
    File,
}

/// What became of a step.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// Nothing yet.
    Planned,
    /// It was done.
    Done,
    /// It was looked at again and not done.
    Skipped,
}
