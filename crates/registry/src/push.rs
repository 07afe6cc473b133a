//! Putting a manifest: parse, walk its closure, commit in one transaction; never half of that.
//!
//! Contract sections 1, 2 and 8. The walk looks at rows and files; the commit re-checks every edge
//! inside the transaction, and where something went in between, the walk is done again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcr_access::{Permit, Push};
use mcr_metadata::{AuditEvent, CommitManifest, CommitOutcome, Lookup};
use mcr_oci::{Digest, Hasher, Manifest, Reference, RepositoryName, Tag};
use mcr_verifier::{Absence, Options, Report, Root, walk};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::{Error, Refusal};
use crate::local_source::LocalSource;
use crate::refusal::refusals;
use crate::registry::{Registry, actor};

/// Walks tried when edges keep changing underneath.
const MAX_WALKS: u32 = 5;
/// Bytes above which a manifest is read and parsed beside few others.
const HEAVY: u64 = 64 * 1024;
/// How long a large manifest waits for its place.
const PLACE_WAIT: Duration = Duration::from_secs(30);
/// Findings written into one audit row.
const MAX_AUDITED: usize = 20;

/// A large manifest's place among few; given back when dropped.
#[derive(Debug)]
pub struct ManifestPlace {
    _place: OwnedSemaphorePermit,
}

/// A manifest to be put.
#[derive(Debug, Clone)]
pub struct PushManifest {
    /// Where to: a tag, or its own digest.
    pub reference: Reference,
    /// The `Content-Type` it came with.
    pub media_type: Option<String>,
    /// Its bytes; at most [`mcr_oci::MANIFEST_MAX`].
    pub bytes: Bytes,
    /// Tags asked for beside the reference (`?tag=`).
    pub tags: Vec<Tag>,
}

/// A manifest that was committed.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// Its digest.
    pub digest: Digest,
    /// The digest it refers to, which need not be here.
    pub subject: Option<Digest>,
    /// The tags asked for by parameter, now on it.
    pub tags: Vec<Tag>,
    /// What the client should mend, though it was accepted.
    pub warnings: Vec<String>,
}

impl Registry {
    /// A place for a manifest of `length` bytes (`None`: not announced), to be held from before its
    /// body is read until it is answered. A large one costs many times its size while it is read
    /// and parsed, so only few are at once; small ones need no place.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no place came free in time.
    pub async fn place_for_manifest(&self, length: Option<u64>) -> Result<Option<ManifestPlace>, Error> {
        if length.is_some_and(|length| length <= HEAVY) {
            return Ok(None);
        }
        match tokio::time::timeout(PLACE_WAIT, Arc::clone(&self.parts.heavy).acquire_owned()).await {
            Ok(Ok(place)) => Ok(Some(ManifestPlace { _place: place })),
            Ok(Err(_)) => Err(Error::stopping()),
            Err(_) => Err(Error::unavailable("too many large manifests are being pushed at once; try again")),
        }
    }

    /// Puts a manifest, or refuses it with every missing piece named.
    ///
    /// # Errors
    /// [`Error::Incomplete`], [`Error::ManifestInvalid`], [`Error::DigestInvalid`],
    /// [`Error::DiskFull`] below the reserve; inability.
    pub async fn push_manifest(&self, permit: &Permit<Push>, push: PushManifest) -> Result<Pushed, Error> {
        self.may_write()?;
        let digest = digest_of(&push)?;
        let manifest = Manifest::parse(&push.bytes, push.media_type.as_deref()).map_err(|error| invalid(&error))?;
        let manifest = Arc::new(manifest);
        self.keep_reserve(permit.repository(), &digest).await?;
        let (registry, permit) = (self.clone(), permit.clone());
        self.finish(async move { registry.walk_and_commit(permit, push, digest, manifest).await }).await
    }

    async fn walk_and_commit(
        &self,
        permit: Permit<Push>,
        push: PushManifest,
        digest: Digest,
        manifest: Arc<Manifest>,
    ) -> Result<Pushed, Error> {
        let sparse = self.parts.settings.is_sparse(permit.repository().as_str());
        for attempt in 1..=MAX_WALKS {
            let report =
                self.walk_pushed(permit.repository(), &digest, &manifest, push.bytes.len() as u64, sparse).await?;
            if !report.is_sound() {
                if attempt < MAX_WALKS && self.bring_promised(&permit, &report).await? {
                    continue;
                }
                return Err(self.refuse(&permit, &push.reference, &digest, &report));
            }
            match self.commit_manifest(&permit, &push, &digest, &manifest, sparse).await? {
                CommitOutcome::Committed { .. } => return Ok(pushed(push, digest, &manifest, &report)),
                CommitOutcome::Immutable { tag } => {
                    let place = permit.repository();
                    return Err(Error::Denied(format!(
                        "{place}:{tag} is immutable and points elsewhere: push another tag"
                    )));
                }
                CommitOutcome::MediaTypeConflict { stored } => {
                    return Err(Error::ManifestInvalid(format!(
                        "{digest} is stored as {stored}, which others rely on; push it with that Content-Type"
                    )));
                }
                CommitOutcome::ClosureChanged => {
                    tracing::debug!(%digest, attempt, "the closure changed between walk and commit: walking again");
                    tokio::time::sleep(Duration::from_millis(5) * attempt).await;
                }
            }
        }
        Err(Error::unavailable("content of this manifest keeps changing while it is being committed; try again"))
    }

    /// Walks what a manifest names, as its repository has it now.
    pub(crate) async fn walk_pushed(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        manifest: &Arc<Manifest>,
        size: u64,
        sparse: bool,
    ) -> Result<Report, Error> {
        let root = Root::Parsed { digest: digest.clone(), manifest: Arc::clone(manifest), size };
        let absence = if sparse { Absence::OfChildrenAllowed } else { Absence::Finding };
        let options = Options { absence, ..Options::default() };
        let (registry, repository) = (self.clone(), repository.clone());
        let named: Vec<Digest> = manifest.edges.iter().map(|edge| edge.descriptor.digest.clone()).collect();
        let runtime = tokio::runtime::Handle::current();
        self.parts
            .walking
            .run(move || {
                let source = LocalSource::read(&registry, &repository, &named)?;
                runtime.block_on(walk(&root, &source, &options))
            })
            .await?
    }

    async fn commit_manifest(
        &self,
        permit: &Permit<Push>,
        push: &PushManifest,
        digest: &Digest,
        manifest: &Arc<Manifest>,
        sparse: bool,
    ) -> Result<CommitOutcome, Error> {
        let mut tags = push.tags.clone();
        if let Reference::Tag(tag) = &push.reference {
            tags.push(tag.clone());
        }
        let write = CommitManifest {
            repository: permit.repository().clone(),
            reference_digest: digest.clone(),
            manifest: Arc::clone(manifest),
            bytes: Arc::from(push.bytes.as_ref()),
            tags: tags.clone(),
            allow_missing_children: sparse,
            immutable: self.parts.settings.immutable_tags(permit.repository().as_str()),
            actor: actor(permit.identity()),
            at_ms: self.parts.clock.now_ms(),
        };
        let (caches, repository, digest) =
            (Arc::clone(&self.parts.caches), permit.repository().clone(), digest.clone());
        let after = move |outcome: &CommitOutcome| {
            let CommitOutcome::Committed { moved, .. } = outcome else { return };
            for tag in tags {
                caches.reference_changed(&repository, Reference::Tag(tag));
            }
            for previous in moved.iter().filter_map(|m| m.previous.clone()) {
                caches.reference_changed(&repository, Reference::Digest(previous));
            }
            caches.reference_changed(&repository, Reference::Digest(digest));
        };
        self.parts.writes.durable(|m, done| m.commit_manifest(write, done), after).await
    }

    /// Below the reserve only manifests that are held already may be put (tag moves go on).
    async fn keep_reserve(&self, repository: &RepositoryName, digest: &Digest) -> Result<(), Error> {
        if !self.parts.volume.below_reserve() {
            return Ok(());
        }
        let (metadata, name, asked) =
            (Arc::clone(&self.parts.metadata), repository.clone(), Reference::Digest(digest.clone()));
        match self.parts.blocking.run(move || metadata.manifest(&name, &asked)).await?? {
            Lookup::Found(_) => Ok(()),
            _ => Err(self.parts.volume.full()),
        }
    }

    fn refuse(&self, permit: &Permit<Push>, reference: &Reference, digest: &Digest, report: &Report) -> Error {
        let refusals = refusals(permit.repository(), reference, &report.findings);
        for located in &report.findings {
            self.parts.counters.count_refused(located.finding.kind);
        }
        let missing: Vec<&str> = refusals.iter().take(MAX_AUDITED).map(|r: &Refusal| r.message.as_str()).collect();
        tracing::warn!(repository = %permit.repository(), %digest, findings = report.findings.len(), "a push was refused: its closure is not complete");
        let event = AuditEvent {
            event: "push_refused",
            actor: actor(permit.identity()),
            repository: Some(permit.repository().clone()),
            tag: match reference {
                Reference::Tag(tag) => Some(tag.to_string()),
                Reference::Digest(_) => None,
            },
            digest: Some(digest.clone()),
            details: serde_json::json!({ "findings": report.findings.len(), "missing": missing }),
            at_ms: self.parts.clock.now_ms(),
        };
        self.record(event);
        Error::Incomplete(refusals)
    }
}

fn digest_of(push: &PushManifest) -> Result<Digest, Error> {
    match &push.reference {
        Reference::Tag(_) => Ok(Digest::sha256(&push.bytes)),
        Reference::Digest(expected) => {
            let mut hasher = Hasher::new(expected.algorithm());
            hasher.update(&push.bytes);
            let computed = hasher.finish();
            if computed == *expected {
                Ok(computed)
            } else {
                Err(Error::DigestInvalid(format!("the manifest hashes to {computed}, not to {expected}")))
            }
        }
    }
}

fn invalid(error: &mcr_oci::ManifestError) -> Error {
    match error.code() {
        mcr_oci::ErrorCode::SizeInvalid => Error::SizeInvalid(error.to_string()),
        mcr_oci::ErrorCode::DigestInvalid => Error::DigestInvalid(error.to_string()),
        _ => Error::ManifestInvalid(error.to_string()),
    }
}

fn pushed(push: PushManifest, digest: Digest, manifest: &Manifest, report: &Report) -> Pushed {
    let mut warnings = manifest.warnings.clone();
    let absent = report.skipped.iter().filter(|s| s.reason.starts_with("absent")).count();
    if absent > 0 {
        warnings.push(format!("{absent} of the index's children are not in this repository: the tag is partial"));
    }
    Pushed { digest, subject: manifest.subject.as_ref().map(|s| s.digest.clone()), tags: push.tags, warnings }
}
