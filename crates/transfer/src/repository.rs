//! One repository of a run: which tags go, what they are made of, in which order; never how bytes are moved.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::stream::{self, StreamExt as _};
use mcr_oci::{Digest, Finding, RepositoryName};
use mcr_verifier::Problem;

use crate::options::Times;
use crate::origin::{Blob, Closure, Loose, Origin, Place, TagAt, Trouble};
use crate::report::{BrokenTag, LeftTag, MovedTag};
use crate::run::Run;
use crate::sink::{Image, ImageTag, Landed, Sink, TagHere};

/// Images whose parts are being brought ahead of the one that lands next.
const AHEAD: usize = 32;
/// Images that land together.
const TOGETHER: usize = 256;
/// Blobs of one image that wait for their places at once.
const BLOBS_AHEAD: usize = 16;
/// Rounds of referrers of referrers.
const ROUNDS_MAX: usize = 32;
/// Findings kept of one tag.
const FINDINGS_MAX: usize = 100;

/// A manifest that shall be brought, and the tags that lead to it.
struct Root {
    digest: Digest,
    /// The oldest first, by what the origin says; none for one without a tag.
    tags: Vec<TagAt>,
}

/// What preparing a root came to.
enum Prepared {
    /// It is here already, with these manifests.
    Unchanged(Vec<Digest>),
    /// All its blobs are here.
    Whole(Image),
    /// It was left out, and the report says why.
    LeftOut,
}

/// What a repository holds of the origin so far, by this run or an earlier one.
#[derive(Default)]
struct Have {
    digests: HashSet<Digest>,
    fresh: Vec<Digest>,
}

impl Have {
    fn add(&mut self, digests: impl IntoIterator<Item = Digest>) {
        for digest in digests {
            if self.digests.insert(digest.clone()) {
                self.fresh.push(digest);
            }
        }
    }
}

impl<O: Origin, S: Sink> Run<'_, O, S> {
    pub(crate) async fn repository(&self, place: &Place) -> Result<(), Trouble> {
        let here = self.sink.tags(&place.here).await?;
        let listed = self.origin.tags(place).await?;
        let count = (listed.tags.len() + listed.findings.len()) as u64;
        self.watch.tags(count);
        let mut named: HashSet<String> = listed.tags.iter().map(|tag| tag.tag.to_string()).collect();
        for finding in listed.findings {
            named.extend(finding.tag.clone());
            self.watch.tags_done(1);
            self.without_digest(place, finding);
        }
        {
            let mut report = self.report();
            report.counts.repositories += 1;
            report.counts.tags += listed.tags.len() as u64;
        }
        self.gone(&place.here, &here, &named);
        let roots = self.roots(&place.here, listed.tags, &here);
        let mut have = Have::default();
        self.bring_all(place, &here, roots, &mut have).await?;
        self.loose(place, &here, have).await?;
        self.watch.repository_done(place.here.as_str());
        Ok(())
    }

    /// A finding of a listing: of a tag that leads nowhere, or of the repository.
    fn without_digest(&self, place: &Place, mut finding: Finding) {
        finding.repository = Some(place.here.to_string());
        let mut report = self.report();
        let Some(tag) = finding.tag.clone() else {
            report.findings.push(finding);
            return;
        };
        report.counts.tags += 1;
        report.counts.broken += 1;
        report.broken.push(BrokenTag {
            repository: place.here.to_string(),
            tag,
            digest: None,
            findings: vec![finding],
        });
    }

    /// Tags that an earlier run brought and the origin does not list any more.
    fn gone(&self, here: &RepositoryName, tags: &BTreeMap<String, TagHere>, named: &HashSet<String>) {
        let mut report = self.report();
        for (tag, at) in tags.iter().filter(|(tag, at)| at.imported && !named.contains(*tag)) {
            report.counts.gone += 1;
            report.gone.push(LeftTag {
                repository: here.to_string(),
                tag: tag.clone(),
                here: Some(at.digest.clone()),
                there: None,
                reason: "the origin does not list it any more; delete it here if it is to go".to_owned(),
            });
        }
    }

    /// The manifests to bring, those with the oldest tag first.
    fn roots(&self, here: &RepositoryName, listed: Vec<TagAt>, tags: &BTreeMap<String, TagHere>) -> Vec<Root> {
        let mut by_digest: HashMap<Digest, Vec<TagAt>> = HashMap::new();
        for tag in listed {
            if let Some(at) = tags.get(tag.tag.as_str()).filter(|at| is_kept(at, &tag)) {
                let mut report = self.report();
                report.counts.kept += 1;
                report.kept.push(LeftTag {
                    repository: here.to_string(),
                    tag: tag.tag.to_string(),
                    here: Some(at.digest.clone()),
                    there: Some(tag.digest),
                    reason: "it was pushed here since and stays".to_owned(),
                });
                self.watch.tags_done(1);
                continue;
            }
            by_digest.entry(tag.digest.clone()).or_default().push(tag);
        }
        let mut roots: Vec<Root> = by_digest.into_iter().map(|(digest, tags)| Root { digest, tags }).collect();
        for root in &mut roots {
            root.tags.sort_by(|one, two| (one.at_ms, &one.tag).cmp(&(two.at_ms, &two.tag)));
        }
        roots.sort_by(|one, two| {
            let key = |root: &Root| root.tags.first().map(|tag| (tag.at_ms, tag.tag.clone()));
            key(one).cmp(&key(two))
        });
        roots
    }

    /// Prepares roots side by side and lands them in their order.
    async fn bring_all(
        &self,
        place: &Place,
        here: &BTreeMap<String, TagHere>,
        roots: Vec<Root>,
        have: &mut Have,
    ) -> Result<(), Trouble> {
        let prepared = stream::iter(roots).map(|root| self.prepare(place, here, root)).buffered(AHEAD);
        let mut batches = std::pin::pin!(prepared.ready_chunks(TOGETHER));
        while let Some(batch) = batches.next().await {
            let mut images = Vec::new();
            for prepared in batch {
                match prepared? {
                    Prepared::Unchanged(digests) => have.add(digests),
                    Prepared::Whole(image) => images.push(image),
                    Prepared::LeftOut => {}
                }
            }
            self.land(place, images, have).await?;
        }
        Ok(())
    }

    async fn prepare(&self, place: &Place, here: &BTreeMap<String, TagHere>, root: Root) -> Result<Prepared, Trouble> {
        let stands = |tag: &TagAt| here.get(tag.tag.as_str()).is_some_and(|at| at.digest == root.digest);
        if !root.tags.is_empty() && root.tags.iter().all(stands) && self.sink.holds(&place.here, &root.digest).await? {
            return self.unchanged(place, root).await;
        }
        let closure = self.origin.closure(place, &root.digest).await?;
        if !closure.findings.is_empty() {
            self.broken(place, &root, closure.findings);
            return Ok(Prepared::LeftOut);
        }
        if closure.absent_blobs > 0 {
            let reason = format!("{} of its configs and layers were never pulled through", closure.absent_blobs);
            self.partial(place, &root.tags, &root.digest, &reason);
            return Ok(Prepared::LeftOut);
        }
        let problems: Vec<_> = stream::iter(&closure.blobs)
            .map(|blob| async move { (blob, self.bring(place, blob).await) })
            .buffer_unordered(BLOBS_AHEAD)
            .collect()
            .await;
        let mut findings = Vec::new();
        for (blob, outcome) in problems {
            if let Some(problem) = outcome? {
                findings.push(finding(&closure, &root.digest, blob, problem));
            }
        }
        if !findings.is_empty() {
            findings.sort_by(|one, two| one.digest.cmp(&two.digest));
            self.broken(place, &root, findings);
            return Ok(Prepared::LeftOut);
        }
        Ok(Prepared::Whole(self.image(root, closure)))
    }

    async fn unchanged(&self, place: &Place, root: Root) -> Result<Prepared, Trouble> {
        let tags = root.tags.len() as u64;
        self.report().counts.unchanged += tags;
        self.watch.tags_done(tags);
        let mut digests = vec![root.digest];
        if self.origin.asks_by_subject()
            && let Some(root) = digests.first().cloned()
        {
            let closure = self.origin.closure(place, &root).await?;
            digests.extend(closure.manifests.into_iter().map(|piece| piece.digest));
        }
        Ok(Prepared::Unchanged(digests))
    }

    fn image(&self, root: Root, closure: Closure) -> Image {
        let now = self.options.now_ms;
        let made = closure.created_ms;
        let time = |pushed: Option<i64>| {
            let said = match self.options.times {
                Times::Pushed => pushed.or(made),
                Times::Created => made.or(pushed),
            };
            said.unwrap_or(now).clamp(0, now)
        };
        let mut tags: Vec<ImageTag> =
            root.tags.into_iter().map(|tag| ImageTag { tag: tag.tag, at_ms: time(tag.at_ms) }).collect();
        tags.sort_by(|one, two| (one.at_ms, &one.tag).cmp(&(two.at_ms, &two.tag)));
        let first = tags.first().map(|tag| tag.at_ms);
        let pushed_ms = first.unwrap_or_else(|| time(closure.pushed_ms));
        Image { manifests: closure.manifests, blobs: closure.blobs, tags, pushed_ms, absent: closure.absent_children }
    }

    async fn land(&self, place: &Place, images: Vec<Image>, have: &mut Have) -> Result<(), Trouble> {
        if images.is_empty() {
            return Ok(());
        }
        let absent: Vec<u64> = images.iter().map(|image| image.absent).collect();
        let told: Vec<(Vec<TagAt>, Vec<Digest>)> = images.iter().map(of_image).collect();
        let outcomes = self.sink.land(&place.here, images).await?;
        for ((outcome, absent), (tags, digests)) in outcomes.into_iter().zip(absent).zip(told) {
            let Some(root) = digests.last().cloned() else { continue };
            match outcome {
                Landed::Whole { moved, created } => {
                    let mut report = self.report();
                    report.counts.manifests += created;
                    report.counts.loose += u64::from(tags.is_empty());
                    for tag in &tags {
                        match moved.iter().find(|moved| moved.tag == tag.tag.as_str()) {
                            None => report.counts.unchanged += 1,
                            Some(moved) => match &moved.previous {
                                None => report.counts.imported += 1,
                                Some(from) => {
                                    report.counts.moved += 1;
                                    report.moved.push(MovedTag {
                                        repository: place.here.to_string(),
                                        tag: moved.tag.clone(),
                                        from: from.clone(),
                                        to: root.clone(),
                                    });
                                }
                            },
                        }
                    }
                    drop(report);
                    self.watch.tags_done(tags.len() as u64);
                    have.add(digests);
                }
                Landed::Incomplete(_) if absent > 0 => {
                    let reason = format!(
                        "{absent} of its children were never pulled through; give the repository commit = \"sparse\" to take it so"
                    );
                    self.partial(place, &tags, &root, &reason);
                }
                Landed::Incomplete(findings) => self.broken(place, &Root { digest: root, tags }, findings),
                Landed::Refused(why) => self.refused(place, &tags, &root, &why),
            }
        }
        Ok(())
    }

    /// Manifests that no tag leads to: referrers of what is here, and all of them where that was asked for.
    async fn loose(&self, place: &Place, here: &BTreeMap<String, TagHere>, mut have: Have) -> Result<(), Trouble> {
        let mut waiting: Vec<Loose> = Vec::new();
        for round in 0..ROUNDS_MAX {
            let fresh = std::mem::take(&mut have.fresh);
            if round > 0 && fresh.is_empty() {
                break;
            }
            if round == 0 || self.origin.asks_by_subject() {
                waiting.extend(self.origin.loose(place, &fresh).await?);
            }
            let mut roots = Vec::new();
            let mut left = Vec::new();
            for loose in std::mem::take(&mut waiting) {
                if have.digests.contains(&loose.digest) || self.sink.holds(&place.here, &loose.digest).await? {
                    continue;
                }
                if self.options.untagged || self.refers_to_something_here(place, &loose, &have).await? {
                    roots.push(Root { digest: loose.digest, tags: Vec::new() });
                } else {
                    left.push(loose);
                }
            }
            waiting = left;
            self.bring_all(place, here, roots, &mut have).await?;
        }
        self.report().counts.untagged_left += waiting.len() as u64;
        Ok(())
    }

    async fn refers_to_something_here(&self, place: &Place, loose: &Loose, have: &Have) -> Result<bool, Trouble> {
        match &loose.subject {
            None => Ok(false),
            Some(subject) if have.digests.contains(subject) => Ok(true),
            Some(subject) => self.sink.holds(&place.here, subject).await,
        }
    }

    fn broken(&self, place: &Place, root: &Root, mut findings: Vec<Finding>) {
        findings.truncate(FINDINGS_MAX);
        for finding in &mut findings {
            finding.repository = Some(place.here.to_string());
        }
        let mut report = self.report();
        if root.tags.is_empty() {
            report.findings.extend(findings);
            return;
        }
        for tag in &root.tags {
            let at = |finding: &Finding| Finding { tag: Some(tag.tag.to_string()), ..finding.clone() };
            report.counts.broken += 1;
            report.broken.push(BrokenTag {
                repository: place.here.to_string(),
                tag: tag.tag.to_string(),
                digest: Some(root.digest.clone()),
                findings: findings.iter().map(at).collect(),
            });
        }
        drop(report);
        self.watch.tags_done(root.tags.len() as u64);
    }

    fn partial(&self, place: &Place, tags: &[TagAt], root: &Digest, reason: &str) {
        let mut report = self.report();
        report.counts.partial += tags.len() as u64;
        report.partial.extend(tags.iter().map(|tag| left(place, tag, root, reason)));
        drop(report);
        self.watch.tags_done(tags.len() as u64);
    }

    fn refused(&self, place: &Place, tags: &[TagAt], root: &Digest, reason: &str) {
        let mut report = self.report();
        report.counts.refused += tags.len().max(1) as u64;
        report.refused.extend(tags.iter().map(|tag| left(place, tag, root, reason)));
        drop(report);
        self.watch.tags_done(tags.len() as u64);
    }
}

/// Whether a tag stays where it is here: somebody else than an import pointed it elsewhere, and not before the origin.
fn is_kept(here: &TagHere, there: &TagAt) -> bool {
    here.digest != there.digest && !here.imported && there.at_ms.is_none_or(|at_ms| here.moved_ms >= at_ms)
}

fn left(place: &Place, tag: &TagAt, root: &Digest, reason: &str) -> LeftTag {
    LeftTag {
        repository: place.here.to_string(),
        tag: tag.tag.to_string(),
        here: None,
        there: Some(root.clone()),
        reason: reason.to_owned(),
    }
}

/// The tags and the manifests of an image, the root last: what is told of it when it is gone to the sink.
fn of_image(image: &Image) -> (Vec<TagAt>, Vec<Digest>) {
    let digests: Vec<Digest> = image.manifests.iter().map(|piece| piece.digest.clone()).collect();
    let Some(root) = digests.last() else { return (Vec::new(), digests) };
    let tag = |tag: &ImageTag| TagAt { tag: tag.tag.clone(), digest: root.clone(), at_ms: Some(tag.at_ms) };
    (image.tags.iter().map(tag).collect(), digests)
}

/// What is wrong with a blob of a closure, with the way that leads to it.
fn finding(closure: &Closure, root: &Digest, blob: &Blob, problem: Problem) -> Finding {
    let mut path = Vec::new();
    let mut child = &blob.digest;
    // Parents come after their children: one pass leads up to the root.
    for piece in &closure.manifests {
        if piece.manifest.edges.iter().any(|edge| edge.descriptor.digest == *child) {
            path.push(piece.digest.clone());
            child = &piece.digest;
            if child == root {
                break;
            }
        }
    }
    path.reverse();
    Finding {
        digest: Some(blob.digest.clone()),
        size: Some(blob.size),
        path,
        status: problem.status,
        detail: problem.detail,
        ..Finding::new(problem.kind)
    }
}
