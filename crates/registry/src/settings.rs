//! What the use cases let an operator choose, as typed values; never where the values come from.

use std::sync::Arc;
use std::time::Duration;

use mcr_access::Builtins;
use mcr_metadata::TagGuard;
use mcr_oci::glob;
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
    /// What of the built-in policy rules the configuration says.
    pub builtins: Builtins,
    /// How long audit rows are kept; none keeps them all.
    pub audit_keep: Option<Duration>,
    /// Refuse every write.
    pub read_only: bool,
    /// Whether the probe runs; where it does not, what it once found says nothing of how things are.
    pub probed: bool,
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
            builtins: Builtins::everything(),
            audit_keep: None,
            read_only: false,
            probed: true,
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
        self.rules.iter().find(|rule| rule.repositories.iter().any(|glob| glob::matches(glob, repository)))
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
