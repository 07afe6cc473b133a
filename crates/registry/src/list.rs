//! Listings: repositories, tags, referrers, a page at a time; never more than a page in memory.

use std::sync::Arc;

use mcr_access::{Catalog, GlobalPermit, Permit, Pull};
use mcr_metadata::ReferrerRow;
use mcr_oci::Digest;

use crate::error::Error;
use crate::policy::NameFilter;
use crate::registry::Registry;

/// Names in a page where the client names no number, and the most it may name.
pub(crate) const MAX_PAGE: usize = 10_000;
/// Referrers in one page.
const REFERRERS_PAGE: usize = 500;

/// A page of repository names.
#[derive(Debug, Clone)]
pub struct CatalogPage {
    /// Sorted bytewise.
    pub names: Vec<String>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// A page of tags.
#[derive(Debug, Clone)]
pub struct TagsPage {
    /// Sorted bytewise.
    pub tags: Vec<String>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// A page of referrers.
#[derive(Debug, Clone)]
pub struct ReferrersPage {
    /// Sorted by digest.
    pub referrers: Vec<ReferrerRow>,
    /// Where the next page begins, if there is one.
    pub next: Option<Digest>,
}

impl Registry {
    /// Lists repositories that have a live manifest and that `shown` lets pass (see [`Registry::visible`]). A page
    /// examines a bounded number of names: it may be short and still have a next one.
    ///
    /// # Errors
    /// Inability only.
    pub async fn catalog(
        &self,
        _permit: &GlobalPermit<Catalog>,
        last: Option<String>,
        n: Option<usize>,
        shown: NameFilter,
    ) -> Result<CatalogPage, Error> {
        self.volume_present()?;
        let limit = n.unwrap_or(MAX_PAGE).min(MAX_PAGE);
        if limit == 0 {
            return Ok(CatalogPage { names: Vec::new(), next: None });
        }
        let metadata = Arc::clone(&self.parts.metadata);
        let page =
            self.parts.blocking.run(move || metadata.catalog(last.as_deref(), limit, &|name| shown(name))).await??;
        let next = if page.more { page.cursor.or_else(|| page.names.last().cloned()) } else { None };
        Ok(CatalogPage { names: page.names, next })
    }

    /// Lists a repository's tags: every one of them, also those with findings.
    ///
    /// # Errors
    /// [`Error::NameUnknown`]; inability.
    pub async fn tags(&self, permit: &Permit<Pull>, last: Option<String>, n: Option<usize>) -> Result<TagsPage, Error> {
        self.volume_present()?;
        let limit = n.unwrap_or(MAX_PAGE).min(MAX_PAGE);
        let (metadata, repository) = (Arc::clone(&self.parts.metadata), permit.repository().clone());
        // One more than asked for tells whether there is a next page.
        let found = self.parts.blocking.run(move || metadata.tags(&repository, last.as_deref(), limit + 1)).await??;
        let Some(mut tags) = found else { return Err(Error::NameUnknown(permit.repository().to_string())) };
        let more = tags.len() > limit;
        tags.truncate(limit);
        let next = if more { tags.last().cloned() } else { None };
        Ok(TagsPage { tags, next })
    }

    /// Lists the manifests of a repository whose subject is `digest`; empty where there are none,
    /// also where the digest or the repository is not known (dist-spec "Listing Referrers").
    ///
    /// # Errors
    /// Inability only.
    pub async fn referrers(
        &self,
        permit: &Permit<Pull>,
        subject: &Digest,
        artifact_type: Option<String>,
        last: Option<Digest>,
    ) -> Result<ReferrersPage, Error> {
        self.volume_present()?;
        let (metadata, repository, subject) =
            (Arc::clone(&self.parts.metadata), permit.repository().clone(), subject.clone());
        let mut referrers = self
            .parts
            .blocking
            .run(move || {
                metadata.referrers(&repository, &subject, artifact_type.as_deref(), last.as_ref(), REFERRERS_PAGE + 1)
            })
            .await??;
        let more = referrers.len() > REFERRERS_PAGE;
        referrers.truncate(REFERRERS_PAGE);
        let next = if more { referrers.last().map(|r| r.digest.clone()) } else { None };
        Ok(ReferrersPage { referrers, next })
    }
}
