//! What goes wrong before each page is opened, and what the reader does between its blocks; never a command of a page.

mod of_access;
mod of_backup;
mod of_keeping;
mod of_leaving;
mod of_loss;
mod of_ours;
mod of_registry2;
mod of_watching;

pub(crate) use of_access::{certificate_expiring, identity_service_down, login_and_permission_problems};
pub(crate) use of_backup::backup_restore;
pub(crate) use of_keeping::{backup_stale, deletion_plan_waiting, garbage_collection, scrub_late};
pub(crate) use of_leaving::leave_registry_2;
pub(crate) use of_loss::database_lost;
pub(crate) use of_ours::{blob_quarantined, disk_filling, docker_registry_down, high_error_rate, push_refused};
pub(crate) use of_registry2::{catalog_inaccessible, manifest_integrity_failure, orphan_index, scan_findings};
pub(crate) use of_watching::{integrity_probe_stale, integrity_undetermined, low_cache_hit_rate, scan_stale};

use mcr_tests::{Index, layout};

use crate::page::Night;
use crate::scene::TAG;

/// What the build wrote: an OCI layout of `index` in the reader's home.
fn built(night: &Night, index: &Index) -> std::path::PathBuf {
    let directory = night.home().join("image");
    std::fs::create_dir(&directory).unwrap();
    layout::write_index(&directory, TAG, index);
    directory
}

/// Insists that `said` holds each of `words`.
#[track_caller]
fn says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "no {word:?} in:\n{said}");
    }
}
