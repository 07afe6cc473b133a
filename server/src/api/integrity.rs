//! What is known of the registry's integrity: the probe's runs, what is open, every tag; never a judgement of its own.

use mcr_access::Catalog;
use mcr_metadata::{ProbeRun as Run, ScrubPass as Pass, TagQuery, TagReport, TagState as State};
use mcr_oci::Finding as Found;
use mcr_registry::{IntegrityReport, ScrubState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{ApiError, Caller, Time, page, words};
use crate::http::cursor;

/// Runs that are shown, newest first.
const HISTORY: usize = 50;

/// Which tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Selection {
    /// Tags in the page: 0 to 1000, 100 where it is not given; more is taken as 1000.
    #[param(value_type = Option<u64>, minimum = 0, default = 100)]
    pub n: Option<u32>,
    /// `REPOSITORY:TAG`, or the `next` of the page before.
    pub last: Option<String>,
    /// `sound`, `broken` or `undetermined`.
    #[param(value_type = Option<words::State>)]
    pub state: Option<String>,
    /// Only this repository.
    pub repository: Option<String>,
}

/// What is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Integrity {
    /// Whether everything was seen whole; null where nobody knows.
    pub sound: Option<bool>,
    /// The probe in the server.
    pub probe: Probe,
    /// The background pass that hashes everything again.
    pub scrub: Scrub,
    /// What is open, in repositories that the caller may pull from.
    pub findings: Vec<Finding>,
    /// Tags that the caller may pull.
    pub tags: Vec<TagState>,
    /// Where the next page of tags begins; null on the last one.
    pub next: Option<String>,
}

/// The background pass that hashes everything again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Scrub {
    /// `off`, `idle` (everything is fresh), `running` or `waiting` (the blob volume is away).
    pub activity: String,
    /// When the blob or manifest that was not looked at for longest was last hashed; null where there is none.
    pub oldest_verified: Option<Time>,
    /// Bytes a second, at most.
    pub rate: u64,
    /// Seconds within which everything is to be read once; 0: it is off.
    pub full_pass_seconds: u64,
    /// The pass under way.
    pub pass: Option<ScrubPass>,
    /// The last that ended.
    pub last_pass: Option<ScrubPass>,
    /// The last passes, newest first.
    pub history: Vec<ScrubPass>,
    /// Blobs that a pass reads.
    pub blobs: u64,
    /// Manifests that a pass reads.
    pub manifests: u64,
    /// Bytes that a pass reads.
    pub bytes: u64,
    /// Blobs whose bytes are damaged and set aside, or gone.
    pub quarantined: u64,
    /// Why the pace does not allow a pass within `full_pass`; null while it does.
    pub behind: Option<String>,
}

/// One pass over everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ScrubPass {
    /// When it began.
    pub started_at: Time,
    /// When it ended; null while it runs, also over a restart.
    pub ended_at: Option<Time>,
    /// Blobs hashed.
    pub blobs: u64,
    /// Manifests hashed.
    pub manifests: u64,
    /// Bytes hashed.
    pub bytes: u64,
    /// What it found.
    pub findings: u64,
    /// What the disk did not let it read; it is tried again.
    pub unreadable: u64,
}

/// The probe and its runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Probe {
    /// When it runs; null where it is switched off.
    pub schedule: Option<String>,
    /// `head`, `tail` or `full`.
    pub level: String,
    /// When it runs next.
    pub next_run: Option<Time>,
    /// The last complete run.
    pub last_run: Option<ProbeRun>,
    /// The last run.
    pub last_attempt: Option<ProbeRun>,
    /// The last runs, newest first.
    pub history: Vec<ProbeRun>,
}

/// One run of the probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProbeRun {
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Time,
    /// How long it took.
    pub duration_ms: u64,
    /// `head`, `tail` or `full`.
    pub level: String,
    /// `complete` or `incomplete`.
    pub outcome: String,
    /// Why it is incomplete.
    pub reason: Option<String>,
    /// Whether the catalog could be read; null where the run ended before that was known.
    pub catalog_accessible: Option<bool>,
    /// Repositories looked at.
    pub repositories: u64,
    /// Tags looked at.
    pub tags: u64,
    /// Indexes looked at.
    pub indexes: u64,
    /// What it found.
    pub findings: u64,
    /// Tags with a finding.
    pub broken_tags: u64,
    /// What could not be determined.
    pub undetermined: u64,
    /// How long ago it ended, by the server's clock; not in `history`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
}

/// One thing that is wrong. What is not known is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// What: `blob-missing`, `manifest-corrupt`, …
    pub kind: String,
    /// The digest it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub digest: Option<String>,
    /// The media type its descriptor gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub media_type: Option<String>,
    /// The size its descriptor gives, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub size: Option<u64>,
    /// The repository it was met in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub repository: Option<String>,
    /// The tag it was reached from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tag: Option<String>,
    /// From the root to the parent of `digest`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// Such as `linux/amd64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub platform: Option<String>,
    /// The HTTP status that was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<u16>,
    /// What was seen, for a reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<String>,
    /// `serving` or `probe`: who met it. Only among open findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub source: Option<String>,
    /// Since when. Only among open findings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub since: Option<Time>,
}

impl From<&Found> for Finding {
    fn from(found: &Found) -> Self {
        Self {
            kind: found.kind.as_str().to_owned(),
            digest: found.digest.as_ref().map(ToString::to_string),
            media_type: found.media_type.clone(),
            size: found.size,
            repository: found.repository.clone(),
            tag: found.tag.clone(),
            path: found.path.iter().map(ToString::to_string).collect(),
            platform: found.platform.clone(),
            status: found.status,
            detail: found.detail.clone(),
            source: None,
            since: None,
        }
    }
}

/// How a tag stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TagState {
    /// Its repository.
    pub repository: String,
    /// Its name.
    pub tag: String,
    /// What it points at.
    pub digest: String,
    /// `sound`, `broken` or `undetermined`.
    #[schema(value_type = words::State)]
    pub state: String,
    /// When it was last seen whole.
    pub last_seen_whole: Option<Time>,
    /// When it was last looked at.
    pub checked_at: Option<Time>,
    /// What was found in its closure.
    pub findings: u64,
}

/// Everything that is known, with a page of tags.
///
/// # Errors
/// [`ApiError`].
pub async fn integrity(caller: &Caller, selection: &Selection) -> Result<Integrity, ApiError> {
    let permit = caller.permit_global::<Catalog>()?;
    let query = query(selection)?;
    let registry = &caller.edge.registry;
    let report = registry.integrity_report(&permit, HISTORY, query).await?;
    let scrub = scrub(registry.scrub_state(HISTORY).await?);
    Ok(document(caller, &report, scrub, selection.repository.as_deref().filter(|name| !name.is_empty())))
}

fn query(selection: &Selection) -> Result<TagQuery, ApiError> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let invalid = |text: &str| ApiError::Invalid(text.to_owned());
    let state = match given(&selection.state) {
        None => None,
        Some(text) => Some(State::parse(&text).ok_or_else(|| invalid("state must be sound, broken or undetermined"))?),
    };
    let last = match cursor::place(given(&selection.last))? {
        None => None,
        Some(text) => {
            let (repository, tag) = text.rsplit_once(':').ok_or_else(|| invalid("last must be REPOSITORY:TAG"))?;
            Some((repository.to_owned(), tag.to_owned()))
        }
    };
    let limit = selection.n.map_or(page::DEFAULT, |n| usize::try_from(n).unwrap_or(page::MAX)).min(page::MAX);
    Ok(TagQuery { repository: given(&selection.repository), state, last, limit })
}

fn document(caller: &Caller, report: &IntegrityReport, scrub: Scrub, wanted: Option<&str>) -> Integrity {
    let probe = &caller.edge.probe;
    let now_ms = probe.now_ms();
    // What a probe that was switched off saw once is history, not the state of things.
    let complete = report.state.last_complete.as_ref().filter(|_| probe.is_on());
    let open = report.open.iter().map(|open| shown(&open.finding, "serving", open.opened_at_ms));
    let probed = report.probed.iter().filter(|_| complete.is_some());
    let probed = probed.map(|found| shown(&found.finding, "probe", found.since_ms));
    // Lists that name repositories show only those whose content the caller may read.
    let may_see = caller.edge.registry.visible(&caller.identity);
    let findings = open
        .chain(probed)
        .filter(|finding| finding.repository.as_deref().is_none_or(|name| may_see(name)))
        .filter(|finding| wanted.is_none() || finding.repository.as_deref() == wanted)
        .collect();
    Integrity {
        sound: verdict(complete, report.open.is_empty()),
        probe: Probe {
            schedule: probe.schedule().map(ToString::to_string),
            level: probe.level().as_str().to_owned(),
            next_run: probe.next_run_ms().map(Time),
            last_run: report.state.last_complete.as_ref().map(|run| aged(run, now_ms)),
            last_attempt: report.state.history.first().map(|run| aged(run, now_ms)),
            history: report.state.history.iter().map(run).collect(),
        },
        scrub,
        findings,
        tags: report.tags.tags.iter().filter(|tag| may_see(&tag.repository)).map(tag_state).collect(),
        next: report
            .tags
            .next
            .as_ref()
            .and_then(|(repository, tag)| cursor::shown(format!("{repository}:{tag}"), may_see(repository))),
    }
}

/// False where something is known to be wrong; true where all was looked at and nothing is; else nobody knows.
fn verdict(complete: Option<&Run>, nothing_open: bool) -> Option<bool> {
    let found = complete.is_some_and(|run| run.findings > 0);
    if found || !nothing_open {
        return Some(false);
    }
    complete.is_some_and(|run| run.undetermined == 0).then_some(true)
}

fn run(run: &Run) -> ProbeRun {
    ProbeRun {
        started_at: Time(run.started_at_ms),
        ended_at: Time(run.ended_at_ms),
        duration_ms: run.duration_ms,
        level: run.level.clone(),
        outcome: if run.is_complete() { "complete" } else { "incomplete" }.to_owned(),
        reason: run.reason.clone(),
        catalog_accessible: run.catalog_accessible,
        repositories: run.repositories,
        tags: run.tags,
        indexes: run.indexes,
        findings: run.findings,
        broken_tags: run.broken_tags,
        undetermined: run.undetermined,
        age_seconds: None,
    }
}

fn scrub(of: ScrubState) -> Scrub {
    Scrub {
        activity: of.activity.as_str().to_owned(),
        oldest_verified: of.oldest_verified_ms.map(Time),
        rate: of.rate,
        full_pass_seconds: of.full_pass.as_secs(),
        pass: of.pass.as_ref().map(pass),
        last_pass: of.last_pass.as_ref().map(pass),
        history: of.history.iter().map(pass).collect(),
        blobs: of.blobs_total,
        manifests: of.manifests_total,
        bytes: of.bytes_total,
        quarantined: of.unsound,
        behind: of.behind,
    }
}

fn pass(of: &Pass) -> ScrubPass {
    ScrubPass {
        started_at: Time(of.started_at_ms),
        ended_at: of.ended_at_ms.map(Time),
        blobs: of.blobs,
        manifests: of.manifests,
        bytes: of.bytes,
        findings: of.findings,
        unreadable: of.unreadable,
    }
}

/// A run, and how long ago it ended: clocks of server and client may differ.
fn aged(of: &Run, now_ms: i64) -> ProbeRun {
    let age = u64::try_from(now_ms.saturating_sub(of.ended_at_ms) / 1000).unwrap_or(0);
    ProbeRun { age_seconds: Some(age), ..run(of) }
}

/// A finding with where it was met and since when.
fn shown(found: &Found, source: &str, since_ms: i64) -> Finding {
    Finding { source: Some(source.to_owned()), since: Some(Time(since_ms)), ..Finding::from(found) }
}

fn tag_state(tag: &TagReport) -> TagState {
    TagState {
        repository: tag.repository.clone(),
        tag: tag.tag.clone(),
        digest: tag.digest.to_string(),
        state: tag.state.as_str().to_owned(),
        last_seen_whole: tag.last_seen_whole_ms.map(Time),
        checked_at: tag.checked_at_ms.map(Time),
        findings: tag.findings,
    }
}
