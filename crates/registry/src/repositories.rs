//! Repositories as people manage them: numbers, what is in one, where a tag has been, and deleting one whole; never bytes.

use std::sync::Arc;

use mcr_access::{Administer, Catalog, GlobalPermit, Permit, Pull};
use mcr_metadata::{
    DeleteRepository, ManifestSummary, RepositoryOutcome, RepositorySummary, SummaryPage, TagChange, TagSummary,
};
use mcr_oci::{RepositoryName, Tag};
use mcr_seams::random_hex;

use crate::error::Error;
use crate::policy::NameFilter;
use crate::registry::{Registry, actor};

/// Entries of one page at most.
pub const MAX_LISTED: usize = 1000;

/// In a cursor: this list is at its end. No tag and no digest is called that.
const ENDED: &str = "-";

/// A page of what is in a repository: so many tags and so many manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryDetail {
    /// Its numbers.
    pub summary: RepositorySummary,
    /// Tags, sorted.
    pub tags: Vec<TagSummary>,
    /// Live manifests, sorted by digest.
    pub manifests: Vec<ManifestSummary>,
    /// Where both lists go on, if one does.
    pub next: Option<String>,
}

/// A page of tags with what they point at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagDetailsPage {
    /// Sorted.
    pub tags: Vec<TagSummary>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// A page of a tag's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagHistoryPage {
    /// The newest move first.
    pub changes: Vec<TagChange>,
    /// Where the next page begins, if there is one: what to give as `before`.
    pub next: Option<i64>,
}

/// What went with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedRepository {
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Links to blobs.
    pub blobs: u64,
}

impl Registry {
    /// A page of the repositories that have a live manifest and that `shown` lets pass, with their numbers, behind
    /// the name `last`, at most `n` (up to [`MAX_LISTED`]). It may be short and still have a next one.
    ///
    /// # Errors
    /// Inability only.
    pub async fn repositories(
        &self,
        _permit: &GlobalPermit<Catalog>,
        shown: NameFilter,
        last: Option<String>,
        n: usize,
    ) -> Result<SummaryPage, Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        let limit = n.clamp(1, MAX_LISTED);
        Ok(self
            .parts
            .blocking
            .run(move || metadata.repository_summaries(last.as_deref(), limit, &|name| shown(name)))
            .await??)
    }

    /// A page of what is in a repository: at most `n` tags and `n` manifests (up to [`MAX_LISTED`]), from `cursor` on.
    ///
    /// # Errors
    /// [`Error::NameUnknown`]; [`Error::Invalid`] for a cursor that no page gave; inability.
    pub async fn repository(
        &self,
        permit: &Permit<Pull>,
        cursor: Option<&str>,
        n: usize,
    ) -> Result<RepositoryDetail, Error> {
        let (after_tag, after_manifest) = positions(cursor)?;
        let (metadata, name) = (Arc::clone(&self.parts.metadata), permit.repository().clone());
        let limit = n.clamp(1, MAX_LISTED);
        let found = self
            .parts
            .blocking
            .run(move || -> Result<Option<RepositoryDetail>, mcr_metadata::Error> {
                let Some(summary) = metadata.repository_summary(&name)? else { return Ok(None) };
                let tags = after_tag
                    .as_deref()
                    .map_or(Ok(Some(Vec::new())), |after| metadata.tag_summaries(&name, Some(after), limit + 1))?;
                let manifests = after_manifest
                    .as_deref()
                    .map_or(Ok(Some(Vec::new())), |after| metadata.manifest_summaries(&name, Some(after), limit + 1))?;
                let (tags, manifests) = (tags.unwrap_or_default(), manifests.unwrap_or_default());
                Ok(Some(RepositoryDetail { summary, tags, manifests, next: None }))
            })
            .await??;
        let mut detail = found.ok_or_else(|| Error::NameUnknown(permit.repository().to_string()))?;
        let tag = cut(&mut detail.tags, limit).map(|tag| tag.name.clone());
        let manifest = cut(&mut detail.manifests, limit).map(|manifest| manifest.digest.to_string());
        if tag.is_some() || manifest.is_some() {
            let part = |at: Option<String>| at.unwrap_or_else(|| ENDED.to_owned());
            detail.next = Some(format!("{},{}", part(tag), part(manifest)));
        }
        Ok(detail)
    }

    /// A page of a repository's tags with what they point at, behind the tag `last`, at most `n` (up to
    /// [`MAX_LISTED`]).
    ///
    /// # Errors
    /// [`Error::NameUnknown`]; inability.
    pub async fn tag_details(
        &self,
        permit: &Permit<Pull>,
        last: Option<String>,
        n: usize,
    ) -> Result<TagDetailsPage, Error> {
        let (metadata, name) = (Arc::clone(&self.parts.metadata), permit.repository().clone());
        let limit = n.clamp(1, MAX_LISTED);
        let found =
            self.parts.blocking.run(move || metadata.tag_summaries(&name, last.as_deref(), limit + 1)).await??;
        let Some(mut tags) = found else { return Err(Error::NameUnknown(permit.repository().to_string())) };
        let next = cut(&mut tags, limit).map(|tag| tag.name.clone());
        Ok(TagDetailsPage { tags, next })
    }

    /// Where a tag has been, the newest move first, before the move `before`, at most `n` (up to [`MAX_LISTED`]).
    /// Deleted tags and repositories have a history too.
    ///
    /// # Errors
    /// [`Error::NoSuch`] where there never was such a tag; inability.
    pub async fn tag_history(
        &self,
        permit: &Permit<Pull>,
        tag: &Tag,
        before: Option<i64>,
        n: usize,
    ) -> Result<TagHistoryPage, Error> {
        let (metadata, name, asked) = (Arc::clone(&self.parts.metadata), permit.repository().clone(), tag.clone());
        let limit = n.clamp(1, MAX_LISTED);
        let mut changes =
            self.parts.blocking.run(move || metadata.tag_history(&name, &asked, before, limit + 1)).await??;
        if changes.is_empty() && before.is_none() {
            return Err(Error::NoSuch(format!("there never was a tag {}:{tag} here", permit.repository())));
        }
        let next = cut(&mut changes, limit).map(|change| change.id);
        Ok(TagHistoryPage { changes, next })
    }

    /// Deletes a repository with everything in it: 404 from the answer on, tombstones until undo is past.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] where nothing live is in it; [`Error::Denied`] naming an immutable tag, and then nothing
    /// went; [`Error::ReadOnly`]; inability.
    pub async fn delete_repository(
        &self,
        permit: &GlobalPermit<Administer>,
        name: &RepositoryName,
    ) -> Result<DeletedRepository, Error> {
        self.may_write()?;
        let run_id = random_hex(16).map_err(|error| Error::no_random(&error))?;
        let write = DeleteRepository {
            repository: name.clone(),
            immutable: self.parts.settings.immutable_tags(name.as_str()),
            run_id,
            actor: actor(permit.identity()),
            at_ms: self.parts.clock.now_ms(),
        };
        let caches = Arc::clone(&self.parts.caches);
        let outcome = self
            .parts
            .writes
            .durable(|m, done| m.delete_repository(write, done), move |_| caches.everything_changed())
            .await?;
        match outcome {
            RepositoryOutcome::Deleted { tags, manifests, blobs } => Ok(DeletedRepository { tags, manifests, blobs }),
            RepositoryOutcome::NotFound => Err(Error::NameUnknown(name.to_string())),
            RepositoryOutcome::Immutable { tag } => {
                Err(Error::Denied(format!("{name}:{tag} is immutable: the repository cannot be deleted")))
            }
        }
    }
}

/// Leaves `limit` entries; gives the last of them where there were more.
fn cut<T>(entries: &mut Vec<T>, limit: usize) -> Option<&T> {
    let more = entries.len() > limit;
    entries.truncate(limit);
    entries.last().filter(|_| more)
}

/// From which tag and digest on a page shows; none for a list that is at its end.
fn positions(cursor: Option<&str>) -> Result<(Option<String>, Option<String>), Error> {
    let Some(cursor) = cursor else { return Ok((Some(String::new()), Some(String::new()))) };
    let Some((tag, digest)) = cursor.split_once(',') else {
        return Err(Error::Invalid("last: this is no cursor of a page of this repository".to_owned()));
    };
    let part = |text: &str| (text != ENDED).then(|| text.to_owned());
    Ok((part(tag), part(digest)))
}

#[cfg(test)]
mod tests;
