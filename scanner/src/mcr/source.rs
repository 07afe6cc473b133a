//! One repository of our own layout, from its tags over rows to files; never another one.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use mcr_metadata::{Error, ReadOnly};
use mcr_oci::{Descriptor, Digest, Finding, FindingKind};
use mcr_verifier::{Look, Options, Problem, Report, Root, Source, StoredBlob, StoredManifest, walk};

use super::{Shared, unreachable_because};
use crate::io::{Answer, FileStat};
use crate::judge::{self, Knows, Place};
use crate::key::Key;

/// One repository and the connection it is read through.
pub(super) struct Repository<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) reader: &'a Mutex<ReadOnly>,
    pub(super) id: i64,
    pub(super) name: &'a str,
    /// Indexes that tags reached so far.
    pub(super) indexes: AtomicU64,
}

impl Repository<'_> {
    /// Looks at every tag, and counts what no tag reaches.
    pub(super) fn scan(&self) {
        let mut reached = HashSet::new();
        if let Err(error) = self.tags(&mut reached).and_then(|()| self.untagged(&mut reached)) {
            self.shared.push(self.name, &unreachable_because(&format!("its rows cannot be read: {error}")));
        }
        self.shared.with_sum(|sum| {
            sum.scanned.repositories += 1;
            sum.scanned.manifests += (reached.len() as u64).saturating_sub(self.indexes.load(Ordering::Relaxed));
        });
    }

    fn tags(&self, reached: &mut HashSet<(usize, Key)>) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let page = self.ask(|reader| reader.tags(self.id, &after))?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for (tag, digest) in page {
                self.tag(&tag, &digest, reached)?;
            }
        }
    }

    fn tag(&self, tag: &str, digest: &Digest, reached: &mut HashSet<(usize, Key)>) -> Result<(), Error> {
        self.shared.with_sum(|sum| sum.scanned.tags += 1);
        let mut findings = self.closure(digest, Some(reached))?;
        if !findings.is_empty() {
            // The registry goes on while it is looked at: what looks broken is looked at again, as it is now.
            let Some(now) = self.ask(|reader| reader.tag(self.id, tag))? else { return Ok(()) };
            findings = self.closure(&now, Some(reached))?;
        }
        for finding in findings {
            self.shared.push(self.name, &judge::at(&finding, Place { repository: None, tag: Some(tag) }));
        }
        Ok(())
    }

    fn untagged(&self, reached: &mut HashSet<(usize, Key)>) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let page = self.ask(|reader| reader.manifests(self.id, &after))?;
            let Some(last) = page.last() else { return Ok(()) };
            last.as_str().clone_into(&mut after);
            for digest in page.iter().filter(|digest| !reached.contains(&Key::of(digest))) {
                let damaged = !self.closure(digest, None)?.is_empty();
                self.shared.with_sum(|sum| {
                    sum.information.untagged_manifests += 1;
                    sum.information.untagged_damaged += u64::from(damaged);
                });
            }
        }
    }

    /// What is wrong with one closure; `reached` gets its manifests, and it is counted, where a tag leads to it.
    fn closure(&self, digest: &Digest, reached: Option<&mut HashSet<(usize, Key)>>) -> Result<Vec<Finding>, Error> {
        let root = Root::Named(Box::new(Descriptor::new("", digest.clone(), 0)));
        let place = Looking { repository: self, manifests: Mutex::new(Vec::new()) };
        // Rows and files answer at once: nothing in this walk ever waits.
        let walked = walk(&root, &place, &Options { jobs: 1, ..Options::default() }).now_or_never();
        let report = match walked {
            Some(report) => report?,
            None => return Err(Error::Closed),
        };
        for skipped in &report.skipped {
            self.shared.name(&skipped.descriptor.digest);
        }
        if let Some(reached) = reached {
            let manifests = place.manifests.into_inner().unwrap_or_else(PoisonError::into_inner);
            if reached.insert(Key::of(digest)) {
                self.count(&report);
            }
            reached.extend(manifests);
        }
        let mut findings = Vec::new();
        for finding in judge::findings(report, self.shared.judged.kind, self) {
            let may_lack = match (&finding.digest, finding.path.last()) {
                (Some(child), Some(parent)) if judge::is_absence(finding.kind) => {
                    self.ask(|reader| reader.may_lack(self.id, parent, child))?
                }
                _ => false,
            };
            if !may_lack {
                findings.push(finding);
            }
        }
        Ok(findings)
    }

    fn count(&self, report: &Report) {
        let lacking = judge::lacking_indexes(report);
        let checked = &report.checked;
        self.shared.with_sum(|sum| {
            sum.scanned.indexes += checked.indexes;
            self.indexes.fetch_add(checked.indexes, Ordering::Relaxed);
            sum.scanned.links += checked.manifests + checked.indexes + checked.configs + checked.layers;
            sum.lacking += lacking;
        });
    }

    fn ask<T>(&self, question: impl FnOnce(&ReadOnly) -> Result<T, Error>) -> Result<T, Error> {
        question(&self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn file(&self, digest: &Digest) -> Answer<FileStat> {
        let hex = digest.hex();
        let path = format!("{}/{}/{hex}", digest.algorithm(), hex.get(..2).unwrap_or_default());
        self.shared.layers.stat(self.shared.layers.root(), path.as_bytes())
    }

    fn look_manifest(&self, digest: &Digest) -> Result<Look<StoredManifest>, Error> {
        self.shared.name(digest);
        let stored = self.ask(|reader| reader.manifest(self.id, digest))?;
        Ok(match stored {
            None => Look::Broken(Problem::new(FindingKind::ManifestMissing, "bytes gone")),
            Some(stored) if stored.deleted => Look::Broken(Problem::new(
                FindingKind::ManifestUnlinked,
                "bytes present; its row says that it was deleted",
            )),
            Some(stored) => {
                Look::Whole(StoredManifest { media_type: Some(stored.media_type), bytes: Arc::from(stored.bytes) })
            }
        })
    }

    fn look_blob(&self, digest: &Digest) -> Result<Look<StoredBlob>, Error> {
        self.shared.name(digest);
        let row = self.ask(|reader| reader.blob(self.id, digest))?.unwrap_or_default();
        let file = self.file(digest);
        if let (Some(computed), true, Answer::There(_)) = (self.shared.corrupt.get(digest), row.linked, &file) {
            let detail = format!("its bytes hash to {computed}");
            return Ok(Look::Broken(Problem::new(FindingKind::BlobCorrupt, detail)));
        }
        let problem = match file {
            Answer::There(stat) if row.linked && !row.unsound => {
                return Ok(Look::Whole(StoredBlob { size: stat.size }));
            }
            Answer::There(_) if row.linked => Problem::new(
                FindingKind::BlobMissing,
                "bytes present; its row says that they were set aside as damaged",
            ),
            Answer::There(_) => Problem::new(FindingKind::BlobUnlinked, "bytes present"),
            Answer::Absent if row.unsound => Problem::new(FindingKind::BlobMissing, "bytes gone, as its row says"),
            Answer::Absent => Problem::new(FindingKind::BlobMissing, "bytes gone"),
            Answer::Odd(what) => Problem::new(FindingKind::BlobMissing, format!("bytes gone: {what}")),
            answer @ (Answer::Failed(_) | Answer::Outside) => {
                let detail = format!("its bytes cannot be looked at: {}", answer.reason());
                Problem::new(FindingKind::Unreachable, detail)
            }
        };
        Ok(Look::Broken(problem))
    }
}

impl Knows for Repository<'_> {
    fn stored_size(&self, digest: &Digest) -> Option<u64> {
        self.file(digest).there().map(|stat| stat.size)
    }

    fn is_damaged(&self, _digest: &Digest) -> bool {
        false
    }
}

/// One walk, and the manifests it reached.
struct Looking<'a> {
    repository: &'a Repository<'a>,
    manifests: Mutex<Vec<(usize, Key)>>,
}

impl Source for Looking<'_> {
    type Error = Error;

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Look<StoredManifest>, Error> {
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner).push(Key::of(&descriptor.digest));
        self.repository.look_manifest(&descriptor.digest)
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, Error> {
        self.repository.look_blob(&descriptor.digest)
    }
}
