//! The API's values as messages of `mcr.v1`, field by field; never a choice of what is shown.

use mcr_rpc::v1;
use mcr_rpc::{from_timestamp, timestamp};
use prost_types::Timestamp;

use crate::api::audit::AuditEvent;
use crate::api::integrity::{Finding, ProbeRun, Scrub, ScrubPass, TagState};
use crate::api::policy::PolicyRule;
use crate::api::repositories::{ManifestSummary, RepositorySummary, TagChange, TagSummary};
use crate::api::tokens::ApiToken;
use crate::api::verify::{ReferenceReport, Skipped};
use crate::api::{ApiError, Page, Time};

/// A moment.
#[expect(clippy::unnecessary_wraps, reason = "message fields are optional in generated code")]
pub(super) fn at(time: Time) -> Option<Timestamp> {
    Some(timestamp(time.0))
}

/// A moment that may not be known.
pub(super) fn at_most(time: Option<Time>) -> Option<Timestamp> {
    time.map(|time| timestamp(time.0))
}

/// A moment that a message names.
pub(super) fn time(name: &str, given: Option<Timestamp>) -> Result<Option<Time>, ApiError> {
    let read = |time: Timestamp| from_timestamp(&time).map_err(|why| ApiError::Invalid(format!("{name}: {why}")));
    Ok(given.map(read).transpose()?.map(Time))
}

/// Which page a message asks for.
pub(super) fn page(n: Option<u32>, last: Option<String>) -> Page {
    Page { n, last }
}

pub(super) fn repository(of: RepositorySummary) -> v1::RepositorySummary {
    v1::RepositorySummary {
        name: of.name,
        tag_count: of.tag_count,
        manifest_count: of.manifest_count,
        total_size: of.total_size,
        created_at: at(of.created_at),
        updated_at: at(of.updated_at),
    }
}

pub(super) fn tag(of: TagSummary) -> v1::TagSummary {
    v1::TagSummary {
        name: of.name,
        digest: of.digest,
        media_type: of.media_type,
        size: of.size,
        moved_at: at(of.moved_at),
    }
}

pub(super) fn manifest(of: ManifestSummary) -> v1::ManifestSummary {
    v1::ManifestSummary {
        digest: of.digest,
        media_type: of.media_type,
        kind: of.kind,
        size: of.size,
        pushed_at: at(of.pushed_at),
        tags: of.tags,
    }
}

pub(super) fn change(of: TagChange) -> v1::TagChange {
    v1::TagChange { at: at(of.at), actor: of.actor, previous: of.previous, current: of.current, run_id: of.run_id }
}

pub(super) fn rule(of: PolicyRule) -> v1::PolicyRule {
    v1::PolicyRule {
        id: of.id,
        priority: of.priority,
        description: of.description,
        effect: of.effect,
        actions: of.actions,
        roles: of.roles,
        account_types: of.account_types,
        subject_uuid: of.subject_uuid,
        repositories: of.repositories,
        enabled: of.enabled,
        created_at: at_most(of.created_at),
        updated_at: at_most(of.updated_at),
        created_by: of.created_by,
    }
}

pub(super) fn event(of: AuditEvent) -> v1::AuditEvent {
    v1::AuditEvent {
        seq: of.seq,
        at: at(of.at),
        event: of.event,
        actor: of.actor,
        address: of.address,
        repository: of.repository,
        tag: of.tag,
        digest: of.digest,
        details: of.details.to_string(),
        hash: of.hash,
    }
}

pub(super) fn token(of: ApiToken) -> v1::ApiToken {
    v1::ApiToken {
        id: of.id,
        name: of.name,
        owner: of.owner,
        actions: of.actions,
        repositories: of.repositories,
        created_at: at(of.created_at),
        expires_at: at(of.expires_at),
        last_used_at: at_most(of.last_used_at),
        revoked_at: at_most(of.revoked_at),
    }
}

pub(super) fn run(of: ProbeRun) -> v1::ProbeRun {
    v1::ProbeRun {
        started_at: at(of.started_at),
        ended_at: at(of.ended_at),
        duration_ms: of.duration_ms,
        level: of.level,
        outcome: of.outcome,
        reason: of.reason,
        catalog_accessible: of.catalog_accessible,
        repositories: of.repositories,
        tags: of.tags,
        indexes: of.indexes,
        findings: of.findings,
        broken_tags: of.broken_tags,
        undetermined: of.undetermined,
        age_seconds: of.age_seconds,
    }
}

pub(super) fn scrub(of: Scrub) -> v1::Scrub {
    v1::Scrub {
        oldest_verified: at_most(of.oldest_verified),
        rate: of.rate,
        full_pass_seconds: of.full_pass_seconds,
        pass: of.pass.as_ref().map(pass),
        last_pass: of.last_pass.as_ref().map(pass),
        history: of.history.iter().map(pass).collect(),
        activity: of.activity,
        blobs: of.blobs,
        manifests: of.manifests,
        bytes: of.bytes,
        quarantined: of.quarantined,
        behind: of.behind,
    }
}

fn pass(of: &ScrubPass) -> v1::ScrubPass {
    v1::ScrubPass {
        started_at: at(of.started_at),
        ended_at: at_most(of.ended_at),
        blobs: of.blobs,
        manifests: of.manifests,
        bytes: of.bytes,
        findings: of.findings,
        unreadable: of.unreadable,
    }
}

pub(super) fn finding(of: Finding) -> v1::Finding {
    v1::Finding {
        kind: of.kind,
        digest: of.digest,
        media_type: of.media_type,
        size: of.size,
        repository: of.repository,
        tag: of.tag,
        path: of.path,
        platform: of.platform,
        status: of.status.map(u32::from),
        detail: of.detail,
    }
}

pub(super) fn open_finding(mut of: Finding) -> v1::OpenFinding {
    let (source, since) = (of.source.take().unwrap_or_default(), at_most(of.since));
    v1::OpenFinding { finding: Some(finding(of)), source, since }
}

pub(super) fn state(of: TagState) -> v1::TagState {
    v1::TagState {
        repository: of.repository,
        tag: of.tag,
        digest: of.digest,
        state: of.state,
        last_seen_whole: at_most(of.last_seen_whole),
        checked_at: at_most(of.checked_at),
        findings: of.findings,
    }
}

pub(super) fn report(of: ReferenceReport) -> v1::ReferenceReport {
    v1::ReferenceReport {
        reference: of.reference,
        digest: Some(of.digest),
        level: of.level,
        sound: of.sound,
        checked: Some(v1::Checked {
            indexes: of.checked.indexes,
            manifests: of.checked.manifests,
            configs: of.checked.configs,
            layers: of.checked.layers,
            bytes: of.checked.bytes,
        }),
        skipped: of.skipped.into_iter().map(skipped).collect(),
        findings: of.findings.into_iter().map(finding).collect(),
        duration_ms: of.duration_ms,
    }
}

fn skipped(of: Skipped) -> v1::Skipped {
    v1::Skipped {
        digest: of.digest,
        media_type: of.media_type,
        size: of.size,
        parent: of.parent,
        reason: of.reason,
        platform: of.platform,
    }
}
