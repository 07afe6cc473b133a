//! A running registry as an origin; never what an answer means (the probe's) and never a retry (the client's).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use mcr_client::{About, BlobReader, Call, Client, Error};
use mcr_oci::{Digest, Finding, FindingKind, MANIFEST_MAX, Reference, RepositoryName, Tag};
use mcr_probe::{Gone, Level, Wire};
use mcr_verifier::{Look, Problem};

use crate::closure;
use crate::origin::{Blob, BlobBytes, Closure, Loose, Origin, Place, Places, StreamEnd, TagAt, Tags, Trouble};

/// Repositories of one catalog.
const REPOSITORIES_MAX: usize = 1_000_000;
/// Tags of one repository.
const TAGS_MAX: usize = 1_000_000;
/// Longest list of referrers that is read, in bytes.
const REFERRERS_MAX: usize = 16 << 20;
/// Largest config that is read for its time, in bytes.
const CONFIG_MAX: u64 = MANIFEST_MAX as u64;

/// A registry that runs.
pub struct RegistryOrigin {
    client: Client,
    name: String,
    /// Names instead of the catalog, where every one is plain.
    named: Option<Vec<String>>,
    prefix: Option<String>,
    jobs: usize,
    /// Learned at the first question: a registry without the referrers API keeps tags instead, which are tags here too.
    no_referrers: AtomicBool,
}

impl std::fmt::Debug for RegistryOrigin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RegistryOrigin").field("name", &self.name).finish_non_exhaustive()
    }
}

impl RegistryOrigin {
    /// The registry that `client` speaks to; its repositories go below `prefix`. Where `repositories` are plain names
    /// and no patterns, the catalog is not asked for.
    #[must_use]
    pub fn new(client: Client, repositories: &[String], prefix: Option<String>, jobs: usize) -> Self {
        let plain = !repositories.is_empty() && repositories.iter().all(|name| RepositoryName::parse(name).is_ok());
        let named = (plain && prefix.is_none()).then(|| repositories.to_vec());
        let name = client.host().to_owned();
        Self { client, name, named, prefix, jobs: jobs.max(1), no_referrers: AtomicBool::new(false) }
    }

    async fn names(&self) -> Result<Vec<String>, Trouble> {
        if let Some(named) = &self.named {
            return Ok(named.clone());
        }
        let mut names = BTreeSet::new();
        let mut pages = self.client.catalog(None);
        while let Some(page) = pages.next().await.map_err(|error| catalog_trouble(&error))? {
            names.extend(page);
            if names.len() > REPOSITORIES_MAX {
                return Err(Trouble(format!("{} lists more than {REPOSITORIES_MAX} repositories", self.name)));
            }
        }
        Ok(names.into_iter().collect())
    }

    async fn tag_names(&self, repository: &RepositoryName) -> Result<BTreeSet<String>, Error> {
        let mut names = BTreeSet::new();
        let mut pages = self.client.tags(repository);
        while names.len() <= TAGS_MAX
            && let Some(page) = pages.next().await?
        {
            names.extend(page);
        }
        Ok(names)
    }

    async fn tag(&self, wire: &Wire<'_>, name: String) -> Result<Result<TagAt, Finding>, Gone> {
        let broken = |kind, status, detail| Finding { tag: Some(name.clone()), status, detail, ..Finding::new(kind) };
        let Ok(tag) = Tag::parse(&name) else {
            let detail = Some("no client can ask for a tag of this name".to_owned());
            return Ok(Err(broken(FindingKind::TagDangling, None, detail)));
        };
        Ok(match wire.digest_of(&Reference::Tag(tag.clone())).await? {
            Look::Whole(digest) => Ok(TagAt { tag, digest, at_ms: None }),
            Look::Broken(Problem { kind, status, detail }) => Err(broken(kind, status, detail)),
        })
    }

    /// When the images of a closure say they were made; the latest of them.
    async fn created(&self, there: &RepositoryName, walked: &closure::Walked) -> Option<i64> {
        let mut latest = None;
        for descriptor in walked.configs().filter(|descriptor| descriptor.size <= CONFIG_MAX) {
            let mut bytes = Vec::new();
            let sink = |chunk: &[u8]| bytes.extend_from_slice(chunk);
            // Whoever brings the blob says what is wrong with it.
            if self.client.blob_verified(there, &descriptor.digest, descriptor.size, sink).await.is_ok() {
                latest = latest.max(closure::created_ms(&bytes));
            }
        }
        latest.or_else(|| walked.annotated_ms())
    }

    async fn referrers(&self, there: &RepositoryName, subject: &Digest) -> Result<Vec<Loose>, Trouble> {
        #[derive(serde::Deserialize)]
        struct List {
            #[serde(default)]
            manifests: Vec<Entry>,
        }
        #[derive(serde::Deserialize)]
        struct Entry {
            digest: String,
        }
        if self.no_referrers.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let call = Call::get(format!("v2/{there}/referrers/{subject}")).about(About::Repository(there.clone()));
        let reply = self.client.call(&call, REFERRERS_MAX).await.map_err(Trouble::of)?;
        match reply.status {
            200 => {
                let list: List = serde_json::from_slice(&reply.body)
                    .map_err(|error| Trouble(format!("the referrers of {there}@{subject} are no list: {error}")))?;
                let loose = |entry: Entry| {
                    Some(Loose { digest: Digest::parse(&entry.digest).ok()?, subject: Some(subject.clone()) })
                };
                Ok(list.manifests.into_iter().filter_map(loose).collect())
            }
            // registry:2 has no such path at all.
            404 | 405 | 400 | 501 => {
                self.no_referrers.store(true, Ordering::Relaxed);
                Ok(Vec::new())
            }
            status => Err(Trouble(format!("the referrers of {there}@{subject} are answered {status}"))),
        }
    }
}

impl Origin for RegistryOrigin {
    fn name(&self) -> &str {
        &self.name
    }

    async fn repositories(&self) -> Result<Places, Trouble> {
        let mut places = Places::default();
        for there in self.names().await? {
            let wanted = self.prefix.as_ref().map_or_else(|| there.clone(), |prefix| format!("{prefix}/{there}"));
            match (RepositoryName::parse(&wanted), RepositoryName::parse(&there)) {
                (Ok(here), Ok(_)) => places.repositories.push(Place { here, there, registry: 0 }),
                (Err(error), _) | (_, Err(error)) => places.findings.push(Finding {
                    repository: Some(wanted),
                    detail: Some(format!("no client can ask for a repository of this name: {error}")),
                    ..Finding::new(FindingKind::Unreachable)
                }),
            }
        }
        Ok(places)
    }

    async fn tags(&self, place: &Place) -> Result<Tags, Trouble> {
        let there = there(place)?;
        let names = match self.tag_names(&there).await {
            Ok(names) => names,
            // Listed, and without a tag: it went, or nothing was ever tagged.
            Err(Error::NotFound { .. }) => return Ok(Tags::default()),
            Err(error @ (Error::Unreachable { .. } | Error::Unexpected { .. })) => return Err(Trouble::of(error)),
            Err(error) => {
                let detail = Some(format!("its tags cannot be listed: {error}"));
                let finding = Finding { detail, ..Finding::new(FindingKind::Unreachable) };
                return Ok(Tags { tags: Vec::new(), findings: vec![finding] });
            }
        };
        let wire = Wire::alone(&self.client, &there, Level::Head, self.jobs);
        let mut answers = stream::iter(names).map(|name| self.tag(&wire, name)).buffered(self.jobs);
        let mut tags = Tags::default();
        while let Some(answer) = answers.next().await {
            match answer.map_err(Trouble::of)? {
                Ok(tag) => tags.tags.push(tag),
                Err(finding) => tags.findings.push(finding),
            }
        }
        Ok(tags)
    }

    async fn closure(&self, place: &Place, root: &Digest) -> Result<Closure, Trouble> {
        let there = there(place)?;
        let wire = Wire::alone(&self.client, &there, Level::Head, self.jobs);
        // Blobs are not asked about: fetching them says more.
        let mut walked = closure::walk(root, &wire, false, self.jobs).await.map_err(Trouble::of)?;
        let findings =
            std::mem::take(&mut walked.report.findings).into_iter().map(|located| located.finding).collect::<Vec<_>>();
        let created_ms = if findings.is_empty() { self.created(&there, &walked).await } else { None };
        for descriptor in std::mem::take(&mut walked.optional) {
            let look = mcr_verifier::Source::blob(&wire, &descriptor).await.map_err(Trouble::of)?;
            if let Look::Whole(stored) = look {
                walked.blobs.push(Blob { digest: descriptor.digest, size: stored.size });
            }
        }
        Ok(walked.closure(Closure { findings, created_ms, ..Closure::default() }))
    }

    fn asks_by_subject(&self) -> bool {
        true
    }

    async fn loose(&self, place: &Place, subjects: &[Digest]) -> Result<Vec<Loose>, Trouble> {
        let there = &there(place)?;
        let ask = |subject: Digest| async move { self.referrers(there, &subject).await };
        let mut answers = stream::iter(subjects.to_vec()).map(ask).buffered(self.jobs);
        let mut all = Vec::new();
        while let Some(answer) = answers.next().await {
            all.extend(answer?);
        }
        Ok(all)
    }

    async fn blob(&self, place: &Place, blob: &Blob) -> Result<Look<BlobBytes>, Trouble> {
        let there = there(place)?;
        let reader = self.client.read_blob(&there, &blob.digest, blob.size).map_err(Trouble::of)?;
        let reading = Reading { client: self.client.clone(), there, reader, size: blob.size, ended: false };
        Ok(Look::Whole(BlobBytes::Stream(reading.stream())))
    }
}

fn there(place: &Place) -> Result<RepositoryName, Trouble> {
    RepositoryName::parse(&place.there).map_err(Trouble::of)
}

fn catalog_trouble(error: &Error) -> Trouble {
    Trouble(format!("{error}; a registry that lists no catalog is imported by names: --repository NAME"))
}

/// A blob under way.
struct Reading {
    client: Client,
    there: RepositoryName,
    reader: BlobReader,
    size: u64,
    ended: bool,
}

impl Reading {
    fn stream(self) -> BoxStream<'static, Result<bytes::Bytes, StreamEnd>> {
        let next = |mut reading: Self| async move {
            if reading.ended {
                return None;
            }
            let answer = match reading.reader.next().await {
                Ok(mcr_client::Piece::Bytes(bytes)) => return Some((Ok(bytes), reading)),
                Ok(mcr_client::Piece::End(answer)) => Ok(answer),
                Err(error) => Err(error),
            };
            reading.ended = true;
            let end = reading.judge(answer).await;
            end.map(|end| (Err(end), reading))
        };
        stream::unfold(self, next).boxed()
    }

    /// `None` where the bytes were the right ones.
    async fn judge(&self, answer: Result<mcr_client::BlobAnswer<mcr_client::Whole>, Error>) -> Option<StreamEnd> {
        let wire = Wire::alone(&self.client, &self.there, Level::Head, 1);
        match wire.judge_transfer(answer, self.size).await {
            Ok(Look::Whole(stored)) if stored.size == self.size => None,
            Ok(Look::Whole(stored)) => Some(StreamEnd::Broken(Problem::new(
                FindingKind::BlobSizeMismatch,
                format!("the descriptor says {} bytes, {} are served", self.size, stored.size),
            ))),
            Ok(Look::Broken(problem)) => Some(StreamEnd::Broken(problem)),
            Err(gone) => Some(StreamEnd::Gone(Trouble::of(gone))),
        }
    }
}
