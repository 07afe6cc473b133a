//! Verifying one reference where its bytes lie; never over the wire, which is `mcrctl verify`'s.

use std::time::Duration;

use mcr_access::Pull;
use mcr_oci::Reference;
use mcr_registry::Examined;
use mcr_verifier::Skipped as Passed;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::integrity::Finding;
use super::{ApiError, Caller, reference, repository_name};

/// Walks for this at once: pushes need the other places.
const MAX_WALKS: usize = 4;
/// How long one waits for its place.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds to wait where none came free.
const RETRY_AFTER: u32 = 10;
/// What the report calls this way of looking: rows, and each file's stat against the one recorded when it was hashed.
const LEVEL: &str = "local";

static PLACES: Semaphore = Semaphore::const_new(MAX_WALKS);

/// What to verify.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// The repository.
    #[schema(min_length = 1)]
    pub repository: String,
    /// A tag or a digest.
    #[schema(min_length = 1)]
    pub reference: String,
}

/// The report of `mcrctl verify --json`, of one reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VerifyReport {
    /// One.
    pub references: Vec<ReferenceReport>,
    /// Whether nothing is wrong.
    pub sound: bool,
}

/// What was found below one reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReferenceReport {
    /// `REPOSITORY:TAG` or `REPOSITORY@DIGEST`.
    pub reference: String,
    /// What it is.
    pub digest: String,
    /// `local`: rows, and each file's stat against the one recorded when it was last hashed.
    pub level: String,
    /// Whether nothing is wrong.
    pub sound: bool,
    /// How much was looked at.
    pub checked: Checked,
    /// What was rightly not looked for.
    pub skipped: Vec<Skipped>,
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub duration_ms: u64,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Checked {
    /// Indexes.
    pub indexes: u64,
    /// Image manifests.
    pub manifests: u64,
    /// Configs.
    pub configs: u64,
    /// Layers.
    pub layers: u64,
    /// Bytes of distinct content.
    pub bytes: u64,
}

/// What was not looked for, and why that is no finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Skipped {
    /// Its digest.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// The manifest that names it.
    pub parent: String,
    /// Why.
    pub reason: String,
    /// Such as `linux/amd64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub platform: Option<String>,
}

/// Walks one reference's closure now.
///
/// # Errors
/// [`ApiError`]; what is broken is in the report.
pub async fn verify(caller: &Caller, request: &VerifyRequest) -> Result<VerifyReport, ApiError> {
    let repository = repository_name(caller, &request.repository)?;
    let reference = reference(caller, &request.reference)?;
    let permit = caller.permit::<Pull>(&repository)?;
    let Ok(Ok(_place)) = tokio::time::timeout(PATIENCE, PLACES.acquire()).await else {
        let message = format!("{MAX_WALKS} other references are being verified; try again in a while");
        return Err(ApiError::Unavailable { message, retry_after: RETRY_AFTER });
    };
    let examined = caller.edge.registry.examine(&permit, &reference).await?;
    let separator = if matches!(reference, Reference::Tag(_)) { ':' } else { '@' };
    Ok(report(format!("{repository}{separator}{reference}"), &examined))
}

fn report(reference: String, examined: &Examined) -> VerifyReport {
    let (found, sound) = (&examined.report, examined.report.is_sound());
    let checked = Checked {
        indexes: found.checked.indexes,
        manifests: found.checked.manifests,
        configs: found.checked.configs,
        layers: found.checked.layers,
        bytes: found.checked.bytes,
    };
    let one = ReferenceReport {
        reference,
        digest: found.root.to_string(),
        level: LEVEL.to_owned(),
        sound,
        checked,
        skipped: found.skipped.iter().map(skipped).collect(),
        findings: found.findings.iter().map(|located| Finding::from(&located.finding)).collect(),
        duration_ms: u64::try_from(examined.took.as_millis()).unwrap_or(u64::MAX),
    };
    VerifyReport { references: vec![one], sound }
}

fn skipped(passed: &Passed) -> Skipped {
    Skipped {
        digest: passed.descriptor.digest.to_string(),
        media_type: passed.descriptor.media_type.clone(),
        size: passed.descriptor.size,
        parent: passed.parent.to_string(),
        reason: passed.reason.to_owned(),
        platform: passed.descriptor.platform.as_ref().map(ToString::to_string),
    }
}
