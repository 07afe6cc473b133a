//! Values between Rust and SQLite: digests, unsigned numbers, lists; never a query.

use mcr_oci::Digest;
use rusqlite::Row;
use serde_json::Value;

use crate::error::Error;

/// A size for a column. SQLite's integers end at 2⁶³−1, and so do files.
pub(crate) fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A size or count from a column.
pub(crate) fn unsigned(row: &Row<'_>, column: usize) -> Result<u64, Error> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| Error::invalid("a negative number", &value.to_string()))
}

/// A digest from a column.
pub(crate) fn digest(row: &Row<'_>, column: usize) -> Result<Digest, Error> {
    let text = row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?;
    Digest::parse(text).map_err(|_| Error::invalid("a digest", text))
}

/// A digest from a column that may be null.
pub(crate) fn optional_digest(row: &Row<'_>, column: usize) -> Result<Option<Digest>, Error> {
    let text = row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?;
    text.map(|text| Digest::parse(text).map_err(|_| Error::invalid("a digest", text))).transpose()
}

/// A list of texts for a column.
pub(crate) fn list(texts: &[String]) -> String {
    Value::from(texts).to_string()
}

/// A list of texts from a column; `whose` says of what, should it be none.
pub(crate) fn read_list(row: &Row<'_>, column: usize, whose: impl Fn() -> String) -> Result<Vec<String>, Error> {
    let text = row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?;
    serde_json::from_str(text).map_err(|_| Error::invalid(&format!("a list of {}", whose()), text))
}

/// The length of a page for a query.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A text that should have been JSON.
pub(crate) fn not_json(what: &str, text: &str) -> Error {
    Error::invalid(what, text)
}
