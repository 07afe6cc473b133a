//! Undo: bringing back a tag, a manifest, a repository, or what a whole run took; never how.

use mcr_access::{Administer, Push};
use mcr_oci::{Digest, RepositoryName, Tag};
use mcr_registry as rows;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, Caller, Time};

/// Where a tag shall point.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestoreTagRequest {
    /// The digest; where it is not given, the last one that it pointed at before.
    pub to: Option<String>,
}

/// A tag that points again where it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RestoredTag {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// Where it points now.
    pub digest: String,
    /// Where it pointed until now; null where it did not exist.
    pub previous: Option<String>,
}

/// A manifest that was brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RestoredManifest {
    /// The repository.
    pub repository: String,
    /// The manifest.
    pub digest: String,
    /// How many manifests came back: it, what it reaches, its referrers.
    pub manifests_restored: u64,
}

/// Which deletes shall be undone: those of a run, or all since a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestoreRunRequest {
    /// The run, or plan, whose deletes are undone; or `since`.
    #[schema(max_length = 64)]
    pub run: Option<String>,
    /// Everything that was deleted since then is brought back.
    pub since: Option<Time>,
    /// With `since`: only what this account deleted.
    #[schema(max_length = 255)]
    pub by: Option<String>,
    /// Only says what would come back.
    pub dry_run: bool,
}

/// What an undo brought back, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RestoredRun {
    /// Nothing was changed: this is what would come back.
    pub dry_run: bool,
    /// At most 1000; `tags_restored` counts all.
    pub tags: Vec<TagOfRun>,
    /// Tags that came back.
    pub tags_restored: u64,
    /// Manifests that came back.
    pub manifests_restored: u64,
    /// Repositories in which something came back.
    pub repositories: u64,
    /// What did not come back; at most 1000, `refused_total` counts all.
    pub refused: Vec<NotRestored>,
    /// How many did not come back.
    pub refused_total: u64,
}

/// A tag of a run that was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TagOfRun {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// Where it points.
    pub digest: String,
}

/// Something that was not brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NotRestored {
    /// `repository:tag` or `repository@digest`.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

/// What came back with a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RestoredRepository {
    /// By kind.
    pub restored: RestoredCounts,
    /// What did not come back; at most 1000.
    pub refused: Vec<NotRestored>,
}

/// How many of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct RestoredCounts {
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Links to blobs.
    pub blobs: u64,
}

/// Refuses those who may not push, before what they sent is looked at.
///
/// # Errors
/// [`ApiError`].
pub fn may_push(caller: &Caller, name: &RepositoryName) -> Result<(), ApiError> {
    caller.permit::<Push>(name).map(drop)
}

/// Points a tag again where it pointed before its last move, or at a digest of its history.
///
/// # Errors
/// [`ApiError`].
pub async fn tag(
    caller: &Caller,
    name: &RepositoryName,
    tag: &Tag,
    request: &RestoreTagRequest,
) -> Result<RestoredTag, ApiError> {
    let permit = caller.permit::<Push>(name)?;
    let read = |text: &String| Digest::parse(text).map_err(|error| ApiError::Invalid(format!("to: {error}")));
    let to = request.to.as_ref().map(read).transpose()?;
    let back = caller.edge.registry.restore_tag(&permit, tag, to.as_ref()).await?;
    Ok(RestoredTag {
        repository: back.repository.to_string(),
        tag: back.tag.to_string(),
        digest: back.digest.to_string(),
        previous: back.previous.map(|digest| digest.to_string()),
    })
}

/// Brings back a manifest with what it reaches and its referrers, without tags.
///
/// # Errors
/// [`ApiError`].
pub async fn manifest(caller: &Caller, name: &RepositoryName, digest: &Digest) -> Result<RestoredManifest, ApiError> {
    let permit = caller.permit::<Push>(name)?;
    let manifests_restored = caller.edge.registry.restore_manifest(&permit, digest).await?;
    Ok(RestoredManifest { repository: name.to_string(), digest: digest.to_string(), manifests_restored })
}

/// Undoes a whole run, or every delete since a moment.
///
/// # Errors
/// [`ApiError`].
pub async fn run(caller: &Caller, request: RestoreRunRequest) -> Result<RestoredRun, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    let RestoreRunRequest { run, since, by, dry_run } = request;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let what = rows::RestoreRun { run: given(run), since_ms: since.map(|time| time.0), by: given(by), dry_run };
    let back = caller.edge.registry.restore_run(&permit, what).await?;
    let tag = |of: rows::RestoredTag| TagOfRun {
        repository: of.repository.to_string(),
        tag: of.tag.to_string(),
        digest: of.digest.to_string(),
    };
    Ok(RestoredRun {
        dry_run,
        tags: back.tags.into_iter().map(tag).collect(),
        tags_restored: back.tags_restored,
        manifests_restored: back.manifests_restored,
        repositories: back.repositories,
        refused: back.refused.into_iter().map(refused).collect(),
        refused_total: back.refused_total,
    })
}

/// Undoes the delete of a repository.
///
/// # Errors
/// [`ApiError`].
pub async fn repository(caller: &Caller, name: &RepositoryName) -> Result<RestoredRepository, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    let back = caller.edge.registry.restore_repository(&permit, name).await?;
    let restored = RestoredCounts { tags: back.tags, manifests: back.manifests, blobs: back.blobs };
    Ok(RestoredRepository { restored, refused: back.refused.into_iter().map(refused).collect() })
}

fn refused(of: rows::Unrestored) -> NotRestored {
    NotRestored { what: of.what, why: of.why }
}
