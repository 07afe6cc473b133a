//! A run of the collector in one line: what it freed, what waits until when, and how to have it now; never a figure of its own.

use mcr_metadata::{PlanRecord, PlanState};
use mcr_seams::rfc3339;

/// The line for `plan`.
pub(crate) fn of(plan: &PlanRecord) -> String {
    let totals = &plan.totals;
    match plan.state {
        PlanState::Planning => "planning".to_owned(),
        PlanState::Running => format!("freed {} so far", bytes(plan.progress.bytes_freed)),
        PlanState::Waiting => format!(
            "nothing removed: {}; `mcrctl plan show {id}`, then `mcrctl plan confirm {id}`",
            plan.reason.as_deref().unwrap_or("it needs confirmation"),
            id = plan.id
        ),
        PlanState::Discarded => format!("discarded: {}", plan.reason.as_deref().unwrap_or("never applied")),
        PlanState::Failed => format!(
            "given up after {} were freed: {}",
            bytes(plan.progress.bytes_freed),
            plan.reason.as_deref().unwrap_or("the log says why")
        ),
        PlanState::Done if plan.dry_run => format!("would free {}{}", bytes(totals.bytes), rest(plan)),
        PlanState::Done => format!("freed {}{}", bytes(plan.progress.bytes_freed), rest(plan)),
    }
}

/// What waits until when, and how to have it now.
fn rest(plan: &PlanRecord) -> String {
    let totals = &plan.totals;
    if totals.waiting_bytes == 0 && totals.waiting_digests == 0 {
        return String::new();
    }
    let until = totals.waiting_until_ms.map_or_else(String::new, |at| format!(" until {}", minute(at)));
    let what = if totals.waiting_bytes == 0 {
        format!("{} digests wait", totals.waiting_digests)
    } else {
        format!("{} wait", bytes(totals.waiting_bytes))
    };
    let held = if totals.held_bytes == 0 {
        String::new()
    } else {
        format!(" ({} of them held by a snapshot)", bytes(totals.held_bytes))
    };
    format!("; {what}{until}{held}; now: mcrctl gc run --grace 0s --undo 0s --yes")
}

/// A time to the minute, in UTC.
fn minute(ms: i64) -> String {
    let text = rfc3339(ms);
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

/// A number of bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let (mut value, mut unit) = (as_float(count) / 1024.0, UNITS[0]);
    for larger in UNITS.iter().skip(1) {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

#[expect(clippy::cast_precision_loss, reason = "for people, to one decimal")]
fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        let told = |count| bytes(count);
        assert_eq!([told(0), told(1023), told(1024), told(44_238_366_310)], ["0 B", "1023 B", "1.0 KiB", "41.2 GiB"]);
        assert_eq!(told(u64::MAX), "16384.0 PiB");
    }
}
