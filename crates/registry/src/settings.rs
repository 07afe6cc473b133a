//! What the use cases let an operator choose, as typed values; never where the values come from.

use std::sync::Arc;
use std::time::Duration;

use mcr_metadata::TagGuard;
use regex::Regex;

/// When a full read of a blob hashes it (contract section 2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyOnRead {
    /// Only where the file's stat changed.
    Off,
    /// Where the last hash is older than [`Settings::fresh_for`].
    Stale,
    /// On every full read.
    Always,
}

/// What a reader gets of an index above a broken image (contract section 2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenIndex {
    /// The index, with a warning naming the platforms that are whole.
    Serve,
    /// 404.
    Hide,
}

/// The choices of one registry.
#[derive(Debug, Clone)]
pub struct Settings {
    /// When reads hash.
    pub verify_on_read: VerifyOnRead,
    /// How long a hash is believed without looking again.
    pub fresh_for: Duration,
    /// How a broken index is answered.
    pub broken_index: BrokenIndex,
    /// Free bytes below which nothing new is taken.
    pub reserve: u64,
    /// How long an upload session lives after its last byte.
    pub upload_ttl: Duration,
    /// What holds in which repositories; the first rule that names a repository decides.
    pub rules: Vec<Rule>,
    /// Refuse every write.
    pub read_only: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            verify_on_read: VerifyOnRead::Stale,
            fresh_for: Duration::from_secs(3600),
            broken_index: BrokenIndex::Serve,
            reserve: 1 << 30,
            upload_ttl: Duration::from_secs(7 * 24 * 3600),
            rules: Vec::new(),
            read_only: false,
        }
    }
}

impl Settings {
    /// True when an index in `repository` may lack children.
    #[must_use]
    pub fn is_sparse(&self, repository: &str) -> bool {
        self.rule(repository).is_some_and(|rule| rule.sparse)
    }

    /// The tags of `repository` that neither move nor go; `None` where all may.
    pub(crate) fn immutable_tags(&self, repository: &str) -> Option<TagGuard> {
        let pattern = self.rule(repository)?.immutable_tags.clone()?;
        Some(TagGuard(Arc::new(move |tag| pattern.is_match(tag))))
    }

    fn rule(&self, repository: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.repositories.iter().any(|glob| glob_matches(glob, repository)))
    }
}

/// What holds in some repositories (`[[integrity.rule]]`).
#[derive(Debug, Clone)]
pub struct Rule {
    /// Globs of repository names.
    pub repositories: Vec<String>,
    /// Whether indexes may lack children.
    pub sparse: bool,
    /// Tags that neither move nor go; matched as a whole.
    pub immutable_tags: Option<Regex>,
}

impl Rule {
    /// A pattern that must match a tag as a whole.
    ///
    /// # Errors
    /// The pattern is no regular expression.
    pub fn whole_tag(pattern: &str) -> Result<Regex, regex::Error> {
        Regex::new(&format!("^(?:{pattern})$"))
    }
}

/// Matches a repository glob: `*` within a path segment, `**` across segments (contract section 10).
#[must_use]
pub(crate) fn glob_matches(glob: &str, name: &str) -> bool {
    // Greedy matching with one remembered star of each kind: linear in practice, and never recursive.
    let (g, n) = (glob.as_bytes(), name.as_bytes());
    let (mut gi, mut ni) = (0, 0);
    let mut single: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    while ni < n.len() {
        if g.get(gi) == Some(&b'*') {
            if g.get(gi + 1) == Some(&b'*') {
                gi += 2;
                double = Some((gi, ni));
                single = None;
            } else {
                gi += 1;
                single = Some((gi, ni));
            }
            continue;
        }
        if gi < g.len() && g.get(gi) == n.get(ni) {
            gi += 1;
            ni += 1;
            continue;
        }
        match (single, double) {
            (Some((at, from)), _) if n.get(from) != Some(&b'/') => {
                single = Some((at, from + 1));
                (gi, ni) = (at, from + 1);
            }
            (_, Some((at, from))) => {
                single = None;
                double = Some((at, from + 1));
                (gi, ni) = (at, from + 1);
            }
            _ => return false,
        }
    }
    g.get(gi..).is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
}

#[cfg(test)]
mod tests {
    use super::glob_matches;

    #[test]
    fn one_star_stays_within_a_segment_and_two_cross() {
        for (glob, name, expected) in [
            ("infra/*", "infra/ci", true),
            ("infra/*", "infra/ci/deep", false),
            ("infra/**", "infra/ci/deep", true),
            ("**", "a/b/c", true),
            ("*", "a/b", false),
            ("*", "ab", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("**/ci", "x/y/ci", true),
            ("**/ci", "x/y/cj", false),
            ("a/*/c", "a/b/c", true),
            ("a/*/c", "a/b/b/c", false),
            ("**x*z", "a/xbx/y/xz", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(glob_matches(glob, name), expected, "{glob} ~ {name}");
        }
    }
}
