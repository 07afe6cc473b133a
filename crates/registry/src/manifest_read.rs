//! Reading manifests: by tag or digest, from the cache where that is still true; never bytes that do not hash.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use mcr_access::{Permit, Pull};
use mcr_metadata::{Content, Lookup, ManifestRow, RenewLease, SetManifestCorrupt};
use mcr_oci::{Digest, Finding, FindingKind, Hasher, Manifest, Reference, RepositoryName};

use crate::cache::CachedManifest;
use crate::error::Error;
use crate::registry::Registry;
use crate::settings::BrokenIndex;

/// How far ahead a promise is written, so that a digest asked for again and again costs one write
/// in that time and not one a request. It makes the lease longer, never shorter.
pub(crate) const PROMISE_AHEAD_MS: i64 = 10_000;
/// Longest warning sent, in bytes (`clients.md`: 4096 in all).
const MAX_WARNING: usize = 2048;

/// What a reader is about to do with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Fetch it.
    Get,
    /// Look whether it is there, by one who may not push.
    Head,
    /// Look whether it is there, by one who may push: a broken index must then be 404, so that
    /// clients which skip what they can HEAD walk its children and heal it (contract section 2.9).
    HeadByPusher,
}

/// A manifest to be answered with.
#[derive(Debug, Clone)]
pub struct ServedManifest {
    /// The manifest.
    pub manifest: Arc<CachedManifest>,
    /// What is broken below it, as one sentence.
    pub warning: Option<String>,
}

impl Registry {
    /// Reads a manifest. One that is fetched counts as a pull.
    ///
    /// # Errors
    /// [`Error::NameUnknown`], [`Error::ManifestUnknown`] (with the finding, if it is broken), inability.
    pub async fn manifest(
        &self,
        permit: &Permit<Pull>,
        reference: Reference,
        reading: Reading,
    ) -> Result<ServedManifest, Error> {
        self.volume_present()?;
        let by_digest = matches!(reference, Reference::Digest(_));
        let key = (permit.repository().clone(), reference);
        let manifest = match self.parts.caches.manifest(&key) {
            Ok(cached) => cached,
            Err(stamp) => {
                let read = Arc::new(self.read_manifest(&key.0, &key.1).await?);
                // Damage is never cached: healing then needs no word to the caches.
                if read.damage.is_empty() && !read.own_damage {
                    self.parts.caches.keep_manifest(key.clone(), Arc::clone(&read), stamp);
                }
                read
            }
        };
        let warning = self.judge_damage(&manifest, &key, reading)?;
        if by_digest && !manifest.referenced {
            self.promise_manifest(&key.0, &manifest).await?;
        }
        if reading == Reading::Get {
            self.note_pull(permit.identity(), &key.0, &manifest.digest);
        }
        Ok(ServedManifest { manifest, warning })
    }

    async fn read_manifest(&self, repository: &RepositoryName, reference: &Reference) -> Result<CachedManifest, Error> {
        let (metadata, name, asked) = (Arc::clone(&self.parts.metadata), repository.clone(), reference.clone());
        let row = match self.parts.blocking.run(move || metadata.manifest(&name, &asked)).await?? {
            Lookup::Found(row) => row,
            Lookup::NotFound => return Err(unknown_manifest(repository, reference)),
            Lookup::NoRepository => return Err(Error::NameUnknown(repository.to_string())),
        };
        if !row.corrupt && !hashes_right(&row) {
            return Err(self.book_corrupt_manifest(repository, &row.digest).await);
        }
        Ok(CachedManifest {
            promised_until: AtomicI64::new(row.unreferenced_since_ms.unwrap_or(0)),
            digest: row.digest,
            media_type: row.media_type,
            bytes: Bytes::from(row.bytes),
            damage: row.damage,
            own_damage: row.own_damage || row.corrupt,
            referenced: row.referenced,
        })
    }

    /// The database holds bytes that do not hash to their digest: never serve them.
    pub(crate) async fn book_corrupt_manifest(&self, repository: &RepositoryName, digest: &Digest) -> Error {
        let detail = "its bytes in the database do not hash to its digest; push it again to heal it".to_owned();
        let caches = Arc::clone(&self.parts.caches);
        let write = SetManifestCorrupt {
            repository: repository.clone(),
            digest: digest.clone(),
            detail: detail.clone(),
            at_ms: self.parts.clock.now_ms(),
        };
        let booked = self
            .parts
            .writes
            .durable(|m, done| m.set_manifest_corrupt(write, done), move |_| caches.everything_changed())
            .await;
        if let Err(error) = booked {
            self.parts.writes.count_dropped("a finding", &error);
        }
        let finding = Finding {
            digest: Some(digest.clone()),
            detail: Some(detail),
            ..Finding::new(FindingKind::ManifestCorrupt)
        };
        broken_manifest(repository, digest, &finding)
    }

    /// Refuses or warns where the closure has findings (contract section 2.9).
    fn judge_damage(
        &self,
        manifest: &CachedManifest,
        key: &(RepositoryName, Reference),
        reading: Reading,
    ) -> Result<Option<String>, Error> {
        let bare = Finding::new(FindingKind::ManifestCorrupt);
        let first = match manifest.damage.first() {
            Some(first) => first,
            None if manifest.own_damage => &bare,
            None => return Ok(None),
        };
        let hidden = self.parts.settings.broken_index == BrokenIndex::Hide || reading == Reading::HeadByPusher;
        if manifest.own_damage || hidden {
            return Err(broken_manifest(&key.0, &manifest.digest, first));
        }
        Ok(Some(warning(manifest)))
    }

    /// Makes the promise of an unreferenced manifest durable before it is answered (section 2.8).
    async fn promise_manifest(&self, repository: &RepositoryName, manifest: &CachedManifest) -> Result<(), Error> {
        let now = self.parts.clock.now_ms();
        if manifest.promised_until.load(Ordering::Acquire) >= now {
            return Ok(());
        }
        let until_ms = now + PROMISE_AHEAD_MS;
        let digest = manifest.digest.clone();
        let lease = RenewLease { repository: repository.clone(), digest, content: Content::Manifest, until_ms };
        if self.promise(lease).await? {
            manifest.promised_until.store(until_ms, Ordering::Release);
            return Ok(());
        }
        self.parts.caches.everything_changed();
        Err(unknown_manifest(repository, &Reference::Digest(manifest.digest.clone())))
    }

    /// Writes a lease. A lease is never dropped: where it cannot be written the answer is 503.
    pub(crate) async fn promise(&self, lease: RenewLease) -> Result<bool, Error> {
        self.parts.writes.durable(|m, done| m.renew_lease(lease, done), |_| ()).await.map_err(|error| match error {
            Error::DiskFull(message) => Error::Unavailable { message, retry_after: 30 },
            other => other,
        })
    }
}

fn hashes_right(row: &ManifestRow) -> bool {
    let mut hasher = Hasher::new(row.digest.algorithm());
    hasher.update(&row.bytes);
    hasher.finish() == row.digest
}

/// The 404 of a manifest that was never here or is deleted.
pub(crate) fn unknown_manifest(repository: &RepositoryName, reference: &Reference) -> Error {
    let message = match reference {
        Reference::Tag(tag) => format!("manifest unknown: {repository} has no tag {tag}"),
        Reference::Digest(digest) => format!("manifest unknown: {repository} has no manifest {digest}"),
    };
    Error::ManifestUnknown { message, finding: None }
}

fn broken_manifest(repository: &RepositoryName, digest: &Digest, finding: &Finding) -> Error {
    let mut finding = finding.clone();
    finding.repository = Some(repository.to_string());
    let what = finding.digest.as_ref().map_or_else(String::new, |d| format!(" {d}"));
    let detail = finding.detail.as_deref().unwrap_or_default();
    Error::ManifestUnknown {
        message: format!(
            "manifest unknown: {repository}@{digest} cannot be pulled whole: {}{what}: {detail}",
            finding.kind.as_str()
        ),
        finding: Some(Box::new(finding)),
    }
}

/// Which platforms of an index are whole and which are broken, in one sentence.
fn warning(manifest: &CachedManifest) -> String {
    let broken =
        |child: &Digest| manifest.damage.iter().find(|f| f.digest.as_ref() == Some(child) || f.path.contains(child));
    let (mut whole, mut bad) = (Vec::new(), Vec::new());
    // What is served parsed when it was pushed.
    let edges = Manifest::parse(&manifest.bytes, Some(&manifest.media_type)).map(|m| m.edges).unwrap_or_default();
    for child in edges.iter().map(|edge| &edge.descriptor) {
        let name = child.platform.as_ref().map_or_else(|| child.digest.to_string(), ToString::to_string);
        match broken(&child.digest) {
            None => whole.push(name),
            Some(finding) => {
                let digest = finding.digest.as_ref().map_or("", |d| d.as_str());
                bad.push(format!("{name} ({} {digest})", finding.kind.as_str()));
            }
        }
    }
    let whole = if whole.is_empty() { "none".to_owned() } else { whole.join(", ") };
    let mut text = format!("this index has broken images. whole: {whole}; broken: {}", bad.join(", "));
    if let Some((at, _)) = text.char_indices().nth(MAX_WARNING) {
        text.truncate(at);
        text.push_str(" and more");
    }
    text
}
