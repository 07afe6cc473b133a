//! What the database lists, a page at a time; never what the listener shows.

use std::collections::{BTreeSet, HashMap};

use mcr_access::{Catalog, GlobalPermit};
use mcr_metadata::TagQuery;
use mcr_registry::Registry;

use super::compare::{Database, Names};
use super::seen::Seen;
use super::settle::Standing;

/// Tags of one page.
const PAGE: usize = 10_000;

/// The database, as of a run.
pub(super) struct Rows<'a> {
    pub(super) registry: &'a Registry,
    pub(super) permit: &'a GlobalPermit<Catalog>,
    /// When the run began: what has come since is not missed.
    pub(super) before_ms: i64,
}

impl Rows<'_> {
    /// How many repositories there are.
    ///
    /// # Errors
    /// The database could not be read.
    pub(super) async fn repositories(&self) -> Result<usize, String> {
        let mut count = 0;
        self.each_page(|names| count += names.len()).await?;
        Ok(count)
    }

    /// How the tags of these repositories stand now.
    ///
    /// # Errors
    /// The database could not be read.
    pub(super) async fn standing(&self, repositories: BTreeSet<String>) -> Result<Standing, String> {
        let mut listed = BTreeSet::new();
        self.each_page(|names| listed.extend(names)).await?;
        let mut standing = Standing::new();
        for repository in repositories.intersection(&listed) {
            let mut tags = HashMap::new();
            let repository_only = Some(repository.clone());
            let mut query = TagQuery { limit: PAGE, repository: repository_only, ..TagQuery::default() };
            loop {
                let page = self.registry.tag_reports(self.permit, query.clone()).await;
                let page = page.map_err(|error| error.to_string())?;
                tags.extend(page.tags.into_iter().map(|tag| (tag.tag, tag.moved_at_ms)));
                match page.next {
                    Some(next) => query.last = Some(next),
                    None => break,
                }
            }
            standing.insert(repository.clone(), tags);
        }
        Ok(standing)
    }

    async fn each_page(&self, mut take: impl FnMut(Vec<String>) + Send) -> Result<(), String> {
        let mut last = None;
        loop {
            let page = self.registry.listed_repositories(self.permit, last).await.map_err(|error| error.to_string())?;
            take(page.names);
            match page.cursor {
                Some(next) => last = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn add_repositories(&self, seen: &Seen, names: &mut Names) -> Result<(), String> {
        self.each_page(|page| {
            for name in page.into_iter().filter(|name| !seen.has_repository(name)) {
                names.entry(name).or_default();
            }
        })
        .await
    }

    async fn add_tags(&self, seen: &Seen, names: &mut Names) -> Result<(), String> {
        let mut query = TagQuery { limit: PAGE, ..TagQuery::default() };
        loop {
            let page =
                self.registry.tag_reports(self.permit, query.clone()).await.map_err(|error| error.to_string())?;
            for tag in page.tags {
                if tag.moved_at_ms < self.before_ms && !seen.has_tag(&tag.repository, &tag.tag) {
                    names.entry(tag.repository).or_default().insert(tag.tag);
                }
            }
            match page.next {
                Some(next) => query.last = Some(next),
                None => return Ok(()),
            }
        }
    }
}

impl Database for Rows<'_> {
    async fn beyond(&self, seen: &Seen) -> Result<Names, String> {
        let mut names = Names::new();
        self.add_repositories(seen, &mut names).await?;
        self.add_tags(seen, &mut names).await?;
        Ok(names)
    }
}
