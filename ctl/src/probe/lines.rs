//! A log line for each tag that cannot be pulled whole; never a count, which the summary has.

use mcr_oci::Digest;
use mcr_probe::{TagOutcome, TagState, Watch};

/// Logs broken tags as they are met.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines;

impl Watch for Lines {
    fn tag(&self, outcome: &TagOutcome<'_>) {
        let state = outcome.state();
        let Some(first) = outcome.findings.first().filter(|_| state != TagState::Sound) else { return };
        let digest = first.digest.as_ref().map(Digest::as_str).unwrap_or_default();
        let said = match state {
            TagState::Broken | TagState::Sound => "this tag cannot be pulled whole",
            TagState::Undetermined => "this tag could not be looked at whole",
        };
        tracing::warn!(
            repository = outcome.repository,
            tag = outcome.tag,
            kind = first.kind.as_str(),
            digest,
            findings = outcome.findings.len(),
            "{said}"
        );
    }
}
