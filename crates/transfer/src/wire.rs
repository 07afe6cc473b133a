//! A running registry as an origin; never what an answer means (the probe's) and never a retry (the client's).

mod referrers;

use std::collections::BTreeSet;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use mcr_client::{BlobReader, Client, Error};
use mcr_oci::{Digest, Finding, FindingKind, MANIFEST_MAX, Reference, RepositoryName, Tag};
use mcr_probe::{Gone, Level, Pace, Wire};
use mcr_verifier::{Look, Problem};

use crate::closure;
use crate::origin::{Blob, BlobBytes, Closure, Origin, Place, Places, StreamEnd, TagAt, Tags, Trouble, Untagged};
use referrers::Answering;

/// Repositories of one catalog.
const REPOSITORIES_MAX: usize = 1_000_000;
/// Tags of one repository.
const TAGS_MAX: usize = 1_000_000;
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
    /// Places for questions about tags and manifests, whatever repository they are about.
    pace: Pace,
    answering: Answering,
}

/// What a list of tags came to.
struct TagNames {
    names: BTreeSet<String>,
    /// Why it is not all of them.
    cut: Option<String>,
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
        Self { client, name, named, prefix, jobs: jobs.max(1), pace: Pace::new(jobs), answering: Answering::default() }
    }

    fn wire<'a>(&'a self, repository: &'a RepositoryName) -> Wire<'a> {
        Wire::beside(&self.client, repository, Level::Head, &self.pace)
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

    /// The tags of a repository by name; `None` where there is no such repository. A list that breaks off is as long
    /// as it came.
    async fn tag_names(&self, wire: &Wire<'_>, repository: &RepositoryName) -> Result<Option<TagNames>, Trouble> {
        let mut names = BTreeSet::new();
        let mut pages = self.client.tags(repository);
        loop {
            let page = {
                let _place = self.pace.place().await;
                pages.next().await
            };
            let cut = match page {
                Ok(Some(page)) => {
                    names.extend(page);
                    if names.len() <= TAGS_MAX {
                        continue;
                    }
                    Some(format!("it has more than {TAGS_MAX} tags; the others are left out"))
                }
                Ok(None) => None,
                Err(Error::NotFound { .. }) if names.is_empty() => return Ok(None),
                Err(error) => Some(format!("its tags cannot be listed: {}", failed(wire, error).await?)),
            };
            return Ok(Some(TagNames { names, cut }));
        }
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
}

impl Origin for RegistryOrigin {
    fn name(&self) -> &str {
        &self.name
    }

    async fn repositories(&self) -> Result<Places, Trouble> {
        let mut places = Places { below: self.prefix.clone(), ..Places::default() };
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
        let wire = self.wire(&there);
        // Listed, and without a tag: it went, or nothing was ever tagged. Named by somebody, it is none.
        let Some(listed) = self.tag_names(&wire, &there).await? else {
            return Ok(Tags { absent: self.named.is_some(), ..Tags::default() });
        };
        let mut answers = stream::iter(listed.names).map(|name| self.tag(&wire, name)).buffered(self.jobs);
        let mut tags = Tags::default();
        let unreachable = |detail: String| Finding { detail: Some(detail), ..Finding::new(FindingKind::Unreachable) };
        tags.findings.extend(listed.cut.map(unreachable));
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
        let wire = self.wire(&there);
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

    async fn loose(&self, place: &Place, subjects: &[Digest]) -> Result<Untagged, Trouble> {
        self.referrers(&there(place)?, subjects).await
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

/// What is wrong with one list, in one line.
///
/// # Errors
/// [`Trouble`] where the registry as a whole does not answer any more.
async fn failed(wire: &Wire<'_>, error: Error) -> Result<String, Trouble> {
    // Refusals and pleas for patience are answers.
    if !matches!(error, Error::Unauthorized { .. } | Error::Busy { .. } | Error::Credentials { .. }) {
        wire.still_there(&error).await.map_err(Trouble::of)?;
    }
    Ok(error.to_string())
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

#[cfg(test)]
mod tests;
