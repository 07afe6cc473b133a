//! What clients do, as steps: each is one call of the rows or files, in the order in which the use cases make them.

use std::sync::Arc;

use mcr_metadata::{
    BlobRow, CommitManifest, CommitOutcome, Content, DeleteManifest, DeleteTag, Lookup, MountBlob, RecordBlob,
    RenewLease,
};
use mcr_oci::{Digest, Manifest, Reference, Tag, media_type};
use serde_json::json;
use tokio::sync::OwnedMutexGuard;

use super::{BLOBS, LEASE, Machine, Progress, World, blob, repository};
use crate::integrity::{Compared, compare, recorded};
use crate::manifest_read::PROMISE_AHEAD_MS;
use crate::plans::system;

/// `upload.rs`: lock, file, row, answer.
pub(super) struct Push {
    at: usize,
    blob: usize,
    lock: Option<OwnedMutexGuard<()>>,
    stored: Option<mcr_blobs::Committed>,
}

impl Push {
    pub(super) fn new(at: usize, blob: usize) -> Self {
        Self { at, blob, lock: None, stored: None }
    }
}

impl Machine for Push {
    fn step(&mut self, world: &mut World) -> Result<Progress, String> {
        if self.lock.is_none() {
            self.lock = world.locks().try_lock(&blob(self.blob));
            return Ok(if self.lock.is_some() { Progress::Going } else { Progress::Blocked });
        }
        let Some(stored) = &self.stored else {
            let stored = world.bed.registry.parts.blobs.put_bytes(BLOBS[self.blob], &blob(self.blob));
            self.stored = Some(stored.unwrap());
            return Ok(Progress::Going);
        };
        let at_ms = world.now();
        let write = RecordBlob {
            repository: repository(self.at),
            digest: stored.digest.clone(),
            size: stored.size,
            stat: recorded(stored.stat),
            hashed_at_ms: at_ms,
            actor: system(),
            at_ms,
        };
        world.write(|m, done| m.record_blob(write, done));
        world.promises.insert((self.at, self.blob), at_ms);
        Ok(Progress::Over)
    }
}

/// `blob_read.rs`, `promised_blob`: row, file, where they differ another look under the lock, lease, answer.
pub(super) struct Head {
    at: usize,
    blob: usize,
    row: Option<(BlobRow, i64)>,
    looked: bool,
    distrusted: bool,
}

impl Head {
    pub(super) fn new(at: usize, blob: usize) -> Self {
        Self { at, blob, row: None, looked: false, distrusted: false }
    }

    /// One step; the time of the promise once there is one, and none where the answer is 404.
    fn promise(&mut self, world: &World) -> Result<(Progress, Option<i64>), String> {
        let digest = blob(self.blob);
        let Some((row, read_at)) = &self.row else {
            let found = world.metadata().blob(&repository(self.at), &digest).unwrap();
            let Lookup::Found(row) = found else { return Ok((Progress::Over, None)) };
            self.row = Some((row, world.now()));
            return Ok((Progress::Going, None));
        };
        if self.distrusted {
            match settled(world, &digest)? {
                None => return Ok((Progress::Blocked, None)),
                Some(false) => return Ok((Progress::Over, None)),
                Some(true) => (self.distrusted, self.looked) = (false, true),
            }
            return Ok((Progress::Going, None));
        }
        if !self.looked {
            let compared = compare(row, world.bed.registry.parts.blobs.stat(&digest).unwrap());
            (self.looked, self.distrusted) = (true, compared != Compared::Same);
            return Ok((Progress::Going, None));
        }
        if row.referenced {
            return Ok((Progress::Over, Some(*read_at)));
        }
        let now = world.now();
        let lease = RenewLease {
            repository: repository(self.at),
            digest,
            content: Content::Blob,
            until_ms: now + PROMISE_AHEAD_MS,
        };
        let kept = world.write(|m, done| m.renew_lease(lease, done));
        Ok((Progress::Over, kept.then_some(now)))
    }
}

impl Machine for Head {
    fn step(&mut self, world: &mut World) -> Result<Progress, String> {
        let (progress, promised) = self.promise(world)?;
        if let Some(at_ms) = promised {
            let promise = world.promises.entry((self.at, self.blob)).or_insert(at_ms);
            *promise = at_ms.max(*promise);
        }
        Ok(progress)
    }
}

/// `integrity.rs`, `settle`: under the lock, whether the blob is known and whole; none where the lock is taken.
fn settled(world: &World, digest: &Digest) -> Result<Option<bool>, String> {
    let Some(_lock) = world.locks().try_lock(digest) else { return Ok(None) };
    match (world.metadata().blob_anywhere(digest).unwrap(), world.has_file(digest)) {
        (None, _) => Ok(Some(false)),
        (Some(_), true) => Ok(Some(true)),
        (Some(_), false) => Err(format!("the row of {digest} is there, and nobody is at its file, which is not")),
    }
}

/// `mount.rs`: a promise at home, then the link.
pub(super) struct Mount {
    home: Head,
    promised: bool,
    to: usize,
}

impl Mount {
    pub(super) fn new(from: usize, to: usize, blob: usize) -> Self {
        Self { home: Head::new(from, blob), promised: false, to }
    }
}

impl Machine for Mount {
    fn step(&mut self, world: &mut World) -> Result<Progress, String> {
        if !self.promised {
            let (progress, promised) = self.home.promise(world)?;
            self.promised = promised.is_some();
            return Ok(if self.promised { Progress::Going } else { progress });
        }
        let at_ms = world.now();
        let write = MountBlob {
            from: Some(repository(self.home.at)),
            to: repository(self.to),
            digest: blob(self.home.blob),
            actor: system(),
            at_ms,
        };
        if world.write(|m, done| m.mount_blob(write, done)) {
            world.promises.insert((self.to, self.home.blob), at_ms);
        }
        Ok(Progress::Over)
    }
}

/// `push.rs`: a walk over rows and files, then the commit, which looks again.
pub(super) struct Commit {
    at: usize,
    blobs: [usize; 2],
    tag: String,
    /// Blobs that the walk has found whole.
    walked: usize,
    row: bool,
}

impl Commit {
    pub(super) fn new(at: usize, blobs: [usize; 2], tag: String) -> Self {
        Self { at, blobs, tag, walked: 0, row: false }
    }

    /// A refusal is right unless every blob was promised, here and lately.
    fn refused(&self, world: &World) -> Result<Progress, String> {
        let since = world.now() - LEASE;
        let promised = |blob: &usize| world.promises.get(&(self.at, *blob)).is_some_and(|at| *at >= since);
        if self.blobs.iter().all(promised) {
            return Err("a push was refused although each of its blobs was promised within the lease".to_owned());
        }
        Ok(Progress::Over)
    }
}

impl Machine for Commit {
    fn step(&mut self, world: &mut World) -> Result<Progress, String> {
        if let Some(named) = self.blobs.get(self.walked).map(|at| blob(*at)) {
            if !self.row {
                self.row = world.has_row(self.at, &named);
                return if self.row { Ok(Progress::Going) } else { self.refused(world) };
            }
            if !world.has_file(&named) {
                match settled(world, &named)? {
                    None => return Ok(Progress::Blocked),
                    Some(false) => return self.refused(world),
                    Some(true) => {}
                }
            }
            (self.walked, self.row) = (self.walked + 1, false);
            return Ok(Progress::Going);
        }
        let (manifest, bytes) = image(self.blobs);
        let digest = Digest::sha256(&bytes);
        let write = CommitManifest {
            repository: repository(self.at),
            reference_digest: digest.clone(),
            manifest: Arc::new(manifest),
            bytes: bytes.into(),
            tags: vec![Tag::parse(&self.tag).unwrap()],
            allow_missing_children: false,
            immutable: None,
            actor: system(),
            at_ms: world.now(),
        };
        match world.write(|m, done| m.commit_manifest(write, done)) {
            CommitOutcome::Committed { .. } => {
                world.manifests.insert((self.at, digest), self.blobs);
                Ok(Progress::Over)
            }
            CommitOutcome::ClosureChanged => {
                (self.walked, self.row) = (0, false);
                Ok(Progress::Going)
            }
            other => Err(format!("{other:?}")),
        }
    }
}

fn image(blobs: [usize; 2]) -> (Manifest, Vec<u8>) {
    let descriptor =
        |at: usize, kind: &str| json!({ "mediaType": kind, "digest": blob(at).as_str(), "size": BLOBS[at].len() });
    let bytes = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor(blobs[0], "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(blobs[1], "application/octet-stream")],
    });
    let bytes = bytes.to_string().into_bytes();
    (Manifest::parse(&bytes, Some(media_type::OCI_MANIFEST)).unwrap(), bytes)
}

/// Deletes what a tag points at, or the tag and then every manifest without one.
pub(super) struct Delete {
    at: usize,
    tag: String,
    with_manifest: bool,
}

impl Delete {
    pub(super) fn new(at: usize, tag: String, with_manifest: bool) -> Self {
        Self { at, tag, with_manifest }
    }
}

impl Machine for Delete {
    fn step(&mut self, world: &mut World) -> Result<Progress, String> {
        let (name, tag) = (repository(self.at), Tag::parse(&self.tag).unwrap());
        let found = world.metadata().manifest(&name, &Reference::Tag(tag.clone())).unwrap();
        let Lookup::Found(manifest) = found else { return Ok(Progress::Over) };
        let at_ms = world.now();
        if self.with_manifest {
            let write =
                DeleteManifest { repository: name, digest: manifest.digest, immutable: None, actor: system(), at_ms };
            world.write(|m, done| m.delete_manifest(write, done));
        } else {
            let write = DeleteTag { repository: name, tag, immutable: None, actor: system(), at_ms };
            world.write(|m, done| m.delete_tag(write, done));
        }
        Ok(Progress::Over)
    }
}
