//! Repositories, their tags, what became of them; deleting both.

use std::sync::Arc;

use mcr_access::{Administer, Catalog, Delete, Pull};
use mcr_metadata as rows;
use mcr_oci::{Reference, RepositoryName, Tag, glob};
use mcr_registry::NameFilter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{ApiError, Caller, Page, Time, page};
use crate::http::cursor;

/// Bytes of a filter at most.
const MAX_FILTER: usize = 512;

/// Which repositories.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only those whose name this pattern matches: `*` within a segment, `**` across.
    #[param(max_length = 512)]
    pub filter: Option<String>,
}

/// A repository, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RepositorySummary {
    /// Its name.
    pub name: String,
    /// Its tags.
    pub tag_count: u64,
    /// Its manifests, tagged or not.
    pub manifest_count: u64,
    /// Bytes of its manifests and of the blobs it links to, each once.
    pub total_size: u64,
    /// When it was made.
    pub created_at: Time,
    /// When something in it last changed.
    pub updated_at: Time,
}

/// A page of repositories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RepositoryList {
    /// Those the caller may pull from, by name.
    pub repositories: Vec<RepositorySummary>,
    /// Where the next page begins; null on the last one. A page may be short, or empty, and not the last.
    pub next: Option<String>,
}

/// A tag and what it points at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TagSummary {
    /// Its name.
    pub name: String,
    /// The manifest's digest.
    pub digest: String,
    /// The manifest's media type.
    pub media_type: String,
    /// Bytes of the manifest.
    pub size: u64,
    /// When the tag was last moved.
    pub moved_at: Time,
}

/// A manifest of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ManifestSummary {
    /// Its digest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// `image` or `index`.
    pub kind: String,
    /// Bytes of the manifest.
    pub size: u64,
    /// When it was pushed.
    pub pushed_at: Time,
    /// The tags that point at it.
    pub tags: Vec<String>,
}

/// A repository with a page of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RepositoryDetail {
    /// Its counts.
    #[serde(flatten)]
    pub summary: RepositorySummary,
    /// Its tags, by name.
    pub tags: Vec<TagSummary>,
    /// Its manifests.
    pub manifests: Vec<ManifestSummary>,
    /// Where the next page begins; null on the last one.
    pub next: Option<String>,
}

/// What a delete of a repository took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeletedRepository {
    /// By kind.
    pub deleted: DeletedCounts,
}

/// How many of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeletedCounts {
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Links to blobs.
    pub blobs: u64,
}

/// A page of tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TagList {
    /// The repository.
    pub name: String,
    /// Names of tags, sorted.
    pub tags: Vec<String>,
    /// Where the next page begins; null on the last one.
    pub next: Option<String>,
}

/// One change of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TagChange {
    /// When.
    pub at: Time,
    /// The account that did it.
    pub actor: String,
    /// Where it pointed before; null where it did not exist.
    pub previous: Option<String>,
    /// Where it pointed after; null where it was deleted.
    pub current: Option<String>,
    /// The run that did it, where it was one.
    pub run_id: Option<String>,
}

/// A page of a tag's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TagHistory {
    /// Newest first.
    pub history: Vec<TagChange>,
    /// Where the next page begins; null on the last one.
    pub next: Option<String>,
}

/// Repositories that the caller may pull from.
///
/// # Errors
/// [`ApiError`].
pub async fn list(caller: &Caller, page: &Page, filter: &Filter) -> Result<RepositoryList, ApiError> {
    let permit = caller.permit_global::<Catalog>()?;
    let pattern = filter.filter.clone().filter(|pattern| !pattern.is_empty());
    if pattern.as_ref().is_some_and(|pattern| pattern.len() > MAX_FILTER) {
        return Err(ApiError::Invalid(format!("filter has more than {MAX_FILTER} bytes")));
    }
    let (last, limit) = (cursor::place(page.cursor()?)?, page.limit(page::DEFAULT)?);
    let registry = &caller.edge.registry;
    let visible = registry.visible(&caller.identity);
    let may_see = Arc::clone(&visible);
    let shown: NameFilter = match pattern {
        None => visible,
        Some(pattern) => Arc::new(move |name| glob::matches(&pattern, name) && visible(name)),
    };
    let found = registry.repositories(&permit, shown, last, limit).await?;
    let seen = found.next.as_deref().is_some_and(|next| may_see(next));
    let next = found.next.and_then(|next| cursor::shown(next, seen));
    Ok(RepositoryList { repositories: found.repositories.into_iter().map(summary).collect(), next })
}

/// A repository with a page of its content.
///
/// # Errors
/// [`ApiError`].
pub async fn get(caller: &Caller, name: &RepositoryName, page: &Page) -> Result<RepositoryDetail, ApiError> {
    let permit = caller.permit::<Pull>(name)?;
    let (cursor, limit) = (page.cursor()?, page.limit(page::DEFAULT)?);
    let found = caller.edge.registry.repository(&permit, cursor.as_deref(), limit).await?;
    Ok(RepositoryDetail {
        summary: summary(found.summary),
        tags: found.tags.into_iter().map(tag).collect(),
        manifests: found.manifests.into_iter().map(manifest).collect(),
        next: found.next,
    })
}

/// Deletes a repository with everything in it.
///
/// # Errors
/// [`ApiError`].
pub async fn delete(caller: &Caller, name: &RepositoryName) -> Result<DeletedRepository, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    let gone = caller.edge.registry.delete_repository(&permit, name).await?;
    Ok(DeletedRepository { deleted: DeletedCounts { tags: gone.tags, manifests: gone.manifests, blobs: gone.blobs } })
}

/// The names of a repository's tags.
///
/// # Errors
/// [`ApiError`].
pub async fn tags(caller: &Caller, name: &RepositoryName, page: &Page) -> Result<TagList, ApiError> {
    let permit = caller.permit::<Pull>(name)?;
    let (last, limit) = (page.cursor()?, page.limit(page::DEFAULT)?);
    let found = caller.edge.registry.tags(&permit, last, Some(limit)).await?;
    Ok(TagList { name: name.to_string(), tags: found.tags, next: found.next })
}

/// Deletes a tag; what it points at stays.
///
/// # Errors
/// [`ApiError`].
pub async fn delete_tag(caller: &Caller, name: &RepositoryName, tag: &Tag) -> Result<(), ApiError> {
    let permit = caller.permit::<Delete>(name)?;
    caller.edge.registry.delete_manifest(&permit, Reference::Tag(tag.clone())).await?;
    Ok(())
}

/// Where a tag pointed, newest change first; also one that is gone.
///
/// # Errors
/// [`ApiError`].
pub async fn history(caller: &Caller, name: &RepositoryName, tag: &Tag, page: &Page) -> Result<TagHistory, ApiError> {
    let permit = caller.permit::<Pull>(name)?;
    let (before, limit) = (page.place()?, page.limit(page::DEFAULT)?);
    let found = caller.edge.registry.tag_history(&permit, tag, before, limit).await?;
    let history = found.changes.into_iter().map(change).collect();
    Ok(TagHistory { history, next: found.next.map(|id| id.to_string()) })
}

fn summary(row: rows::RepositorySummary) -> RepositorySummary {
    RepositorySummary {
        name: row.name,
        tag_count: row.tags,
        manifest_count: row.manifests,
        total_size: row.size,
        created_at: Time(row.created_at_ms),
        updated_at: Time(row.updated_at_ms),
    }
}

fn tag(row: rows::TagSummary) -> TagSummary {
    TagSummary {
        name: row.name,
        digest: row.digest.to_string(),
        media_type: row.media_type,
        size: row.size,
        moved_at: Time(row.moved_at_ms),
    }
}

fn manifest(row: rows::ManifestSummary) -> ManifestSummary {
    ManifestSummary {
        digest: row.digest.to_string(),
        media_type: row.media_type,
        kind: row.kind,
        size: row.size,
        pushed_at: Time(row.pushed_at_ms),
        tags: row.tags,
    }
}

fn change(row: rows::TagChange) -> TagChange {
    TagChange {
        at: Time(row.at_ms),
        actor: row.actor,
        previous: row.previous.map(|digest| digest.to_string()),
        current: row.current.map(|digest| digest.to_string()),
        run_id: row.run_id,
    }
}
