//! One repository of a distribution tree, looked at from its tags; never another one.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;
use mcr_oci::{Descriptor, Digest, Finding, FindingKind};
use mcr_verifier::{Memory, Options, Report, Root, walk_all};

use super::links::{Link, Table};
use super::source::{REACHED, Repository};
use super::{Shared, layers, tags, uploads};
use crate::io::{Answer, Directory, Listing};
use crate::judge::{self, Knows, Place};
use crate::key::{ALGORITHMS, Key, digest_of, table};
use crate::pool;
use crate::report::{Information, Scanned};

/// Roots that are walked together and forgotten together.
const TOGETHER: usize = 32;

/// Broken roots that are looked at a second time, because the tree may have changed while it was looked at.
const AGAIN_MAX: usize = 1_000;

/// What one repository turned out to be.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) findings: Vec<Finding>,
    pub(crate) scanned: Scanned,
    pub(crate) information: Information,
    /// Indexes that lack children.
    pub(crate) lacking: u64,
}

/// A manifest and the tags that lead to it.
struct Tagged<'a> {
    digest: &'a Digest,
    tags: &'a [(Digest, String)],
}

/// Looks at the repository `name`, at `at`, on `jobs` threads.
pub(crate) fn scan(shared: &Shared<'_>, name: &str, at: &Directory, jobs: usize) -> Outcome {
    let mut listing = Listing::new();
    let layers = layers::list(shared, at, jobs);
    let tags = tags::list(shared, at, &mut listing);
    let mut repository = Repository {
        shared,
        layers: layers.links,
        revisions: super::source::Links::default(),
        damaged: Mutex::new(HashSet::new()),
        marks: true,
        marked: AtomicU64::new(0),
    };
    let mut outcome = Outcome { findings: layers.findings, ..Outcome::default() };
    outcome.findings.extend(tags.findings);
    outcome.scanned =
        Scanned { repositories: 1, tags: tags.count, links: layers.count + tags.count, ..Scanned::default() };
    outcome.information.temporary_files = layers.temporary + tags.temporary;
    list_revisions(&mut repository, at, &mut listing, &mut outcome);

    let walked = Mutex::new(outcome);
    let roots = roots(&tags.tagged);
    let parts: Vec<Range<usize>> =
        (0..roots.len()).step_by(TOGETHER).map(|start| start..(start + TOGETHER).min(roots.len())).collect();
    let broken = Mutex::new(Vec::new());
    pool::each(
        jobs,
        &parts,
        || (),
        |(), part| {
            let digests: Vec<&Digest> =
                roots.get(part.clone()).unwrap_or_default().iter().map(|tagged| tagged.digest).collect();
            for (number, report) in part.clone().zip(repository.walk(&digests)) {
                repository.take(number, report, &walked, &broken);
            }
        },
    );
    let mut outcome = walked.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.scanned.manifests = repository.marked.load(Ordering::Relaxed).saturating_sub(outcome.scanned.indexes);
    let mut broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    broken.sort_by_key(|(number, _)| *number);
    for (count, (number, findings)) in broken.into_iter().enumerate() {
        if let Some(tagged) = roots.get(number) {
            let again = count < AGAIN_MAX;
            repository.settle(at, tagged, findings, again, &mut outcome);
        }
    }
    for tag in &tags.dangling {
        repository.dangling_again(at, tag, &mut outcome);
    }
    repository.marks = false;
    repository.untagged(at, jobs, &mut outcome);
    uploads::count(shared, at, &mut listing, &mut outcome.information);
    for finding in &mut outcome.findings {
        finding.repository = Some(name.to_owned());
    }
    outcome
}

/// The distinct manifests that tags lead to; `tagged` is sorted by them.
fn roots(tagged: &[(Digest, String)]) -> Vec<Tagged<'_>> {
    let groups = tagged.chunk_by(|one, two| one.0 == two.0);
    groups.filter_map(|tags| tags.first().map(|(digest, _)| Tagged { digest, tags })).collect()
}

fn list_revisions(repository: &mut Repository<'_>, at: &Directory, listing: &mut Listing, outcome: &mut Outcome) {
    let shared = repository.shared;
    let (directories, unreachable) = Repository::link_directories(shared, at, "_manifests/revisions");
    outcome.findings.extend(unreachable.iter().map(|why| layers::unlisted(at, why)));
    for algorithm in ALGORITHMS {
        let name = format!("_manifests/revisions/{algorithm}");
        if !matches!(directories.get(table(algorithm)), Some(Answer::There(_))) {
            continue;
        }
        let mut known = Vec::new();
        let listed =
            listing.each(shared.tree, at, name.as_bytes(), |_, entry| match Key::of_hex(entry.name, algorithm) {
                Some(key) => known.push((key, 0)),
                None => outcome.information.temporary_files += 1,
            });
        if !matches!(listed, Answer::There(_) | Answer::Absent) {
            outcome.findings.push(layers::unlisted(at, &format!("{name}: {}", listed.reason())));
        }
        outcome.scanned.links += known.len() as u64;
        if let Some(place) = repository.revisions.tables.get_mut(table(algorithm)) {
            *place = Table::new(known);
        }
    }
    repository.revisions.directories = directories;
}

/// A root that was found broken, and how.
type Broken = (usize, Vec<Finding>);

impl Repository<'_> {
    /// Walks these closures together; what they share is looked at once.
    fn walk(&self, digests: &[&Digest]) -> Vec<Report> {
        let named = |digest: &&Digest| Root::Named(Box::new(Descriptor::new("", (*digest).clone(), 0)));
        let roots: Vec<Root> = digests.iter().map(named).collect();
        let options = Options { jobs: 1, ..Options::default() };
        // Files answer at once: nothing in this walk ever waits.
        let done = walk_all(&roots, self, &options, &mut Memory::default()).now_or_never();
        let reports = match done {
            Some(Ok(reports)) => reports,
            Some(Err(never)) => match never {},
            None => Vec::new(),
        };
        for skipped in reports.iter().flat_map(|report| &report.skipped) {
            self.shared.store.name(&skipped.descriptor.digest);
        }
        reports
    }

    fn take(&self, number: usize, report: Report, outcome: &Mutex<Outcome>, broken: &Mutex<Vec<Broken>>) {
        let indexes = report.checked.indexes;
        let lacking = judge::lacking_indexes(&report);
        let findings = judge::findings(report, self.shared.kind, self);
        if let Ok(mut outcome) = outcome.lock() {
            outcome.scanned.indexes += indexes;
            outcome.lacking += lacking;
        }
        if !findings.is_empty()
            && let Ok(mut broken) = broken.lock()
        {
            broken.push((number, findings));
        }
    }

    /// What looked broken is looked at once more, as it is now: tags move, and files come and go.
    fn settle(&self, at: &Directory, tagged: &Tagged<'_>, first: Vec<Finding>, again: bool, outcome: &mut Outcome) {
        let mut known = if again { None } else { Some(first) };
        for (_, tag) in tagged.tags {
            let findings = match again.then(|| tags::now(self.shared, at, tag.as_bytes())) {
                Some(None) => continue,
                Some(Some(Link::To(moved))) if moved != *tagged.digest => self.broken(&moved),
                Some(Some(link)) if !matches!(link, Link::To(_)) => {
                    tags::dangling(tag.as_bytes(), &link, self.shared.kind).into_iter().collect()
                }
                Some(Some(_)) | None => known.get_or_insert_with(|| self.broken(tagged.digest)).clone(),
            };
            let place = Place { repository: None, tag: Some(tag) };
            outcome.findings.extend(findings.iter().map(|finding| judge::at(finding, place)));
        }
    }

    fn dangling_again(&self, at: &Directory, tag: &[u8], outcome: &mut Outcome) {
        let Some(link) = tags::now(self.shared, at, tag) else { return };
        if let Some(finding) = tags::dangling(tag, &link, self.shared.kind) {
            outcome.findings.push(finding);
        } else if let Link::To(digest) = &link {
            let tag = String::from_utf8_lossy(tag).into_owned();
            let place = Place { repository: None, tag: Some(&tag) };
            outcome.findings.extend(self.broken(digest).iter().map(|finding| judge::at(finding, place)));
        }
    }

    /// What is wrong with one closure.
    fn broken(&self, digest: &Digest) -> Vec<Finding> {
        let reports = self.walk(&[digest]);
        reports.into_iter().flat_map(|report| judge::findings(report, self.shared.kind, self)).collect()
    }

    /// Counts the manifests that no tag reaches, and looks at what they name.
    fn untagged(&self, at: &Directory, jobs: usize, outcome: &mut Outcome) {
        let workers: Vec<usize> = (0..jobs.max(1)).collect();
        let sum = Mutex::new((0_u64, 0_u64));
        for algorithm in ALGORITHMS {
            let name = format!("_manifests/revisions/{algorithm}");
            pool::each(jobs, &workers, Listing::new, |listing, worker| {
                let (mut untagged, mut damaged) = (0, 0);
                // Whether it could be listed was told before.
                let _ = listing.each(self.shared.tree, at, name.as_bytes(), |directory, entry| {
                    let key = Key::of_hex(entry.name, algorithm);
                    let reached = |key| self.revisions.tables.get(table(algorithm))?.state(key);
                    let untouched = key.is_some_and(|key| reached(key).is_none_or(|state| state & REACHED == 0));
                    if !untouched || crate::share(entry.name, workers.len()) != *worker {
                        return;
                    }
                    let link = super::links::read(self.shared.tree, directory, &[entry.name, b"/link"].concat());
                    if let (Some(digest), false) = (digest_of(entry.name, algorithm), link == Link::Absent) {
                        untagged += 1;
                        damaged += u64::from(!self.broken(&digest).is_empty());
                    }
                });
                if let Ok(mut sum) = sum.lock() {
                    *sum = (sum.0 + untagged, sum.1 + damaged);
                }
            });
        }
        let (untagged, damaged) = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcome.information.untagged_manifests = untagged;
        outcome.information.untagged_damaged = damaged;
    }
}

impl Knows for Repository<'_> {
    fn stored_size(&self, digest: &Digest) -> Option<u64> {
        Repository::stored_size(self, digest)
    }

    fn is_damaged(&self, digest: &Digest) -> bool {
        Repository::is_damaged(self, digest)
    }
}

/// A finding that says only that a whole repository could not be looked at.
pub(crate) fn unreachable(name: &str, why: &str) -> Finding {
    Finding {
        repository: Some(name.to_owned()),
        detail: Some(why.to_owned()),
        ..Finding::new(FindingKind::Unreachable)
    }
}
