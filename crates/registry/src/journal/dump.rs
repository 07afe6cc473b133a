//! Telling what the database holds: page by page for everything, at once for one repository; never when that is due.

use super::Trouble;
use super::line::Op;
use super::writer::Writer;
use crate::registry::Parts;

/// Tags of one page.
const TAGS: usize = 2000;

/// How far the telling of everything is.
#[derive(Default)]
pub(crate) struct Dump {
    repository: String,
    next: Next,
    /// The end of the trail when the last row was read: the generation is whole once it says as much.
    until: Option<i64>,
}

#[derive(Default)]
enum Next {
    #[default]
    Repository,
    Manifests(String),
    Tags(String),
}

/// Whether there is more to tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Page {
    More,
    Last,
}

impl Dump {
    /// Tells one page, durably.
    pub(crate) fn page(&mut self, parts: &Parts, writer: &mut Writer) -> Result<Page, Trouble> {
        if let Some(until) = self.until {
            return Ok(if writer.position().seq >= until { Page::Last } else { Page::More });
        }
        match &mut self.next {
            Next::Repository => match parts.metadata.journal_repository(&self.repository)? {
                Some(name) => (self.repository, self.next) = (name, Next::Manifests(String::new())),
                None => self.until = Some(parts.metadata.audit_position()?.seq),
            },
            Next::Manifests(after) => match manifests(parts, writer, &self.repository, after)? {
                Some(last) => *after = last,
                None => self.next = Next::Tags(String::new()),
            },
            Next::Tags(after) => match tags(parts, writer, &self.repository, after)? {
                Some(last) => *after = last,
                None => self.next = Next::Repository,
            },
        }
        writer.flush()?;
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
