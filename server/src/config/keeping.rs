//! What the configuration says of keeping and deleting: `[gc]`, `[[retention.rule]]`, `[scrub]`, `[backup]`; never who does it.

use std::path::PathBuf;
use std::time::Duration;

use super::settings::Settings;
use super::table::RETENTION_RULES;
use super::value::OFF;

/// `[gc]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gc {
    /// When retention and then garbage collection run, as it was written and checked; none for never.
    pub schedule: Option<String>,
    /// Percent of the bytes or tags above which a plan of over 100 digests waits for a person; 1 to 100.
    pub max_delete_percent: u8,
    /// How long unreferenced content is kept.
    pub grace: Duration,
    /// How long a promise holds unreferenced content.
    pub lease: Duration,
    /// How long what was deleted can be restored.
    pub undo: Duration,
}

/// One `[[retention.rule]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// Patterns of repository names.
    pub repositories: Vec<String>,
    /// So many tags are kept, by when they last moved.
    pub keep_last: Option<u32>,
    /// Tags that moved within this time are kept.
    pub keep_within: Option<Duration>,
    /// Tags that were pulled within this time are kept.
    pub keep_pulled_within: Option<Duration>,
    /// A regular expression of tags that are kept, matched as a whole.
    pub keep_tags: Option<String>,
    /// How long a manifest without a tag stays; none for ever.
    pub delete_untagged_after: Option<Duration>,
}

/// `[scrub]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrub {
    /// Bytes a second, at most.
    pub rate: u64,
    /// Within which time everything is read once; zero: it does not run.
    pub full_pass: Duration,
}

/// `[backup]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// When the server takes a snapshot by itself; none for never.
    pub schedule: Option<String>,
    /// How many snapshots are kept.
    pub keep: u32,
    /// How long what a snapshot refers to is kept.
    pub hold: Duration,
    /// Where a scheduled snapshot also copies the blobs.
    pub blobs: Option<PathBuf>,
}

/// A schedule, unless it is off.
pub(super) fn schedule(settings: &Settings, full: &str) -> Option<String> {
    settings.text(full).filter(|text| text != OFF)
}

/// A number that its key's bounds keep small.
fn small<T: TryFrom<u64>>(settings: &Settings, full: &str) -> Option<T> {
    settings.number(full).and_then(|number| T::try_from(number).ok())
}

pub(super) fn gc(settings: &Settings) -> Option<Gc> {
    Some(Gc {
        schedule: schedule(settings, "gc.schedule"),
        max_delete_percent: small(settings, "gc.max_delete_percent")?,
        grace: settings.duration("gc.grace"),
        lease: settings.duration("gc.lease"),
        undo: settings.duration("gc.undo"),
    })
}

pub(super) fn scrub(settings: &Settings) -> Scrub {
    Scrub { rate: settings.size("scrub.rate"), full_pass: settings.duration("scrub.full_pass") }
}

pub(super) fn backup(settings: &Settings) -> Option<Backup> {
    Some(Backup {
        schedule: schedule(settings, "backup.schedule"),
        keep: small(settings, "backup.keep")?,
        hold: settings.duration("backup.hold"),
        blobs: settings.path("backup.blobs"),
    })
}

pub(super) fn retention(settings: &Settings) -> Vec<RetentionRule> {
    settings.rules(RETENTION_RULES).iter().map(retention_rule).collect()
}

fn retention_rule(settings: &Settings) -> RetentionRule {
    RetentionRule {
        repositories: settings.list("retention.rule.repositories"),
        keep_last: small(settings, "retention.rule.keep_last"),
        keep_within: settings.duration_if_set("retention.rule.keep_within"),
        keep_pulled_within: settings.duration_if_set("retention.rule.keep_pulled_within"),
        keep_tags: settings.text("retention.rule.keep_tags"),
        delete_untagged_after: settings.duration_if_set("retention.rule.delete_untagged_after"),
    }
}
