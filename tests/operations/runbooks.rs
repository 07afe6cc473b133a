//! Which page of the runbooks is run by which test; never what happens in one.

use crate::nights;
use crate::page::Night;

macro_rules! pages {
    ($($test:ident => $page:literal,)*) => {
        /// Every page that a test here runs to its end.
        pub(crate) const PAGES: &[&str] = &[$($page),*];
        $(
            #[test]
            fn $test() {
                let mut night = Night::open($page);
                nights::$test(&mut night);
                night.finish();
            }
        )*
    };
}

pages! {
    manifest_integrity_failure => "RegistryManifestIntegrityFailure.md",
    orphan_index => "rebuild-after-orphan-index.md",
    integrity_probe_stale => "RegistryIntegrityProbeStale.md",
    catalog_inaccessible => "RegistryCatalogInaccessible.md",
    integrity_undetermined => "RegistryIntegrityUndetermined.md",
    docker_registry_down => "DockerRegistryDown.md",
    high_error_rate => "RegistryHighErrorRate.md",
    disk_filling => "RegistryDiskFilling.md",
    push_refused => "RegistryPushRefused.md",
    blob_quarantined => "RegistryBlobQuarantined.md",
    scrub_late => "RegistryScrubLate.md",
    backup_stale => "RegistryBackupStale.md",
    deletion_plan_waiting => "RegistryDeletionPlanWaiting.md",
    garbage_collection => "garbage-collection.md",
    scan_findings => "RegistryScanFindings.md",
    scan_stale => "RegistryScanStale.md",
    low_cache_hit_rate => "RegistryLowCacheHitRate.md",
    identity_service_down => "RegistryIdentityServiceDown.md",
    certificate_expiring => "RegistryCertificateExpiring.md",
    leave_registry_2 => "leave-registry-2.md",
    login_and_permission_problems => "login-and-permission-problems.md",
    backup_restore => "backup-restore.md",
    database_lost => "database-lost.md",
}
