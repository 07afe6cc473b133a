//! Listing repositories, page by page; never what is in them.

use rusqlite::Connection;

use crate::Metadata;
use crate::error::Error;
use crate::rows::Page;

/// Names that a page examines at least before it may be short.
const EXAMINED_MIN: usize = 1000;

impl Metadata {
    /// The repositories with a live manifest that `shown` lets pass and whose names come after `last`, sorted bytewise,
    /// at most `limit`. A page examines at most `max(10 * limit, 1000)` names: it may be short and still say that there
    /// is more. `shown` is asked inside a read transaction, and so must be quick.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn catalog(&self, last: Option<&str>, limit: usize, shown: &dyn Fn(&str) -> bool) -> Result<Page, Error> {
        if limit == 0 {
            return Ok(Page::default());
        }
        let examine = limit.saturating_mul(10).max(EXAMINED_MIN);
        self.readers.read(|connection| page(connection, last.unwrap_or(""), limit, examine, shown))
    }
}

fn page(
    connection: &Connection,
    last: &str,
    limit: usize,
    examine: usize,
    shown: &dyn Fn(&str) -> bool,
) -> Result<Page, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT r.name, EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id AND m.deleted_at IS NULL)
         FROM repositories r
         WHERE r.name > ?1 AND r.deleted_at IS NULL
         ORDER BY r.name",
    )?;
    let mut rows = statement.query([last])?;
    let mut page = Page::default();
    let mut examined = 0;
    // The last name that the next page need not look at again.
    let mut passed = None;
    while let Some(row) = rows.next()? {
        if examined == examine {
            page.more = true;
            break;
        }
        examined += 1;
        let name: String = row.get(0)?;
        let listed = row.get(1)? && shown(&name);
        if listed && page.names.len() == limit {
            page.more = true;
            break;
        }
        if listed {
            page.names.push(name.clone());
        }
        passed = Some(name);
    }
    page.cursor = passed.filter(|_| page.more);
    Ok(page)
}

#[cfg(test)]
mod tests;
