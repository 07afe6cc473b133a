//! One reference, from the tag to the last layer, as `verify` reports it; never how a report is printed.

use std::time::{Duration, Instant};

use mcr_client::Client;
use mcr_oci::{Digest, Finding, FindingKind, Manifest, Reference, RepositoryName};
use mcr_verifier::{Checked, Memory, Options, PlatformFilter, Root, Skipped, walk_all};

use crate::level::Level;
use crate::pace::Pace;
use crate::repository::{about_root, resolve};
use crate::watch::Watch;
use crate::wire::{Gone, Wire};

/// How one reference is looked at.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// How closely blobs are looked at.
    pub level: Level,
    /// Requests under way at once.
    pub jobs: usize,
    /// The only platform of an index that is looked at.
    pub platform: Option<PlatformFilter>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { level: Level::default(), jobs: 8, platform: None }
    }
}

/// What a look at one reference came to.
#[derive(Debug)]
pub struct Verified {
    /// What the reference names, where that could be read.
    pub digest: Option<Digest>,
    /// How closely it was looked at.
    pub level: Level,
    /// What was looked at.
    pub checked: Checked,
    /// What was rightly not looked at.
    pub skipped: Vec<Skipped>,
    /// What is wrong, with repository and, for a tag, the tag.
    pub findings: Vec<Finding>,
    /// True where more is wrong than a report holds.
    pub findings_cut: bool,
    /// How long it took.
    pub duration: Duration,
    memory: Memory,
}

impl Verified {
    /// Whether everything is there.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether nothing is known to be wrong, and something could not be looked at.
    #[must_use]
    pub fn is_undetermined(&self) -> bool {
        !self.is_sound() && self.findings.iter().all(|finding| finding.kind == FindingKind::Unreachable)
    }

    /// A manifest of the closure, to draw it.
    #[must_use]
    pub fn manifest(&self, digest: &Digest) -> Option<&Manifest> {
        self.memory.manifest(digest).map(AsRef::as_ref)
    }
}

/// Looks whether `reference` can be pulled whole from `repository`.
///
/// A tag's manifest is fetched by the tag and again by its digest, as clients do.
///
/// # Errors
/// Only when the registry as a whole does not answer.
pub async fn verify(
    client: &Client,
    repository: &RepositoryName,
    reference: &Reference,
    options: &VerifyOptions,
    watch: &dyn Watch,
) -> Result<Verified, Gone> {
    let started = Instant::now();
    let wire = Wire::new(client, repository, options.level, Pace::new(options.jobs), watch);
    let mut verified = Verified {
        digest: None,
        level: options.level,
        checked: Checked::default(),
        skipped: Vec::new(),
        findings: Vec::new(),
        findings_cut: false,
        duration: Duration::ZERO,
        memory: Memory::default(),
    };
    let resolved = resolve(&wire, reference).await?;
    verified.digest.clone_from(&resolved.digest);
    let by_digest = match (&resolved.root, reference) {
        (Ok(Root::Parsed { digest, .. }), Reference::Tag(_)) => Some(digest.clone()),
        _ => None,
    };
    let resolved = match by_digest {
        Some(digest) => resolve(&wire, &Reference::Digest(digest)).await?,
        None => resolved,
    };
    match resolved.root {
        Err(problem) => verified.findings.push(about_root(resolved.digest, &problem)),
        Ok(root) => {
            if let Root::Parsed { manifest, .. } = &root {
                wire.expect(manifest);
            }
            let walk = Options { jobs: options.jobs, platform: options.platform.clone(), ..Options::default() };
            let report = walk_all(std::slice::from_ref(&root), &wire, &walk, &mut verified.memory).await?.pop();
            if let Some(report) = report {
                verified.checked = report.checked;
                verified.skipped = report.skipped;
                verified.findings_cut = report.findings_cut;
                verified.findings.extend(report.findings.into_iter().map(|found| found.finding));
            }
        }
    }
    let tag = match reference {
        Reference::Tag(tag) => Some(tag.as_str().to_owned()),
        Reference::Digest(_) => None,
    };
    for finding in &mut verified.findings {
        finding.repository = Some(repository.as_str().to_owned());
        finding.tag.clone_from(&tag);
    }
    verified.duration = started.elapsed();
    Ok(verified)
}
