//! A plan in one sentence: what it took, what waits until when, and what to do next; never a figure of its own.

use mcr_metadata::{PlanJob as Job, PlanProgress, PlanRecord, PlanState, PlanTotals};

/// What frees what waits, except for what was promised to somebody.
const AT_ONCE: &str = "mcrctl gc run --grace 0s --undo 0s --yes";

/// The sentence of a plan, for the log, the admin API and the command line alike.
#[must_use]
pub fn of(plan: &PlanRecord) -> String {
    let why = plan.reason.as_deref().unwrap_or("no reason was kept");
    match (plan.state, plan.job) {
        (PlanState::Planning, _) => "is being planned".to_owned(),
        (PlanState::Waiting, _) => {
            format!("{why}; {}{}; to apply it: mcrctl plan confirm {}", would(plan), cut(&plan.totals), plan.id)
        }
        (PlanState::Running, _) => {
            let settled = plan.progress.done.saturating_add(plan.progress.skipped);
            format!(
                "is under way: {settled} of {} steps, {} freed",
                plan.totals.steps,
                bytes(plan.progress.bytes_freed)
            )
        }
        (PlanState::Failed, _) if nothing(&plan.progress) => format!("failed: {why}"),
        (PlanState::Failed, _) => format!("failed: {why}; before that it {}", took(plan)),
        (PlanState::Discarded, _) => format!("was discarded: {why}"),
        (PlanState::Done, Job::Gc) => {
            // That it would not be applied like that.
            let note = plan.reason.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
            format!("{}{note}{}; {}", took(plan), cut(&plan.totals), waits(&plan.totals))
        }
        (PlanState::Done, Job::Retention) => took(plan),
    }
}

/// Why not everything stands in it, where that is so.
fn cut(totals: &PlanTotals) -> String {
    totals.cut.as_ref().map(|why| format!("; {why}")).unwrap_or_default()
}

fn took(plan: &PlanRecord) -> String {
    if plan.dry_run {
        return would(plan);
    }
    let progress = &plan.progress;
    let began = plan.started_at_ms.unwrap_or(plan.created_at_ms);
    // A clock may be set back meanwhile.
    let took_ms = plan.ended_at_ms.map_or(0, |ended| ended.saturating_sub(began)).max(0);
    let in_time = format!("in {}.{} s", took_ms / 1000, took_ms % 1000 / 100);
    match plan.job {
        Job::Gc if nothing(progress) => "freed 0 B".to_owned(),
        Job::Gc => format!("freed {} ({}) {in_time}", bytes(progress.bytes_freed), removed(progress)),
        Job::Retention if nothing(progress) => "deleted 0 tags".to_owned(),
        Job::Retention => {
            let (tags, manifests) = (progress.tags_removed, progress.manifests_buried);
            format!(
                "deleted {} and {} {in_time}; to undo it: mcrctl tag restore --run {}",
                counted(tags, "tag"),
                counted(manifests, "manifest"),
                plan.id
            )
        }
    }
}

/// Whether a run changed nothing.
fn nothing(progress: &PlanProgress) -> bool {
    progress.done == 0 && progress.bytes_freed == 0 && progress.files_removed == 0
}

fn removed(progress: &PlanProgress) -> String {
    let mut parts = vec![counted(progress.blobs_removed, "blob"), counted(progress.manifests_removed, "manifest")];
    for (number, what) in [
        (progress.manifests_buried, "untagged manifest"),
        (progress.files_removed, "file"),
        (progress.findings, "finding"),
    ] {
        if number > 0 {
            parts.push(counted(number, what));
        }
    }
    parts.join(", ")
}

fn would(plan: &PlanRecord) -> String {
    let totals = &plan.totals;
    match plan.job {
        Job::Gc => format!("would free {} ({})", bytes(totals.bytes), counted(totals.digests, "digest")),
        Job::Retention => {
            let (tags, digests) = (counted(totals.tags, "tag"), counted(totals.digests, "digest"));
            format!("would delete {tags} ({digests}, {})", bytes(totals.bytes))
        }
    }
}

/// What waits until when, and what would not let it wait.
fn waits(totals: &PlanTotals) -> String {
    if totals.waiting_digests == 0 && totals.waiting_bytes == 0 {
        return "nothing waits".to_owned();
    }
    let (verb, what) = match (totals.waiting_bytes, totals.waiting_digests) {
        (0, 1) => ("waits", "1 manifest".to_owned()),
        (0, manifests) => ("wait", counted(manifests, "manifest")),
        (size, _) => ("wait", bytes(size)),
    };
    let until = totals.waiting_until_ms.map(|ms| format!(" until {}", minute(ms))).unwrap_or_default();
    let held = match totals.held_bytes {
        0 => String::new(),
        held => format!(" ({} of it held by snapshots)", bytes(held)),
    };
    let all_held = totals.waiting_bytes > 0 && totals.held_bytes >= totals.waiting_bytes;
    let now = if all_held { String::new() } else { format!("; now: {AT_ONCE}") };
    format!("{what} {verb}{until}{held}{now}")
}

/// `1 blob`, `3 blobs`.
fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `2026-11-22 03:12`, in UTC, rounded up: before it nothing has come.
fn minute(ms: i64) -> String {
    let text = mcr_seams::rfc3339(ms.saturating_add(59_999));
    text.get(..16).map_or_else(|| text.clone(), |text| text.replace('T', " "))
}

/// `41.2 GiB`, with one digit behind the point.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut unit = 0;
    let mut divisor: u64 = 1024;
    while count / divisor >= 1024 && unit + 1 < UNITS.len() {
        divisor = divisor.saturating_mul(1024);
        unit += 1;
    }
    // In tenths, rounded to the nearest; 1023.96 MiB may become 1024.0 MiB, which is right as well.
    let tenths = (u128::from(count) * 10 + u128::from(divisor) / 2) / u128::from(divisor);
    let name = UNITS.get(unit).copied().unwrap_or("EiB");
    format!("{}.{} {name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests;
