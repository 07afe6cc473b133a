//! Telling what the database holds: page by page for everything, at once for one repository; never when that is due.

use super::Trouble;
use super::line::{Dumped, Next, Op};
use super::writer::Writer;
use crate::registry::Parts;

/// Tags of one page.
const TAGS: usize = 2000;

/// The telling of everything, under way.
#[derive(Default)]
pub(crate) struct Dump {
    at: Dumped,
    /// The end of the trail when the last row was read: the generation is whole once it says as much.
    until: Option<i64>,
}

/// Whether there is more to tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Page {
    More,
    Last,
}

impl Dump {
    /// Goes on behind `at`.
    pub(crate) fn behind(at: Option<Dumped>) -> Self {
        Self { at: at.unwrap_or_default(), until: None }
    }

    /// Tells one page, durably.
    pub(crate) fn page(&mut self, parts: &Parts, writer: &mut Writer) -> Result<Page, Trouble> {
        if let Some(until) = self.until {
            return Ok(if writer.position().seq >= until { Page::Last } else { Page::More });
        }
        let at = &mut self.at;
        let told = match at.next {
            Next::Repository => match parts.metadata.journal_repository(&at.repository)? {
                Some(repository) => {
                    *at = Dumped { repository, next: Next::Manifests, after: String::new() };
                    return Ok(Page::More);
                }
                None => {
                    self.until = Some(parts.metadata.audit_position()?.seq);
                    return Ok(Page::More);
                }
            },
            Next::Manifests => manifests(parts, writer, &at.repository, &at.after)?,
            Next::Tags => tags(parts, writer, &at.repository, &at.after)?,
        };
        if let Some(last) = told {
            at.after = last;
            writer.reach_dumped(&parts.blobs, at.clone(), parts.clock.now_ms())?;
        } else {
            at.next = if at.next == Next::Manifests { Next::Tags } else { Next::Repository };
            at.after.clear();
        }
        Ok(Page::More)
    }
}

/// Tells everything of one repository, and that what was said of it before is over.
pub(crate) fn repository(parts: &Parts, writer: &mut Writer, name: &str) -> Result<(), Trouble> {
    let before = writer.next_line();
    writer.unlearn_all();
    let mut after = String::new();
    while let Some(last) = manifests(parts, writer, name, &after)? {
        after = last;
    }
    after.clear();
    while let Some(last) = tags(parts, writer, name, &after)? {
        after = last;
    }
    // Last: a journal that ends before it says too much rather than too little.
    writer.add(&Op::Forget { repository: name.to_owned(), before })
}

/// Tells the manifests behind `after`; gives the last one, or none at the end.
fn manifests(parts: &Parts, writer: &mut Writer, repository: &str, after: &str) -> Result<Option<String>, Trouble> {
    let page = parts.metadata.journal_manifests(repository, after)?;
    let mut last = None;
    for manifest in page {
        last = Some(manifest.digest.as_str().to_owned());
        writer.add_manifest(repository, manifest)?;
    }
    Ok(last)
}

/// Tells the tags behind `after`; gives the last one, or none at the end.
fn tags(parts: &Parts, writer: &mut Writer, repository: &str, after: &str) -> Result<Option<String>, Trouble> {
    let page = parts.metadata.journal_tags(repository, after, TAGS)?;
    for tag in &page {
        writer.add_tag(repository, tag)?;
    }
    Ok(page.last().map(|tag| tag.tag.clone()))
}
