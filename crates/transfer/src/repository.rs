//! One repository of a run: which tags go, what they are made of, in which order; never how bytes are moved.

mod told;

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::FutureExt as _;
use futures_util::stream::{self, FuturesOrdered, StreamExt as _};
use mcr_oci::{Digest, RepositoryName};

use crate::options::Times;
use crate::origin::{Closure, Loose, Origin, Place, TagAt, Trouble};
use crate::report::{LeftTag, MovedTag};
use crate::run::{Run, Waiting};
use crate::sink::{Image, ImageTag, Landed, Sink, TagHere};
use told::{finding, keep};

/// Images whose parts are being brought ahead of the one that lands next.
const AHEAD: usize = 32;
/// Images that land together.
const TOGETHER: usize = 256;
/// Blobs of one image that wait for their places at once.
const BLOBS_AHEAD: usize = 16;
/// Rounds of referrers of referrers.
const ROUNDS_MAX: usize = 32;

/// A manifest that shall be brought, and the tags that lead to it.
struct Root {
    digest: Digest,
    /// The oldest first, by what the origin says; none for one without a tag.
    tags: Vec<TagAt>,
}

/// What preparing a root came to.
enum Prepared<'a> {
    /// It is here already, with these manifests.
    Unchanged(Vec<Digest>),
    /// All its blobs are here.
    Whole(Image, Waiting<'a>),
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
        let here = self.who_pointed(place, here, &listed.tags).await?;
        let count = (listed.tags.len() + listed.findings.len()) as u64;
        self.watch.tags(count);
        let mut named: HashSet<String> = listed.tags.iter().map(|tag| tag.tag.to_string()).collect();
        if listed.absent {
            self.report().unmatched.push(place.there.clone());
        }
        let mut all_listed = true;
        for finding in listed.findings {
            all_listed &= finding.tag.is_some();
            named.extend(finding.tag.clone());
            self.watch.tags_done(1);
            self.without_digest(place, finding);
        }
        {
            let mut report = self.report();
            report.counts.repositories += 1;
            report.counts.tags += listed.tags.len() as u64;
        }
        if all_listed {
            let reason = "the origin does not list it any more; delete it here if it is to go";
            self.gone(&place.here, &here, &named, reason);
        }
        let roots = self.roots(&place.here, listed.tags, &here);
        let mut have = Have::default();
        self.bring_all(place, &here, roots, &mut have).await?;
        self.loose(place, &here, have).await?;
        Ok(())
    }

    /// The manifests to bring, those with the oldest tag first.
    fn roots(&self, here: &RepositoryName, listed: Vec<TagAt>, tags: &BTreeMap<String, TagHere>) -> Vec<Root> {
        let mut by_digest: HashMap<Digest, Vec<TagAt>> = HashMap::new();
        for tag in listed {
            if let Some(at) = tags.get(tag.tag.as_str()).filter(|at| self.is_kept(at, &tag)) {
                let mut report = self.report();
                report.counts.kept += 1;
                let kept = LeftTag {
                    repository: here.to_string(),
                    tag: tag.tag.to_string(),
                    here: Some(at.digest.clone()),
                    there: Some(tag.digest),
                    reason: "it was pushed here since and stays; delete it here to have the origin's".to_owned(),
                };
                keep(&mut report.kept, [kept]);
                drop(report);
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

    /// Whether a tag stays where it is here: somebody else than an import pointed it elsewhere, and not before the
    /// origin. A time that is not one of a push says nothing of that: those of copied files, and those to come.
    fn is_kept(&self, here: &TagHere, there: &TagAt) -> bool {
        let at_ms = match self.options.times {
            Times::Pushed => there.at_ms.filter(|at_ms| *at_ms <= self.options.now_ms),
            Times::Created => None,
        };
        let later = || here.moved_ms.zip(at_ms).is_none_or(|(moved_ms, at_ms)| moved_ms >= at_ms);
        here.digest != there.digest && here.imported == Some(false) && later()
    }

    /// Prepares roots side by side and lands them, the oldest first. Where the origin does not say how old they are,
    /// images do, once they were looked at: as many as land together are waited for then.
    async fn bring_all(
        &self,
        place: &Place,
        here: &BTreeMap<String, TagHere>,
        roots: Vec<Root>,
        have: &mut Have,
    ) -> Result<(), Trouble> {
        let in_order = self.options.times == Times::Pushed
            && roots.iter().flat_map(|root| &root.tags).all(|tag| tag.at_ms.is_some());
        let mut roots = roots.into_iter();
        let mut under_way = FuturesOrdered::new();
        let mut images = Vec::new();
        loop {
            // One goes on whatever waits elsewhere, so that each repository comes to its end.
            while under_way.len() < AHEAD
                && (!self.is_full() || (under_way.is_empty() && images.is_empty()))
                && let Some(root) = roots.next()
            {
                under_way.push_back(self.prepare(place, here, root));
            }
            let next = match in_order && !images.is_empty() {
                true => under_way.next().now_or_never().flatten(),
                false => under_way.next().await,
            };
            let ready = next.is_none();
            match next.transpose()? {
                None if images.is_empty() => return Ok(()),
                None | Some(Prepared::LeftOut) => {}
                Some(Prepared::Unchanged(digests)) => have.add(digests),
                Some(Prepared::Whole(image, waiting)) => images.push((image, waiting)),
            }
            if ready || images.len() >= TOGETHER {
                self.land(place, std::mem::take(&mut images), have).await?;
            }
        }
    }

    async fn prepare(
        &self,
        place: &Place,
        here: &BTreeMap<String, TagHere>,
        root: Root,
    ) -> Result<Prepared<'_>, Trouble> {
        let stands = |tag: &TagAt| here.get(tag.tag.as_str()).is_some_and(|at| at.digest == root.digest);
        if !root.tags.is_empty() && root.tags.iter().all(stands) && self.sink.holds(&place.here, &root.digest).await? {
            return self.unchanged(place, root).await;
        }
        let (closure, waiting) = self.closure(place, &root.digest).await?;
        if !closure.findings.is_empty() {
            self.broken(place, &root, closure.findings);
            return Ok(Prepared::LeftOut);
        }
        if closure.absent_blobs > 0 {
            let reason = format!("{} of its configs and layers were never pulled through", closure.absent_blobs);
            self.partial(place, &root.tags, &root.digest, &reason);
            return Ok(Prepared::LeftOut);
        }
        // Before bytes are moved that no image here would have.
        if closure.absent_children > 0 && !self.sink.takes_partial(&place.here) {
            self.partial(place, &root.tags, &root.digest, &absent_children(closure.absent_children));
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
        Ok(Prepared::Whole(self.image(root, closure), waiting))
    }

    async fn unchanged(&self, place: &Place, root: Root) -> Result<Prepared<'_>, Trouble> {
        let tags = root.tags.len() as u64;
        self.report().counts.unchanged += tags;
        self.watch.tags_done(tags);
        Ok(Prepared::Unchanged(self.subjects(place, root.digest).await?))
    }

    /// The manifests of an image that is here already, of which referrers may be asked for.
    async fn subjects(&self, place: &Place, root: Digest) -> Result<Vec<Digest>, Trouble> {
        let mut digests = Vec::new();
        if self.origin.asks_by_subject() {
            let (closure, _waiting) = self.closure(place, &root).await?;
            digests.extend(closure.manifests.into_iter().map(|piece| piece.digest));
        }
        digests.push(root);
        Ok(digests)
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

    async fn land(&self, place: &Place, mut images: Vec<(Image, Waiting<'_>)>, have: &mut Have) -> Result<(), Trouble> {
        if images.is_empty() {
            return Ok(());
        }
        // A sink that takes no times has them in the order in which they come.
        images.sort_by_key(|(image, _)| image.pushed_ms);
        let (images, _waiting): (Vec<Image>, Vec<Waiting<'_>>) = images.into_iter().unzip();
        let absent: Vec<u64> = images.iter().map(|image| image.absent).collect();
        let told: Vec<(Vec<TagAt>, Vec<Digest>)> = images.iter().map(of_image).collect();
        let outcomes = self.sink.land(&place.here, images).await?;
        for ((outcome, absent), (tags, digests)) in outcomes.into_iter().zip(absent).zip(told) {
            let Some(root) = digests.last().cloned() else { continue };
            match outcome {
                Landed::Whole { moved, created, refused } => {
                    let (stay, tags): (Vec<TagAt>, Vec<TagAt>) =
                        tags.into_iter().partition(|tag| refused.iter().any(|stays| stays.tag == tag.tag.as_str()));
                    for tag in &stay {
                        let why = refused.iter().find(|stays| stays.tag == tag.tag.as_str());
                        self.refused(place, std::slice::from_ref(tag), &root, why.map_or("", |stays| &stays.why));
                    }
                    let mut report = self.report();
                    report.counts.manifests += created;
                    report.counts.loose += u64::from(tags.is_empty() && stay.is_empty());
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
                    self.partial(place, &tags, &root, &absent_children(absent));
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
                let found = self.origin.loose(place, &fresh).await?;
                waiting.extend(found.loose);
                for finding in found.findings {
                    self.without_digest(place, finding);
                }
            }
            let mut roots = Vec::new();
            let mut left = Vec::new();
            for loose in std::mem::take(&mut waiting) {
                if have.digests.contains(&loose.digest) {
                    continue;
                }
                if self.sink.holds(&place.here, &loose.digest).await? {
                    // An earlier run brought it, and may have ended before it brought what refers to it.
                    have.add(self.subjects(place, loose.digest).await?);
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
}

/// Why an index of a cache is left out.
fn absent_children(absent: u64) -> String {
    format!("{absent} of its children were never pulled through; give the repository commit = \"sparse\" to take it so")
}

/// The tags and the manifests of an image, the root last: what is told of it when it is gone to the sink.
fn of_image(image: &Image) -> (Vec<TagAt>, Vec<Digest>) {
    let digests: Vec<Digest> = image.manifests.iter().map(|piece| piece.digest.clone()).collect();
    let Some(root) = digests.last() else { return (Vec::new(), digests) };
    let tag = |tag: &ImageTag| TagAt { tag: tag.tag.clone(), digest: root.clone(), at_ms: Some(tag.at_ms) };
    (image.tags.iter().map(tag).collect(), digests)
}
