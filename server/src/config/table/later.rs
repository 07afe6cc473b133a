//! What is promised for later versions and refused until then; never a key that there is.

/// Sections and keys that are promised for later versions. They are refused by name, so that nobody believes them in force.
/// An empty list of names means the whole section.
pub static LATER: &[(&str, &[&str])] = &[("proxy", &[]), ("web", &[])];

/// Sections among [`LATER`] that are written as `[[section]]`.
pub(super) const LATER_LISTS: &[&str] = &["proxy"];

/// Whether this key of a known section, or this whole section (`name` empty), belongs to a later version.
#[must_use]
pub fn is_later(section: &str, name: &str) -> bool {
    LATER.iter().any(|(later, names)| *later == section && (names.is_empty() || names.contains(&name)))
}
