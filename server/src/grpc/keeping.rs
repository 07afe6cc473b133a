//! Plans, snapshots and what was brought back as messages of `mcr.v1`, field by field; never a choice of what is shown.

use mcr_rpc::v1;

use super::convert::{at, at_most};
use crate::api::gc::{GcRun, GcStatus};
use crate::api::plans::{Plan, PlanDetail, PlanProgress, PlanStep, PlanTotals};
use crate::api::snapshots::Snapshot;
use crate::api::undo::{NotRestored, RestoredRun, TagOfRun};

pub(super) fn plan(of: Plan) -> v1::Plan {
    v1::Plan {
        id: of.id,
        job: of.job,
        state: of.state,
        dry_run: of.dry_run,
        actor: of.actor,
        created_at: at(of.created_at),
        started_at: at_most(of.started_at),
        completed_at: at_most(of.completed_at),
        expires_at: at_most(of.expires_at),
        reason: of.reason,
        settings: of.settings.to_string(),
        totals: Some(totals(&of.totals)),
        progress: Some(progress(&of.progress)),
        message: of.message,
    }
}

fn totals(of: &PlanTotals) -> v1::PlanTotals {
    v1::PlanTotals {
        digests: of.digests,
        tags: of.tags,
        bytes: of.bytes,
        percent_bytes: of.percent_bytes,
        percent_tags: of.percent_tags,
        waiting_bytes: of.waiting_bytes,
        waiting_digests: of.waiting_digests,
        waiting_until: at_most(of.waiting_until),
        held_bytes: of.held_bytes,
        steps: of.steps,
    }
}

fn progress(of: &PlanProgress) -> v1::PlanProgress {
    v1::PlanProgress {
        done: of.done,
        skipped: of.skipped,
        blobs_removed: of.blobs_removed,
        manifests_removed: of.manifests_removed,
        tags_removed: of.tags_removed,
        bytes_freed: of.bytes_freed,
        files_removed: of.files_removed,
        findings: of.findings,
        manifests_buried: of.manifests_buried,
    }
}

pub(super) fn detail(of: PlanDetail) -> v1::GetPlanResponse {
    let steps = of.steps.into_iter().map(step).collect();
    v1::GetPlanResponse { plan: Some(plan(of.plan)), steps, next: of.next }
}

fn step(of: PlanStep) -> v1::PlanStep {
    v1::PlanStep {
        action: of.action,
        repository: of.repository,
        tag: of.tag,
        digest: of.digest,
        bytes: of.bytes,
        reason: of.reason,
        state: of.state,
        detail: of.detail,
    }
}

pub(super) fn gc_status(of: GcStatus) -> v1::GetGcStatusResponse {
    v1::GetGcStatusResponse {
        running: of.running,
        progress: of.progress.as_ref().map(progress),
        current: of.current.map(plan),
        last_run: of.last_run.map(gc_run),
        message: of.message,
        schedule: of.schedule,
        next_run: at_most(of.next_run),
    }
}

fn gc_run(of: GcRun) -> v1::GcRun {
    v1::GcRun {
        id: of.id,
        state: of.state,
        reason: of.reason,
        actor: of.actor,
        started_at: at(of.started_at),
        completed_at: at(of.completed_at),
        duration_ms: of.duration_ms,
        blobs_removed: of.blobs_removed,
        manifests_removed: of.manifests_removed,
        files_removed: of.files_removed,
        bytes_freed: of.bytes_freed,
        findings: of.findings,
        waiting_bytes: of.waiting_bytes,
        waiting_until: at_most(of.waiting_until),
    }
}

pub(super) fn restored(of: RestoredRun) -> v1::RestoreRunResponse {
    let tag = |of: TagOfRun| v1::RestoredTag { repository: of.repository, tag: of.tag, digest: of.digest };
    v1::RestoreRunResponse {
        dry_run: of.dry_run,
        tags: of.tags.into_iter().map(tag).collect(),
        tags_restored: of.tags_restored,
        manifests_restored: of.manifests_restored,
        repositories: of.repositories,
        refused: of.refused.into_iter().map(not_restored).collect(),
        refused_total: of.refused_total,
    }
}

pub(super) fn not_restored(of: NotRestored) -> v1::NotRestored {
    v1::NotRestored { what: of.what, why: of.why }
}

pub(super) fn snapshot(of: Snapshot) -> v1::DatabaseSnapshot {
    v1::DatabaseSnapshot {
        name: of.name,
        path: of.path,
        taken_at: at(of.taken_at),
        bytes: of.bytes,
        blobs: of.blobs,
        trouble: of.trouble,
    }
}
