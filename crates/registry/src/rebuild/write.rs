//! From what the journal told to rows: blobs that are there booked, manifests whose edges all lead somewhere written,
//! tags pointed at those; and what the others lack. Never a damaged line.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::FutureExt as _;
use mcr_metadata::{JournalManifest, JournalTag};
use mcr_oci::{Descriptor, Digest, Edge, EdgeTarget, Finding, FindingKind, Manifest, RepositoryName, Tag};
use mcr_verifier::{Absence, Look, Options, Problem, Root, Source, StoredBlob, StoredManifest};

use super::{Making, RebuildError, RebuildNews, RebuildReport, Tell, poisoned};
use crate::integrity::recorded;

/// Tags of one page.
const TAGS: usize = 500;
/// Findings that are told of one tag.
const FINDINGS: usize = 20;

impl Making {
    /// Writes everything that is whole; tells what is not.
    pub(super) fn write(&self, report: &mut RebuildReport, tell: Tell<'_>) -> Result<(), RebuildError> {
        let files = Files { making: self, corrupt: Mutex::default() };
        let mut last = String::new();
        while let Some(next) = self.next_repository(&last)? {
            last = next;
            let Ok(name) = RepositoryName::parse(&last) else {
                tell(RebuildNews::Journal(format!("{last:?} is no repository's name and was left out")));
                report.damaged_lines += 1;
                continue;
            };
            let written = files.manifests(&name, report)?;
            let tags = self.tags(&name, &files, report, tell)?;
            report.repositories += u64::from(written + tags > 0);
        }
        Ok(())
    }

    fn next_repository(&self, last: &str) -> Result<Option<String>, RebuildError> {
        Ok(self.database()?.repository(last)?)
    }

    fn tags(
        &self,
        name: &RepositoryName,
        files: &Files<'_>,
        report: &mut RebuildReport,
        tell: Tell<'_>,
    ) -> Result<u64, RebuildError> {
        let (mut last, mut pointed) = (String::new(), 0);
        loop {
            let page = self.database()?.tags(name.as_str(), &last, TAGS)?;
            let Some(end) = page.last() else { break };
            last.clone_from(&end.tag);
            for tag in &page {
                if Tag::parse(&tag.tag).is_err() {
                    tell(RebuildNews::Journal(format!("{:?} in {name} is no tag's name and was left out", tag.tag)));
                    report.damaged_lines += 1;
                    continue;
                }
                if self.database()?.point(name, tag)? {
                    pointed += 1;
                    continue;
                }
                report.left_out += 1;
                let findings = files.lacks(name, tag)?;
                let (repository, name, digest) = (name.as_str(), tag.tag.as_str(), &tag.digest);
                tell(RebuildNews::LeftOut { repository, tag: name, digest, findings: &findings });
            }
            self.database()?.batch()?;
        }
        report.tags += pointed;
        Ok(pointed)
    }
}

/// The blobs' files, each hashed at most once.
struct Files<'a> {
    making: &'a Making,
    /// Blobs whose bytes do not hash to their digest; few.
    corrupt: Mutex<HashSet<Digest>>,
}

impl Files<'_> {
    /// Writes the manifests of a repository until no more of them are whole; says how many.
    fn manifests(&self, name: &RepositoryName, report: &mut RebuildReport) -> Result<u64, RebuildError> {
        let (mut written, mut left);
        let mut total = 0;
        // An index waits for its children: a round more for each level of nesting, and each round writes at least one.
        loop {
            (written, left) = (0, 0);
            let mut last = String::new();
            loop {
                let page = self.making.database()?.unwritten(name.as_str(), &last)?;
                let Some(end) = page.last() else { break };
                end.digest.as_str().clone_into(&mut last);
                for manifest in page {
                    if self.manifest(name, manifest, report)? { written += 1 } else { left += 1 }
                }
                self.making.database()?.batch()?;
            }
            total += written;
            if written == 0 || left == 0 {
                break;
            }
        }
        report.manifests += total;
        report.manifests_left_out += left;
        Ok(total)
    }

    fn manifest(
        &self,
        name: &RepositoryName,
        told: JournalManifest,
        report: &mut RebuildReport,
    ) -> Result<bool, RebuildError> {
        if Digest::of(told.digest.algorithm(), &told.bytes) != told.digest {
            return Ok(false);
        }
        let Ok(manifest) = Manifest::parse(&told.bytes, Some(&told.media_type)) else { return Ok(false) };
        for edge in manifest.edges.iter().filter(|edge| edge.target() != EdgeTarget::Manifest) {
            self.book(name, edge, report)?;
        }
        Ok(self.making.database()?.write(name, told, &Arc::new(manifest), self.making.now_ms)?)
    }

    /// Books the blob behind an edge, if its file is there and of the right length.
    fn book(&self, name: &RepositoryName, edge: &Edge, report: &mut RebuildReport) -> Result<(), RebuildError> {
        let (digest, now) = (&edge.descriptor.digest, self.making.now_ms);
        if !self.making.database()?.books(digest)? {
            let Some(stat) = self.making.store.stat(digest)? else { return Ok(()) };
            if stat.size != edge.descriptor.size {
                return Ok(());
            }
            let (stat, hashed_at) = if self.making.deep {
                if self.is_corrupt(digest)? {
                    return Ok(());
                }
                (self.making.store.stat(digest)?.unwrap_or(stat), now)
            } else {
                (stat, 0)
            };
            self.making.database()?.book(digest, &recorded(stat), hashed_at, now)?;
            report.blobs += 1;
            report.bytes += stat.size;
        }
        Ok(self.making.database()?.link(name, digest, now)?)
    }

    fn corrupt(&self) -> Result<MutexGuard<'_, HashSet<Digest>>, RebuildError> {
        self.corrupt.lock().map_err(|_| poisoned())
    }

    /// Whether a blob's bytes are not those of its digest. Hashes it, unless that is known.
    fn is_corrupt(&self, digest: &Digest) -> Result<bool, RebuildError> {
        if self.corrupt()?.contains(digest) {
            return Ok(true);
        }
        let is_corrupt = self.making.store.hash(digest)?.is_none_or(|hashed| hashed.digest != *digest);
        if is_corrupt {
            self.corrupt()?.insert(digest.clone());
        }
        Ok(is_corrupt)
    }

    /// What the closure of a tag lacks.
    fn lacks(&self, name: &RepositoryName, tag: &JournalTag) -> Result<Vec<Finding>, RebuildError> {
        let dangling = |detail: &str| {
            let mut finding = Finding::new(FindingKind::ManifestMissing);
            finding.digest = Some(tag.digest.clone());
            finding.detail = Some(detail.to_owned());
            vec![finding]
        };
        let Some(root) = self.making.database()?.manifest(name.as_str(), &tag.digest)? else {
            return Ok(dangling("the journal does not hold the manifest"));
        };
        let absence = if root.sparse { Absence::OfChildrenAllowed } else { Absence::Finding };
        let named = Descriptor::new(root.media_type, root.digest, root.bytes.len() as u64);
        let source = Told { files: self, repository: name };
        let options = Options { absence, ..Options::default() };
        // Files and rows answer at once: nothing pends.
        let walked = mcr_verifier::walk(&Root::Named(Box::new(named)), &source, &options).now_or_never();
        let Some(walked) = walked else { return Err(RebuildError::Internal("a walk over files waited".to_owned())) };
        let findings: Vec<Finding> =
            walked?.findings.into_iter().take(FINDINGS).map(|located| located.finding).collect();
        // What rows refuse and the walk takes should not be; that it was left out is told all the same.
        Ok(if findings.is_empty() { dangling("its closure could not be written") } else { findings })
    }
}

/// A repository as the journal told it, over the files.
struct Told<'a> {
    files: &'a Files<'a>,
    repository: &'a RepositoryName,
}

impl Source for Told<'_> {
    type Error = RebuildError;

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Look<StoredManifest>, RebuildError> {
        let told = self.files.making.database()?.manifest(self.repository.as_str(), &descriptor.digest)?;
        Ok(told.map_or_else(
            || Look::Broken(Problem::bare(FindingKind::ManifestMissing)),
            |told| Look::Whole(StoredManifest { media_type: Some(told.media_type), bytes: told.bytes.into() }),
        ))
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, RebuildError> {
        let Some(stat) = self.files.making.store.stat(&descriptor.digest)? else {
            return Ok(Look::Broken(Problem::bare(FindingKind::BlobMissing)));
        };
        if stat.size == descriptor.size && self.files.making.deep && self.files.is_corrupt(&descriptor.digest)? {
            return Ok(Look::Broken(Problem::new(FindingKind::BlobCorrupt, "its bytes hash to another digest")));
        }
        if stat.size < descriptor.size {
            let detail = format!("{} of {} bytes are there", stat.size, descriptor.size);
            return Ok(Look::Broken(Problem::new(FindingKind::BlobTruncated, detail)));
        }
        Ok(Look::Whole(StoredBlob { size: stat.size }))
    }
}
