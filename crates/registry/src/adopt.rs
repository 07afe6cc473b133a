//! Taking in what another registry holds: blobs that are read where they lie, manifests with the times they had there;
//! never with a weaker check than a push.
//!
//! The bytes of a blob become ours as an upload's do: hashed, synced, renamed, and booked under the digest's lock. A
//! manifest is committed after the same walk over rows and files, its children before it.

mod gather;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcr_access::{Administer, GlobalPermit};
use mcr_blobs::{Adopted, StageError, Staged, Staging};
use mcr_metadata::{
    Actor, AdoptManifest, AuditEvent, BlobState, CommitManifest, CommitOutcome, LinkBlobs, Lookup, TagGuard,
};
use mcr_oci::{Algorithm, Digest, Finding, Manifest, Reference, RepositoryName, Tag};
use serde_json::Value;

use crate::error::Error;
use crate::integrity::{Compared, compare};
use crate::registry::Registry;
use crate::settings::Settings;
use gather::Gather;

/// How the bytes of a file were brought, for whoever reports it.
pub use mcr_blobs::Adopted as AdoptedBy;
/// The account that imports stand under, and a tag with who pointed it where it points.
pub use mcr_metadata::{IMPORT, TagOrigin};

/// Walks tried when edges keep changing underneath.
const MAX_WALKS: u32 = 5;
/// Tags read at once.
const TAGS_A_READ: usize = 1_000;
/// Repositories read at once.
const REPOSITORIES_A_READ: usize = 1_000;
/// Most tags of one repository that are looked at.
pub const MAX_ORIGINS: usize = 1_000_000;
/// Events written at once.
pub const MAX_IMPORTED_EVENTS: usize = 500;

/// What became of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobTaken {
    /// It is here: so many bytes, that way.
    Whole(AdoptedBy, u64),
    /// Its bytes are others: what they hash to, and how many they are. Nothing was kept.
    Differs {
        /// What they hash to.
        computed: Digest,
        /// How many there are.
        size: u64,
    },
    /// It could not be read to its end; one clause that says why.
    Unreadable(String),
    /// No hard link can be made of it; one clause that says why.
    NoLink(String),
}

/// A manifest that was pushed elsewhere.
#[derive(Clone, Debug)]
pub struct TakenManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// What they say.
    pub manifest: Arc<Manifest>,
    /// When it was pushed there, in Unix milliseconds.
    pub pushed_ms: i64,
    /// Its tags, and since when they pointed at it, in Unix milliseconds.
    pub tags: Vec<(Tag, i64)>,
}

/// What became of a manifest.
#[derive(Clone, Debug)]
pub enum ManifestTaken {
    /// It is here, whole.
    Whole {
        /// The tags that are new or moved, and where they pointed.
        moved: Vec<(Tag, Option<Digest>)>,
        /// Whether it was not here before.
        created: bool,
    },
    /// Its closure is not complete here.
    Incomplete(Vec<Finding>),
    /// This one of its tags is immutable here and points elsewhere; nothing was changed.
    Held(Tag),
    /// A rule forbids it; one line.
    Refused(String),
}

/// An event of another registry's audit trail.
#[derive(Clone, Debug)]
pub struct ImportedEvent {
    /// The repository it is about, if its name is one.
    pub repository: Option<RepositoryName>,
    /// The digest it is about, if it is one.
    pub digest: Option<Digest>,
    /// Everything that the other registry said of it; an object.
    pub details: Value,
}

/// Takes things in. One a run.
#[derive(Clone, Debug)]
pub struct Adopter {
    registry: Registry,
    gather: Arc<Gather>,
}

/// A blob that comes in pieces. Dropped, it is forgotten.
#[derive(Debug)]
pub struct Incoming {
    registry: Registry,
    gather: Arc<Gather>,
    staging: Option<Staging>,
}

impl Registry {
    /// What takes in content of other registries, on behalf of an administrator.
    #[must_use]
    pub fn adopter(&self, _permit: &GlobalPermit<Administer>) -> Adopter {
        Adopter { registry: self.clone(), gather: Arc::default() }
    }
}

impl Settings {
    /// The tags of `repository` that neither move nor go, for whoever looks without a registry; `None` where all may.
    #[must_use]
    pub fn held(&self, repository: &RepositoryName) -> Option<TagGuard> {
        self.immutable_tags(repository.as_str())
    }
}

impl Registry {
    /// A file's bytes in a temporary file, hashed. Only what is copied needs room.
    fn stage(
        &self,
        file: &File,
        algorithm: Algorithm,
        link: bool,
        tell: &dyn Fn(u64),
    ) -> Result<Result<(Staged, Adopted), StageError>, Error> {
        let blobs = &self.parts.blobs;
        if link {
            return Ok(blobs.stage_link(file, algorithm, tell).map(|staged| (staged, Adopted::Hardlinked)));
        }
        if let Some(shared) = blobs.stage_shared(file, algorithm, tell).transpose() {
            return Ok(shared.map(|staged| (staged, Adopted::Reflinked)));
        }
        let size = file.metadata().map_or(0, |stat| stat.len());
        self.parts.volume.room_for(size)?;
        Ok(blobs.stage_copied(file, algorithm, tell).map(|staged| (staged, Adopted::Copied)))
    }
}

impl Adopter {
    /// Whether a blob is here, sound: its row says so and its file is the very one that was hashed.
    ///
    /// # Errors
    /// Inability to look.
    pub async fn holds_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let (registry, asked) = (self.registry.clone(), digest.clone());
        let look = move || -> Result<bool, Error> {
            let Some(row) = registry.parts.metadata.blob_anywhere(&asked)? else { return Ok(false) };
            let sound = row.state == BlobState::Sound;
            Ok(sound && compare(&row, registry.parts.blobs.stat(&asked)?) == Compared::Same)
        };
        self.registry.parts.blocking.run(look).await?
    }

    /// Whether a manifest is here with all of its closure, sound.
    ///
    /// # Errors
    /// Inability to look.
    pub async fn holds_manifest(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, Error> {
        let (registry, name, asked) = (self.registry.clone(), repository.clone(), Reference::Digest(digest.clone()));
        let read = move || registry.parts.metadata.manifest(&name, &asked);
        match self.registry.parts.blocking.run(read).await?? {
            Lookup::Found(row) => self.registry.is_whole(repository, &row).await,
            Lookup::NotFound | Lookup::NoRepository => Ok(false),
        }
    }

    /// The tags of a repository with whoever pointed them where they point; at most [`MAX_ORIGINS`].
    ///
    /// # Errors
    /// Inability to look.
    pub async fn tags(&self, repository: &RepositoryName) -> Result<Vec<TagOrigin>, Error> {
        let (registry, name) = (self.registry.clone(), repository.clone());
        let read = move || -> Result<Vec<TagOrigin>, Error> {
            let mut all: Vec<TagOrigin> = Vec::new();
            while all.len() < MAX_ORIGINS {
                let last = all.last().map_or_else(String::new, |origin| origin.tag.clone());
                let page = registry.parts.metadata.tag_origins(&name, &last, TAGS_A_READ)?;
                let done = page.len() < TAGS_A_READ;
                all.extend(page);
                if done {
                    break;
                }
            }
            Ok(all)
        };
        self.registry.parts.blocking.run(read).await?
    }

    /// Every repository, also while the blob volume is away.
    ///
    /// # Errors
    /// Inability to look.
    pub async fn repositories(&self) -> Result<Vec<RepositoryName>, Error> {
        let registry = self.registry.clone();
        let read = move || -> Result<Vec<RepositoryName>, Error> {
            let mut all = Vec::new();
            let mut last = None;
            loop {
                let page = registry.parts.metadata.catalog(last.as_deref(), REPOSITORIES_A_READ, &|_| true)?;
                // Names are parsed before they are written.
                all.extend(page.names.iter().filter_map(|name| RepositoryName::parse(name).ok()));
                match page.cursor.filter(|_| page.more) {
                    Some(cursor) => last = Some(cursor),
                    None => return Ok(all),
                }
            }
        };
        self.registry.parts.blocking.run(read).await?
    }

    /// Whether a repository takes indexes that lack children (`commit = "sparse"`).
    #[must_use]
    pub fn takes_partial(&self, repository: &RepositoryName) -> bool {
        self.registry.parts.settings.is_sparse(repository.as_str())
    }

    /// Takes a file's bytes as the blob `digest`: shared where the file system can, else copied; with `link` as a
    /// second name of the same file. `place` is given back when the bytes were hashed, before they are synced; `tell`
    /// learns how many more were hashed.
    ///
    /// # Errors
    /// [`Error::DiskFull`] below the reserve; inability.
    pub async fn take_file(
        &self,
        digest: &Digest,
        file: File,
        link: bool,
        place: impl Send + 'static,
        tell: impl Fn(u64) + Send + 'static,
    ) -> Result<BlobTaken, Error> {
        let (registry, gather, expected) = (self.registry.clone(), Arc::clone(&self.gather), digest.clone());
        let stage = move || -> Result<Result<(Staged, Adopted), BlobTaken>, Error> {
            let _place = place;
            let algorithm = expected.algorithm();
            gather.syncs(&registry)?;
            match registry.stage(&file, algorithm, link, &tell)? {
                Ok(staged) => Ok(Ok(staged)),
                Err(StageError::Source(error)) => Ok(Err(BlobTaken::Unreadable(error.to_string()))),
                Err(StageError::NoLink(error)) => Ok(Err(BlobTaken::NoLink(error.to_string()))),
                Err(StageError::Ours(error)) => Err(error.into()),
            }
        };
        match self.registry.parts.blocking.run(stage).await?? {
            Ok((staged, how)) => self.gather.book(&self.registry, staged, digest.clone(), how).await,
            Err(not_taken) => Ok(not_taken),
        }
    }

    /// Begins to take a blob that comes in pieces, of about `size` bytes.
    ///
    /// # Errors
    /// [`Error::DiskFull`] below the reserve; inability.
    pub async fn begin(&self, algorithm: Algorithm, size: u64) -> Result<Incoming, Error> {
        let (registry, gather) = (self.registry.clone(), Arc::clone(&self.gather));
        let begin = move || -> Result<Staging, Error> {
            gather.syncs(&registry)?;
            registry.parts.volume.room_for(size)?;
            Ok(registry.parts.blobs.begin_staging(algorithm)?)
        };
        let staging = self.registry.parts.blocking.run(begin).await??;
        Ok(Incoming { registry: self.registry.clone(), gather: Arc::clone(&self.gather), staging: Some(staging) })
    }

    /// Makes a repository hold blobs that were taken; gives those that are not here, or not sound.
    ///
    /// # Errors
    /// Inability.
    pub async fn link(&self, repository: &RepositoryName, digests: Vec<Digest>) -> Result<Vec<Digest>, Error> {
        self.registry.may_write()?;
        let at_ms = self.registry.parts.clock.now_ms();
        let write = LinkBlobs { repository: repository.clone(), digests, at_ms };
        let caches = Arc::clone(&self.registry.parts.caches);
        let after = move |_: &Vec<Digest>| caches.everything_changed();
        self.registry.parts.writes.durable(|m, done| m.link_blobs(write, done), after).await
    }

    /// Commits a manifest whose blobs are linked and whose children are committed, after the walk that a push does.
    ///
    /// # Errors
    /// Inability.
    pub async fn take_manifest(
        &self,
        repository: &RepositoryName,
        taken: TakenManifest,
    ) -> Result<ManifestTaken, Error> {
        let registry = &self.registry;
        registry.may_write()?;
        let sparse = registry.parts.settings.is_sparse(repository.as_str());
        for attempt in 1..=MAX_WALKS {
            let size = taken.bytes.len() as u64;
            let report = registry.walk_pushed(repository, &taken.digest, &taken.manifest, size, sparse).await?;
            if !report.is_sound() {
                return Ok(ManifestTaken::Incomplete(
                    report.findings.into_iter().map(|located| located.finding).collect(),
                ));
            }
            match self.commit(repository, &taken, sparse).await? {
                CommitOutcome::Committed { moved, created } => {
                    let moved = moved.into_iter().map(|moved| (moved.tag, moved.previous)).collect();
                    return Ok(ManifestTaken::Whole { moved, created });
                }
                CommitOutcome::Immutable { tag } => return Ok(ManifestTaken::Held(tag)),
                CommitOutcome::MediaTypeConflict { stored } => {
                    return Ok(ManifestTaken::Refused(format!(
                        "{} is stored here as {stored}, which others rely on",
                        taken.digest
                    )));
                }
                CommitOutcome::ClosureChanged => tokio::time::sleep(Duration::from_millis(5) * attempt).await,
            }
        }
        Err(Error::unavailable("content of this manifest keeps changing while it is being committed; try again"))
    }

    /// Those of `tags` that are immutable here and point elsewhere than at `root`, where what they point at is whole.
    ///
    /// # Errors
    /// Inability to look.
    pub async fn held_tags(
        &self,
        repository: &RepositoryName,
        root: &Digest,
        tags: Vec<Tag>,
    ) -> Result<Vec<Tag>, Error> {
        let parts = &self.registry.parts;
        let Some(guard) = parts.settings.immutable_tags(repository.as_str()) else { return Ok(Vec::new()) };
        if !tags.iter().any(|tag| guard.holds(tag.as_str())) {
            return Ok(Vec::new());
        }
        let (metadata, name, root) = (Arc::clone(&parts.metadata), repository.clone(), root.clone());
        let read = move || metadata.held_tags(&name, &root, &tags, &guard);
        Ok(parts.blocking.run(read).await??)
    }

    async fn commit(
        &self,
        repository: &RepositoryName,
        taken: &TakenManifest,
        sparse: bool,
    ) -> Result<CommitOutcome, Error> {
        let parts = &self.registry.parts;
        let commit = CommitManifest {
            repository: repository.clone(),
            reference_digest: taken.digest.clone(),
            manifest: Arc::clone(&taken.manifest),
            bytes: Arc::clone(&taken.bytes),
            tags: Vec::new(),
            allow_missing_children: sparse,
            immutable: parts.settings.immutable_tags(repository.as_str()),
            actor: by_import(),
            at_ms: parts.clock.now_ms(),
        };
        let write = AdoptManifest { commit, pushed_ms: taken.pushed_ms, tags: taken.tags.clone() };
        let caches = Arc::clone(&parts.caches);
        let after = move |_: &CommitOutcome| caches.everything_changed();
        parts.writes.durable(|m, done| m.adopt_manifest(write, done), after).await
    }

    /// Records that an import began or ended; `event` is one of the audit trail's `import_*`.
    ///
    /// # Errors
    /// Inability.
    pub async fn tell(&self, event: &'static str, details: Value) -> Result<(), Error> {
        let event = AuditEvent { details, ..self.event(event) };
        self.registry.parts.writes.durable(|m, done| m.record_event(event, done), |()| ()).await
    }

    /// Appends events of another registry's audit trail to ours, as `import_audit`, at most
    /// [`MAX_IMPORTED_EVENTS`] of them in one transaction; what they were stands in their details.
    ///
    /// # Errors
    /// Inability.
    pub async fn tell_imported(&self, events: Vec<ImportedEvent>) -> Result<(), Error> {
        let row = |event: ImportedEvent| AuditEvent {
            repository: event.repository,
            digest: event.digest,
            details: event.details,
            ..self.event("import_audit")
        };
        let rows = events.into_iter().map(row).collect();
        self.registry.parts.writes.durable(|m, done| m.record_events(rows, done), |()| ()).await
    }

    fn event(&self, event: &'static str) -> AuditEvent {
        crate::record::about_nothing(event, by_import(), self.registry.parts.clock.now_ms())
    }
}

impl Incoming {
    /// Adds bytes.
    ///
    /// # Errors
    /// Inability; then it is to be dropped.
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), Error> {
        let Some(mut staging) = self.staging.take() else { return Err(Error::stopping()) };
        let write = move || staging.append(&bytes).map(|()| staging);
        self.staging = Some(self.registry.parts.blocking.run(write).await??);
        Ok(())
    }

    /// Makes what came the blob `digest`, if it is.
    ///
    /// # Errors
    /// Inability.
    pub async fn finish(mut self, digest: &Digest) -> Result<BlobTaken, Error> {
        let Some(staging) = self.staging.take() else { return Err(Error::stopping()) };
        self.gather.book(&self.registry, staging.finish(), digest.clone(), Adopted::Copied).await
    }
}

fn by_import() -> Actor {
    Actor { name: IMPORT.to_owned(), address: None }
}

#[cfg(test)]
mod tests;
