//! Snapshots of the database: taking one, and those there are; never a file.

use mcr_access::Administer;
use mcr_registry::SnapshotRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, Caller, Time};

/// There is nothing to choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRequest {}

/// A consistent copy of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Snapshot {
    /// `mcr-YYYYMMDD-HHMMSS.db`.
    pub name: String,
    /// Where it lies on the machine of the registry.
    pub path: String,
    /// When it was taken.
    pub taken_at: Time,
    /// Its length.
    pub bytes: u64,
    /// Blobs it refers to; null where that is not known.
    pub blobs: Option<u64>,
    /// Why it cannot be relied on; null while it is sound.
    pub trouble: Option<String>,
}

/// The snapshots there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SnapshotList {
    /// Newest first.
    pub snapshots: Vec<Snapshot>,
}

/// Takes one now.
///
/// # Errors
/// [`ApiError`].
pub async fn take(caller: &Caller) -> Result<Snapshot, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    Ok(snapshot(caller.edge.registry.take_snapshot(&permit).await?))
}

/// Those there are.
///
/// # Errors
/// [`ApiError`].
pub async fn list(caller: &Caller) -> Result<SnapshotList, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    let found = caller.edge.registry.snapshots(&permit).await?;
    Ok(SnapshotList { snapshots: found.into_iter().map(snapshot).collect() })
}

fn snapshot(of: SnapshotRecord) -> Snapshot {
    Snapshot {
        name: of.name,
        path: of.path.display().to_string(),
        taken_at: Time(of.taken_at_ms),
        bytes: of.bytes,
        blobs: of.blobs,
        trouble: of.trouble,
    }
}
