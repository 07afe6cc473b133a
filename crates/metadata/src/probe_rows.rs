//! What the probe hands over and what is kept of it, as plain data; never a connection or a judgement.

use mcr_oci::{Digest, Finding, FindingKind};

/// One run of the probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRun {
    /// When it began, in Unix milliseconds.
    pub started_at_ms: i64,
    /// When it ended, in Unix milliseconds.
    pub ended_at_ms: i64,
    /// How long it took by a clock that is never set, in milliseconds.
    pub duration_ms: u64,
    /// `head`, `tail` or `full`.
    pub level: String,
    /// Why it could not complete; none for a complete run.
    pub reason: Option<String>,
    /// Whether the catalog could be read; none where the run ended before that was known.
    pub catalog_accessible: Option<bool>,
    /// Repositories looked at.
    pub repositories: u64,
    /// Tags looked at.
    pub tags: u64,
    /// Indexes looked at.
    pub indexes: u64,
    /// What it found, `unreachable` left out.
    pub findings: u64,
    /// Tags with a finding.
    pub broken_tags: u64,
    /// What could not be determined.
    pub undetermined: u64,
}

impl ProbeRun {
    /// Whether everything was looked at.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.reason.is_none()
    }
}

/// How a tag stood when a run looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagState {
    /// Its closure is complete.
    Sound,
    /// Something in its closure is wrong.
    Broken,
    /// It could not be told; or nobody has looked since it came to point where it does.
    Undetermined,
}

impl TagState {
    /// The state as the database and the API spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Broken => "broken",
            Self::Undetermined => "undetermined",
        }
    }

    /// The state of that exact name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Sound, Self::Broken, Self::Undetermined].into_iter().find(|state| state.as_str() == text)
    }
}

/// A tag as a run saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbedTag {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// What it pointed at; none where that could not be read.
    pub digest: Option<Digest>,
    /// How it stood.
    pub state: TagState,
    /// What was found in its closure.
    pub findings: u64,
}

/// Tags of a run that is about to be recorded: at most [`PROBE_BATCH`](crate::PROBE_BATCH).
#[derive(Clone, Debug)]
pub struct RecordProbedTags {
    /// The tags.
    pub tags: Vec<ProbedTag>,
    /// When the run ended: the same for all tags of one run, in Unix milliseconds.
    pub at_ms: i64,
}

/// A run to record; what a complete one found takes the place of what the last one found.
#[derive(Clone, Debug)]
pub struct RecordProbeRun {
    /// The run.
    pub run: ProbeRun,
    /// Its findings; those beyond [`MAX_PROBE_FINDINGS`](crate::MAX_PROBE_FINDINGS) are counted and not kept.
    pub findings: Vec<Finding>,
    /// The last of its tags, at most [`PROBE_BATCH`](crate::PROBE_BATCH); the others went before it.
    pub tags: Vec<ProbedTag>,
}

/// A tag with a finding of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokenTag {
    /// The repository.
    pub repository: String,
    /// The tag; none where it is about the repository as a whole.
    pub tag: Option<String>,
    /// What kind of finding.
    pub kind: FindingKind,
}

/// The probe as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeState {
    /// The last run that looked at everything.
    pub last_complete: Option<ProbeRun>,
    /// The catalog's state as of the last run that learnt it.
    pub catalog_accessible: Option<bool>,
    /// The last runs, newest first.
    pub history: Vec<ProbeRun>,
}

/// A finding of the last complete run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFinding {
    /// What is wrong, and where.
    pub finding: Finding,
    /// When a run first met this kind at this tag, in Unix milliseconds.
    pub since_ms: i64,
}

/// A tag of the registry, and what the probe knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagReport {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// What it points at now.
    pub digest: Digest,
    /// When it came to point there, in Unix milliseconds.
    pub moved_at_ms: i64,
    /// How the last complete run saw it; undetermined where it has moved since.
    pub state: TagState,
    /// What was found in its closure.
    pub findings: u64,
    /// When it was looked at as it is now, in Unix milliseconds.
    pub checked_at_ms: Option<i64>,
    /// When it was last seen whole, whatever it pointed at then, in Unix milliseconds.
    pub last_seen_whole_ms: Option<i64>,
}

/// Which tags to list.
#[derive(Clone, Debug, Default)]
pub struct TagQuery {
    /// Only this repository.
    pub repository: Option<String>,
    /// Only tags in this state.
    pub state: Option<TagState>,
    /// Only what comes after this repository and tag.
    pub last: Option<(String, String)>,
    /// At most so many.
    pub limit: usize,
}

/// A page of tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagPage {
    /// Sorted by repository and tag, bytewise.
    pub tags: Vec<TagReport>,
    /// What to give as `last` for the next page, if there may be one. A short page can have one: a page costs what
    /// it examines.
    pub next: Option<(String, String)>,
}
