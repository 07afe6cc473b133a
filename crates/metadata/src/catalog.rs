//! Listing repositories, page by page; never what is in them.

use rusqlite::{Connection, params};

use crate::Metadata;
use crate::error::Error;
use crate::rows::Page;
use crate::sql;

/// Names that a page examines at least before it may be short.
const EXAMINED_MIN: usize = 1000;

/// Names that one read transaction reads at most.
const AT_ONCE: usize = 1000;
/// And at least, so that a small page does not make one for each name.
const AT_LEAST: usize = 50;

impl Metadata {
    /// The repositories with a live manifest that `shown` lets pass and whose names come after `last`, sorted bytewise,
    /// at most `limit`. A page examines at most `max(10 * limit, 1000)` names: it may be short and still say that there
    /// is more. Names are read some at a time, and `shown` is asked outside of any transaction.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn catalog(&self, last: Option<&str>, limit: usize, shown: &dyn Fn(&str) -> bool) -> Result<Page, Error> {
        if limit == 0 {
            return Ok(Page::default());
        }
        let examine = limit.saturating_mul(10).max(EXAMINED_MIN);
        // As many as a page without gaps takes, and the one behind it.
        let at_once = limit.saturating_add(1).clamp(AT_LEAST, AT_ONCE);
        let mut page = Page::default();
        // The last name that the next page need not look at again.
        let mut passed = last.unwrap_or("").to_owned();
        let mut examined = 0;
        loop {
            let names = self.readers.read(|connection| names_after(connection, &passed, at_once))?;
            let at_end = names.len() < at_once;
            for (name, live) in names {
                let listed = live && shown(&name);
                if examined == examine || (listed && page.names.len() == limit) {
                    page.more = true;
                    page.cursor = Some(passed);
                    return Ok(page);
                }
                examined += 1;
                if listed {
                    page.names.push(name.clone());
                }
                passed = name;
            }
            if at_end {
                return Ok(page);
            }
        }
    }
}

/// Names behind `last`, and whether there is a live manifest under each.
fn names_after(connection: &Connection, last: &str, limit: usize) -> Result<Vec<(String, bool)>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT r.name, EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id AND m.deleted_at IS NULL)
         FROM repositories r
         WHERE r.name > ?1 AND r.deleted_at IS NULL
         ORDER BY r.name LIMIT ?2",
    )?;
    let rows = statement.query_map(params![last, sql::limit(limit)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
