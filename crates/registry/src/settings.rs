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

/// A time as rows count it.
pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
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
    /// What the collector may take, and when.
    pub gc: GcSettings,
    /// Which tags are kept; the first rule that names a repository decides. No rule: nothing is deleted.
    pub retention: Vec<RetentionRule>,
    /// How the scrub goes through everything.
    pub scrub: ScrubSettings,
    /// Where snapshots lie and how long they hold what they refer to.
    pub backup: BackupSettings,
}

/// When the collector may take something (contract sections 2.8 and 9).
#[derive(Debug, Clone)]
pub struct GcSettings {
    /// How long content that nothing refers to any more is kept at least.
    pub grace: Duration,
    /// How long a promise about unreferenced content holds it; at least 10 s.
    pub lease: Duration,
    /// How long what was deleted can be restored.
    pub undo: Duration,
    /// Percent of the bytes or tags above which a plan of over 100 digests waits for a person.
    pub max_delete_percent: u8,
}

/// Which tags of some repositories are kept (`[[retention.rule]]`). A tag stays if any keep key says so.
#[derive(Debug, Clone)]
pub struct RetentionRule {
    /// Globs of repository names.
    pub repositories: Vec<String>,
    /// So many tags, by when they last moved.
    pub keep_last: Option<u32>,
    /// Tags that moved within this time.
    pub keep_within: Option<Duration>,
    /// Tags that were pulled within this time.
    pub keep_pulled_within: Option<Duration>,
    /// Tags that match as a whole.
    pub keep_tags: Option<Regex>,
    /// How long a manifest without a tag stays after the last reference to it went; none: for ever.
    pub delete_untagged_after: Option<Duration>,
}

/// How the scrub goes through everything (contract section 14).
#[derive(Debug, Clone)]
pub struct ScrubSettings {
    /// Bytes a second at most.
    pub rate: u64,
    /// How old the oldest hash may become; zero: no scrub runs.
    pub full_pass: Duration,
    /// How long damaged bytes are kept aside.
    pub quarantine_keep: Duration,
}

/// Where snapshots lie and how long they count (contract section 16).
#[derive(Debug, Clone)]
pub struct BackupSettings {
    /// The folder of snapshots: `backups` beside the database. None: as a registry without a configuration has it,
    /// beside its database.
    pub directory: Option<std::path::PathBuf>,
    /// Snapshots that are kept; older ones go when another is taken.
    pub keep: u32,
    /// How long the collector leaves alone what a snapshot refers to.
    pub hold: Duration,
    /// Where a scheduled snapshot also copies the blobs.
    pub blobs: Option<std::path::PathBuf>,
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for GcSettings {
    fn default() -> Self {
        Self { grace: DAY, lease: HOUR, undo: 7 * DAY, max_delete_percent: 10 }
    }
}

impl Default for ScrubSettings {
    fn default() -> Self {
        Self { rate: 50 << 20, full_pass: 30 * DAY, quarantine_keep: 30 * DAY }
    }
}

impl Default for BackupSettings {
    fn default() -> Self {
        Self { directory: None, keep: 14, hold: 2 * DAY, blobs: None }
    }
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
            gc: GcSettings::default(),
            retention: Vec::new(),
            scrub: ScrubSettings::default(),
            backup: BackupSettings::default(),
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
    /// Tags that neither move nor go; see [`Rule::tag_pattern`].
    pub immutable_tags: Option<Regex>,
}

impl Rule {
    /// A pattern that must match a tag as a whole; one with an anchor of its own says itself where it begins or ends:
    /// `^v` would otherwise match no tag but `v`, and protect nothing.
    ///
    /// # Errors
    /// The pattern is no regular expression.
    pub fn tag_pattern(pattern: &str) -> Result<Regex, regex::Error> {
        let anchored = regex_syntax::parse(pattern).is_ok_and(|hir| hir.properties().look_set().contains_anchor());
        if anchored { Regex::new(pattern) } else { Regex::new(&format!("^(?:{pattern})$")) }
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn patterns_match_whole_tags_unless_they_say_otherwise() {
        let matching = |pattern: &str| {
            let pattern = Rule::tag_pattern(pattern).unwrap();
            ["v1", "v1-rc", "dev1", "V1"].into_iter().filter(|tag| pattern.is_match(tag)).collect::<Vec<_>>()
        };
        assert_eq!(matching("v1"), ["v1"]);
        assert_eq!(matching("v1|V1"), ["v1", "V1"]);
        assert_eq!(matching("^v"), ["v1", "v1-rc"]);
        assert_eq!(matching("(?i)^v"), ["v1", "v1-rc", "V1"]);
        assert_eq!(matching("v1$"), ["v1", "dev1"]);
        assert_eq!(matching("^v1$"), ["v1"]);
        assert_eq!(matching("^(?:v.*)$"), ["v1", "v1-rc"]);
        assert!(Rule::tag_pattern("v(").is_err());
    }
}
