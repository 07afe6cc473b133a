//! Plans as values: what a run intends, step by step, and how far it came; never a query.

use mcr_oci::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::rows::Actor;

/// Steps that one write adds or settles at most, so that pushes wait for none of them long.
pub const MAX_STEPS_A_WRITE: usize = 256;

/// What kind of run a plan is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlanJob {
    /// The garbage collector.
    Gc,
    /// Retention.
    Retention,
}

impl PlanJob {
    /// The job as the database and everybody outside spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gc => "gc",
            Self::Retention => "retention",
        }
    }

    /// The job of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Gc, Self::Retention].into_iter().find(|job| job.as_str() == text)
    }
}

/// How far a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlanState {
    /// Its steps are being written.
    Planning,
    /// It takes so much, or is of a rule so new, that a person must confirm it.
    Waiting,
    /// It is being applied, also over a restart.
    Running,
    /// It was applied, or was only to be looked at.
    Done,
    /// It was given up; its reason says why.
    Failed,
    /// It was never applied; its reason says why.
    Discarded,
}

impl PlanState {
    const ALL: [Self; 6] = [Self::Planning, Self::Waiting, Self::Running, Self::Done, Self::Failed, Self::Discarded];

    /// The state as the database spells it.
    pub(crate) const fn stored(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
        }
    }

    /// The state as everybody outside spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "needs_confirmation",
            other => other.stored(),
        }
    }

    /// The state that is called so outside.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|state| state.stored() == text);
        found.ok_or_else(|| Error::invalid("a plan's state", text))
    }

    /// Whether nothing more will happen to it.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Discarded)
    }
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepAction {
    /// Delete a tag.
    Tag,
    /// Make a manifest a tombstone.
    Bury,
    /// Remove a manifest for good.
    Manifest,
    /// Remove a repository's link to a blob that others still hold.
    Link,
    /// Remove a blob, with whatever links it has left, and its file.
    Blob,
    /// Remove a file that has no row.
    File,
}

impl StepAction {
    const ALL: [Self; 6] = [Self::Tag, Self::Bury, Self::Manifest, Self::Link, Self::Blob, Self::File];

    /// The action as the database and everybody outside spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Bury => "bury",
            Self::Manifest => "manifest",
            Self::Link => "link",
            Self::Blob => "blob",
            Self::File => "file",
        }
    }

    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|action| action.as_str() == text);
        found.ok_or_else(|| Error::invalid("a step's action", text))
    }
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepState {
    /// Nothing yet.
    Planned,
    /// It was done.
    Done,
    /// It was looked at again and not done; its detail says why.
    Skipped,
}

impl StepState {
    /// The state as the database and everybody outside spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Done => "done",
            Self::Skipped => "skipped",
        }
    }

    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        let found = [Self::Planned, Self::Done, Self::Skipped].into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| Error::invalid("a step's state", text))
    }
}

/// A step that a plan gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStep {
    /// What it does.
    pub action: StepAction,
    /// Where; none where it concerns no single repository.
    pub repository: Option<String>,
    /// The tag, for [`StepAction::Tag`].
    pub tag: Option<String>,
    /// To what.
    pub digest: Digest,
    /// Bytes that go with it.
    pub bytes: u64,
    /// Why, for people.
    pub reason: String,
}

/// A step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanStep {
    /// Its place in the order of execution, from 1.
    pub position: u64,
    /// What it does.
    pub action: StepAction,
    /// Where; none where it concerns no single repository.
    pub repository: Option<String>,
    /// The tag, for [`StepAction::Tag`].
    pub tag: Option<String>,
    /// To what.
    pub digest: Digest,
    /// Bytes that go with it.
    pub bytes: u64,
    /// Why, for people.
    pub reason: String,
    /// What became of it.
    pub state: StepState,
    /// Why it was skipped.
    pub detail: Option<String>,
}

/// What a plan would take, and what waits. Kept as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanTotals {
    /// Manifests, blobs and files that would go, each once.
    pub digests: u64,
    /// Tags that would go.
    pub tags: u64,
    /// Bytes that would go.
    pub bytes: u64,
    /// Of all bytes of blobs.
    pub percent_bytes: f64,
    /// Of all tags.
    pub percent_tags: f64,
    /// Bytes of blobs that nothing live names and whose time has not come.
    pub waiting_bytes: u64,
    /// Manifests and blobs of that kind.
    pub waiting_digests: u64,
    /// When the last of them comes, in Unix milliseconds; none where nothing waits.
    pub waiting_until_ms: Option<i64>,
    /// Of the waiting bytes, those that only a snapshot holds.
    pub held_bytes: u64,
    /// Steps written.
    pub steps: u64,
    /// Fingerprints of the rules of retention that steps of it rest on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Those of them of which no repository was left out: a person who says yes to the plan says yes to these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confirms: Vec<String>,
    /// Why not everything that it could take stands in it, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
    /// Whether files without rows may lie where the plan could not look, or had no room for them.
    pub files_unseen: bool,
}

/// How far a plan came. Kept as JSON; what is added to it is another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanProgress {
    /// Steps done.
    pub done: u64,
    /// Steps that were looked at again and not done.
    pub skipped: u64,
    /// Blobs removed.
    pub blobs_removed: u64,
    /// Manifests removed.
    pub manifests_removed: u64,
    /// Manifests that became tombstones.
    pub manifests_buried: u64,
    /// Tags deleted.
    pub tags_removed: u64,
    /// Bytes that went.
    pub bytes_freed: u64,
    /// Files without rows removed.
    pub files_removed: u64,
    /// Findings opened: rows without files.
    pub findings: u64,
}

impl PlanProgress {
    /// Both together.
    #[must_use]
    pub const fn plus(self, more: Self) -> Self {
        Self {
            done: self.done.saturating_add(more.done),
            skipped: self.skipped.saturating_add(more.skipped),
            blobs_removed: self.blobs_removed.saturating_add(more.blobs_removed),
            manifests_removed: self.manifests_removed.saturating_add(more.manifests_removed),
            manifests_buried: self.manifests_buried.saturating_add(more.manifests_buried),
            tags_removed: self.tags_removed.saturating_add(more.tags_removed),
            bytes_freed: self.bytes_freed.saturating_add(more.bytes_freed),
            files_removed: self.files_removed.saturating_add(more.files_removed),
            findings: self.findings.saturating_add(more.findings),
        }
    }
}

/// A plan, without its steps.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanRecord {
    /// Its id, which is its run's too.
    pub id: String,
    /// What kind of run.
    pub job: PlanJob,
    /// How far it is.
    pub state: PlanState,
    /// Only to be looked at, never applied.
    pub dry_run: bool,
    /// Who began it.
    pub actor: String,
    /// When it was begun, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it began to be applied, in Unix milliseconds.
    pub started_at_ms: Option<i64>,
    /// When it ended, in Unix milliseconds.
    pub ended_at_ms: Option<i64>,
    /// When it is discarded if nobody confirms it, in Unix milliseconds.
    pub expires_at_ms: Option<i64>,
    /// Why it waits, failed or was discarded.
    pub reason: Option<String>,
    /// What was asked for.
    pub settings: Value,
    /// What it would take.
    pub totals: PlanTotals,
    /// How far it came.
    pub progress: PlanProgress,
}

impl PlanRecord {
    /// Whether it is one of `job` that waits for a person.
    #[must_use]
    pub fn waits(&self, job: PlanJob) -> bool {
        self.job == job && self.state == PlanState::Waiting
    }

    /// Whether it is one of `job` that is being made or applied.
    #[must_use]
    pub fn is_under_way(&self, job: PlanJob) -> bool {
        self.job == job && matches!(self.state, PlanState::Planning | PlanState::Running)
    }
}

/// Begin a plan.
#[derive(Clone, Debug)]
pub struct CreatePlan {
    /// Its id.
    pub id: String,
    /// What kind of run.
    pub job: PlanJob,
    /// Only to be looked at.
    pub dry_run: bool,
    /// What was asked for; an object.
    pub settings: Value,
    /// Who asks.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// Add steps to a plan, at most [`MAX_STEPS_A_WRITE`].
#[derive(Clone, Debug)]
pub struct AddPlanSteps {
    /// The plan.
    pub plan: String,
    /// The position of the first one; positions begin at 1 and have no gaps.
    pub first: u64,
    /// The steps.
    pub steps: Vec<NewStep>,
}

/// Bring a plan into another state.
#[derive(Clone, Debug)]
pub struct MovePlan {
    /// The plan.
    pub id: String,
    /// The states it may be in before.
    pub from: Vec<PlanState>,
    /// The state it comes into.
    pub to: PlanState,
    /// Why, where it waits, failed or is discarded.
    pub reason: Option<String>,
    /// What it would take, where that is known now.
    pub totals: Option<PlanTotals>,
    /// When it is discarded, where it waits; in Unix milliseconds.
    pub expires_at_ms: Option<i64>,
    /// Who does it.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// Begin to apply a plan of retention.
#[derive(Clone, Debug)]
pub struct StartRetention {
    /// The move into state running.
    pub change: MovePlan,
    /// A person says yes: the rules that the plan [confirms](PlanTotals::confirms) are confirmed with it. Without, all
    /// rules it rests on must be confirmed now.
    pub yes: bool,
}

/// What became of [`StartRetention`].
#[derive(Clone, Debug, PartialEq)]
pub enum StartedRetention {
    /// The plan is running.
    Running(Box<PlanRecord>),
    /// Nothing was changed: no person confirmed the rule of this fingerprint.
    Unconfirmed(String),
    /// Nothing was changed: the plan is in none of the states that it may come from.
    Elsewhere,
}

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which.
    pub position: u64,
    /// None where it was done; else why it was not.
    pub skipped: Option<String>,
}

/// Write down what became of steps that are no removal; at most [`MAX_STEPS_A_WRITE`].
#[derive(Clone, Debug)]
pub struct SettleSteps {
    /// The plan.
    pub plan: String,
    /// The steps. Their numbers are added to the plan's `done` and `skipped`.
    pub settled: Vec<Settled>,
    /// What else is added to the plan's progress.
    pub more: PlanProgress,
}

/// Which plans are asked for.
#[derive(Clone, Debug, Default)]
pub struct PlanQuery {
    /// Only those of this job.
    pub job: Option<PlanJob>,
    /// Only those in this state.
    pub state: Option<PlanState>,
    /// Only those older than this one.
    pub after: Option<String>,
    /// So many at most.
    pub limit: usize,
}
