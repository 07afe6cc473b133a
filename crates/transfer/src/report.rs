//! What a run did, as plain data with its text and its verdict; never how it was done.

use mcr_oci::{Digest, Finding, FindingKind};
use serde::Serialize;

use crate::sink::Means;

/// Most tags of each kind that a report lists; counts are always whole.
pub const MAX_LISTED_TAGS: usize = 100_000;

/// How many of what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Repositories that were looked at.
    pub repositories: u64,
    /// Tags that the origin lists.
    pub tags: u64,
    /// Tags that are new here.
    pub imported: u64,
    /// Tags that pointed elsewhere here, and point where they do at the origin now.
    pub moved: u64,
    /// Tags that pointed there already, sound.
    pub unchanged: u64,
    /// Tags that were moved here since, and left.
    pub kept: u64,
    /// Tags that were left out because something is broken.
    pub broken: u64,
    /// Tags that were left out because a cache does not hold all of them.
    pub partial: u64,
    /// Tags that were left out because this registry does not take them.
    pub refused: u64,
    /// Tags that an earlier run brought and the origin does not list any more; they stay.
    pub gone: u64,
    /// Manifests that are new here.
    pub manifests: u64,
    /// Manifests without a tag that were brought, because they refer to something that was or were asked for.
    pub loose: u64,
    /// Manifests without a tag that were left out.
    pub untagged_left: u64,
    /// Blobs that are new here.
    pub blobs: u64,
    /// Blobs that were here, sound.
    pub blobs_already: u64,
}

/// How many bytes came which way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// Of all blobs that are new here; in a dry run, of those that would be.
    pub new: u64,
    /// Copied from files.
    pub copied: u64,
    /// Shared with files of the origin.
    pub reflinked: u64,
    /// The origin's files under second names.
    pub hardlinked: u64,
    /// Sent over a network.
    pub sent: u64,
    /// Of blobs that were here.
    pub already: u64,
}

/// A tag that came to point elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MovedTag {
    /// The repository here.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// Where it pointed here.
    pub from: Digest,
    /// Where it points.
    pub to: Digest,
}

/// A tag that was left as it is, or out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftTag {
    /// The repository here.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// Where it points here, if it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub here: Option<Digest>,
    /// Where it points at the origin, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub there: Option<Digest>,
    /// Why, in one clause.
    pub reason: String,
}

/// A tag that was left out because it is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokenTag {
    /// The repository here.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// Where it points, if that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Where images came from.
    pub origin: String,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// True where everything that the origin lists is here, sound.
    pub sound: bool,
    /// Why the run ended before it was done, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// How many.
    pub counts: Counts,
    /// How many bytes.
    pub bytes: Bytes,
    /// Tags that are broken at the origin.
    pub broken: Vec<BrokenTag>,
    /// What is broken beside tags: repositories that cannot be looked at, manifests without a tag.
    pub findings: Vec<Finding>,
    /// Names and patterns that were asked for and that the origin has no repository for.
    pub unmatched: Vec<String>,
    /// Tags that moved.
    pub moved: Vec<MovedTag>,
    /// Tags that were moved here since.
    pub kept: Vec<LeftTag>,
    /// Tags that the origin does not list any more.
    pub gone: Vec<LeftTag>,
    /// Tags of which a cache holds only a part.
    pub partial: Vec<LeftTag>,
    /// Tags that this registry does not take.
    pub refused: Vec<LeftTag>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// What a report comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything is here, sound.
    Done,
    /// Something was left out.
    LeftOut,
    /// It cannot be said: something could not be looked at, or the run ended early.
    Undetermined,
}

impl Verdict {
    /// The exit code: 0, 1 or 3.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::LeftOut => 1,
            Self::Undetermined => 3,
        }
    }
}

impl Report {
    /// What it comes to. Findings that say only that something could not be looked at are no verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let all = self.broken.iter().flat_map(|tag| &tag.findings).chain(&self.findings);
        if self.ended.is_some() {
            // Whatever was found so far: of the rest nothing is known.
            return Verdict::Undetermined;
        }
        let (mut found, mut unreachable) = (self.counts.refused > 0 || !self.unmatched.is_empty(), false);
        for finding in all {
            match finding.kind {
                FindingKind::Unreachable => unreachable = true,
                _ => found = true,
            }
        }
        match (found, unreachable) {
            (true, _) => Verdict::LeftOut,
            (false, true) => Verdict::Undetermined,
            (false, false) => Verdict::Done,
        }
    }

    /// Counts a blob that was brought.
    pub(crate) fn brought(&mut self, means: Means, bytes: u64) {
        self.counts.blobs += 1;
        self.bytes.new = self.bytes.new.saturating_add(bytes);
        let way = match means {
            Means::Reflinked => &mut self.bytes.reflinked,
            Means::Hardlinked => &mut self.bytes.hardlinked,
            Means::Copied => &mut self.bytes.copied,
            Means::Sent => &mut self.bytes.sent,
        };
        *way = way.saturating_add(bytes);
    }

    /// The report in words, a few lines and one per thing that was left out.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for tag in &self.broken {
            let at = tag.digest.as_ref().map_or_else(String::new, |digest| format!(" {digest}"));
            line(&mut text, format_args!("left out {}:{}{at}", tag.repository, tag.tag));
            for finding in &tag.findings {
                line(&mut text, format_args!("    {}", told(finding)));
            }
        }
        for finding in &self.findings {
            let place = finding.repository.as_deref().unwrap_or(&self.origin);
            line(&mut text, format_args!("{place}: {}", told(finding)));
        }
        for wanted in &self.unmatched {
            line(&mut text, format_args!("the origin has no repository {wanted}; look at its name"));
        }
        for (what, tags) in
            [("refused", &self.refused), ("partial", &self.partial), ("kept", &self.kept), ("gone", &self.gone)]
        {
            for tag in tags {
                line(&mut text, format_args!("{what} {}:{}: {}", tag.repository, tag.tag, tag.reason));
            }
        }
        for tag in &self.moved {
            line(&mut text, format_args!("moved {}:{} from {} to {}", tag.repository, tag.tag, tag.from, tag.to));
        }
        self.sum(&mut text);
        text
    }

    fn sum(&self, text: &mut String) {
        let Counts { repositories, tags, imported, moved, unchanged, kept, broken, partial, refused, gone, .. } =
            self.counts;
        let would = if self.dry_run { "would import" } else { "imported" };
        line(
            text,
            format_args!(
                "{would} {imported} of {tags} tags in {repositories} repositories; {moved} moved, {unchanged} unchanged, {kept} kept, {broken} broken, {partial} partial, {refused} refused, {gone} gone"
            ),
        );
        let Bytes { new, copied, reflinked, hardlinked, sent, already } = self.bytes;
        if self.dry_run {
            line(
                text,
                format_args!(
                    "{} in {} blobs would be brought; {} in {} blobs are here",
                    size(new),
                    self.counts.blobs,
                    size(already),
                    self.counts.blobs_already
                ),
            );
        } else {
            line(
                text,
                format_args!(
                    "{} in {} blobs brought ({} copied, {} shared, {} linked, {} sent); {} in {} blobs were here",
                    size(new),
                    self.counts.blobs,
                    size(copied),
                    size(reflinked),
                    size(hardlinked),
                    size(sent),
                    size(already),
                    self.counts.blobs_already
                ),
            );
        }
        if self.counts.untagged_left > 0 {
            line(
                text,
                format_args!("{} manifests without a tag left out; --untagged takes them", self.counts.untagged_left),
            );
        }
        if let Some(why) = &self.ended {
            line(text, format_args!("ended early: {why}; run it again, it goes on where it was"));
        }
        let seconds = self.duration_ms / 1000;
        let tenths = self.duration_ms % 1000 / 100;
        let verdict = match self.verdict() {
            Verdict::Done => "done",
            Verdict::LeftOut => "NOT ALL IMPORTED",
            Verdict::Undetermined => "UNDETERMINED",
        };
        line(text, format_args!("{verdict} in {seconds}.{tenths} s"));
    }
}

/// Adds a line. Names and reasons come from the origin, whoever made it: what controls a terminal is escaped, and
/// nothing of theirs begins a line of its own.
fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.push_str(&printable(&what.to_string()));
    text.push('\n');
}

/// A line of text with what controls a terminal escaped.
pub(crate) fn printable(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for c in line.chars() {
        match c.is_control() || is_direction(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Characters that turn the direction of what follows, and hide nothing else.
const fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn told(finding: &Finding) -> String {
    let digest = finding.digest.as_ref().map_or_else(String::new, |digest| format!(" {digest}"));
    let platform = finding.platform.as_ref().map_or_else(String::new, |platform| format!(" ({platform})"));
    let detail = finding.detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
    format!("{}{digest}{platform}{detail}", finding.kind)
}

/// A length for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = u128::from(bytes) * 10;
    let mut unit = 0;
    while scaled >= 10 * 1024 && unit + 1 < UNITS.len() {
        scaled /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{bytes} B") } else { format!("{}.{} {name}", scaled / 10, scaled % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_for_people() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
    }

    #[test]
    fn a_verdict_is_the_worst_that_is_known() {
        let mut report = Report::default();
        assert_eq!(report.verdict().code(), 0);
        report.ended = Some("the registry is gone".to_owned());
        assert_eq!(report.verdict().code(), 3);
        report.findings.push(Finding::new(FindingKind::Unreachable));
        assert_eq!(report.verdict().code(), 3);
        report.findings.push(Finding::new(FindingKind::BlobMissing));
        assert_eq!(report.verdict().code(), 3, "of what was not looked at nothing is known");
        report.ended = None;
        assert_eq!(report.verdict().code(), 1);
        // What a cache does not hold, what moved here since, and what went are no findings.
        let report =
            Report { counts: Counts { partial: 1, kept: 1, gone: 1, ..Counts::default() }, ..Report::default() };
        assert_eq!(report.verdict().code(), 0);
    }

    #[test]
    fn what_an_origin_says_controls_no_terminal() {
        let evil = "e\u{1b}[2Jvil\nimported 9 of 9 tags\u{202e}";
        let tag = |reason: &str| LeftTag {
            repository: evil.to_owned(),
            tag: "t".to_owned(),
            here: None,
            there: None,
            reason: reason.to_owned(),
        };
        let finding = Finding {
            repository: Some(evil.to_owned()),
            detail: Some(evil.to_owned()),
            ..Finding::new(FindingKind::Unreachable)
        };
        let report = Report {
            findings: vec![finding.clone()],
            broken: vec![BrokenTag {
                repository: "a".to_owned(),
                tag: evil.to_owned(),
                digest: None,
                findings: vec![finding],
            }],
            refused: vec![tag(evil)],
            ended: Some(evil.to_owned()),
            ..Report::default()
        };
        let text = report.text();
        assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || is_direction(c))), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("imported 9")), "{text}");
        assert!(text.contains("refused e\\u{1b}[2Jvil\\nimported"), "{text}");
    }
}
