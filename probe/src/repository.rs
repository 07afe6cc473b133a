//! All tags of one repository, each digest looked at once; never a catalog and never a summary.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use mcr_client::{Client, Error};
use mcr_oci::{Digest, Finding, FindingKind, Hasher, Manifest, Reference, RepositoryName, Tag};
use mcr_verifier::{Limits, Memory, Options, Problem, Report, Root, walk_all};

use crate::kinds::Kind;
use crate::level::Level;
use crate::pace::Pace;
use crate::watch::{TagOutcome, TagState, Watch};
use crate::wire::{Fetched, Gone, Wire};

/// Tags whose closures are walked together.
const BATCH: usize = 128;
/// Bytes of tagged manifests held at once, beyond one.
const BATCH_BYTES: u64 = 16 << 20;
/// Findings kept of one tag.
const FINDINGS_PER_TAG: usize = 500;
/// Digests remembered of one repository before all are forgotten and asked for anew.
const MAX_REMEMBERED: usize = 400_000;

/// What is looked at, and how.
pub(crate) struct Look<'a> {
    pub(crate) client: &'a Client,
    pub(crate) level: Level,
    pub(crate) kind: Kind,
    pub(crate) jobs: usize,
    pub(crate) pace: Pace,
    pub(crate) watch: &'a dyn Watch,
    /// Tags at most, as listed; 0 is all.
    pub(crate) most_tags: usize,
}

/// What one repository came to.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    pub(crate) tags: u64,
    pub(crate) indexes: u64,
    pub(crate) findings: Vec<Finding>,
}

/// What one tag led to.
pub(crate) struct Resolved {
    pub(crate) digest: Option<Digest>,
    pub(crate) root: Result<Root, Problem>,
    size: u64,
}

/// Looks at every tag of `name`.
///
/// # Errors
/// Only when the registry as a whole is gone; a tag or a list that fails is a finding.
pub(crate) async fn walk_repository(look: &Look<'_>, name: &str) -> Result<Walked, Gone> {
    let repository = match RepositoryName::parse(name) {
        Ok(repository) => repository,
        Err(error) => return Ok(unlookable(name, None, format!("the catalog lists it, but {error}"))),
    };
    let mut repository = Repository {
        wire: Wire::new(look.client, &repository, look.level, look.pace.clone(), look.watch),
        name,
        look,
        memory: Memory::default(),
        forgotten_indexes: 0,
        suspects: Vec::new(),
        walked: Walked::default(),
    };
    let mut pages = look.client.tags(&RepositoryName::clone(repository.wire.repository()));
    loop {
        let page = match pages.next().await {
            Ok(Some(page)) => page,
            Ok(None) | Err(Error::NotFound { .. }) => break,
            Err(error) => {
                repository.wire.still_there(&error).await?;
                let failed = unlookable(name, None, format!("its tags cannot be listed: {error}"));
                repository.walked.findings.extend(failed.findings);
                break;
            }
        };
        if repository.page(&page).await? == Enough::Yes {
            break;
        }
    }
    repository.second_look().await?;
    let mut walked = repository.walked;
    walked.indexes = repository.forgotten_indexes + repository.memory.indexes() as u64;
    look.watch.repository_done(name, walked.tags);
    Ok(walked)
}

/// A finding that says only that something could not be looked at.
pub(crate) fn unlookable(repository: &str, tag: Option<&str>, detail: String) -> Walked {
    let finding = Finding {
        repository: Some(repository.to_owned()),
        tag: tag.map(str::to_owned),
        detail: Some(detail),
        ..Finding::new(FindingKind::Unreachable)
    };
    Walked { findings: vec![finding], ..Walked::default() }
}

#[derive(PartialEq, Eq)]
enum Enough {
    Yes,
    No,
}

/// One repository under way.
pub(crate) struct Repository<'a> {
    pub(crate) wire: Wire<'a>,
    pub(crate) name: &'a str,
    pub(crate) look: &'a Look<'a>,
    pub(crate) memory: Memory,
    forgotten_indexes: u64,
    /// Tags that looked broken, to be looked at once more when all others are done.
    pub(crate) suspects: Vec<Suspect>,
    pub(crate) walked: Walked,
}

/// A tag that looked broken.
pub(crate) struct Suspect {
    pub(crate) tag: String,
    pub(crate) digest: Option<Digest>,
    pub(crate) findings: Vec<Finding>,
}

impl Repository<'_> {
    async fn page(&mut self, page: &[String]) -> Result<Enough, Gone> {
        let most = self.look.most_tags;
        let left =
            if most == 0 { page.len() } else { most.saturating_sub(usize::try_from(self.walked.tags).unwrap_or(most)) };
        let tags = page.get(..left.min(page.len())).unwrap_or(page);
        for batch in tags.chunks(BATCH) {
            self.batch(batch).await?;
        }
        Ok(if left <= page.len() && most != 0 { Enough::Yes } else { Enough::No })
    }

    /// Resolves tags and walks what they name, at once as long as the manifests are of ordinary size.
    async fn batch(&mut self, tags: &[String]) -> Result<(), Gone> {
        let mut from = 0;
        while from < tags.len() {
            let mut resolved: Vec<(&str, Resolved)> = Vec::new();
            let mut bytes = 0;
            {
                let wire = &self.wire;
                let rest = tags.get(from..).unwrap_or_default();
                // Boxed: else the compiler cannot tell that the walk may move between threads.
                let asked: Vec<BoxFuture<'_, _>> = rest
                    .iter()
                    .map(|tag| async move { (tag.as_str(), resolve_listed(wire, tag).await) }.boxed())
                    .collect();
                let mut asked = stream::iter(asked).buffered(self.look.jobs.max(1));
                while let Some((tag, answer)) = asked.next().await {
                    let answer = answer?;
                    bytes += answer.size;
                    resolved.push((tag, answer));
                    // What was asked ahead is dropped and asked again: only registries of huge manifests come here.
                    if bytes > BATCH_BYTES {
                        break;
                    }
                }
            }
            from += resolved.len();
            self.walk(&resolved).await?;
        }
        Ok(())
    }

    async fn walk(&mut self, resolved: &[(&str, Resolved)]) -> Result<(), Gone> {
        let options = self.options();
        let mut roots: Vec<Root> = Vec::new();
        let mut at: HashMap<&Digest, usize> = HashMap::new();
        for (_, tag) in resolved {
            if let (Some(digest), Ok(root)) = (&tag.digest, &tag.root) {
                at.entry(digest).or_insert_with(|| {
                    roots.push(root.clone());
                    roots.len() - 1
                });
            }
        }
        let reports = walk_all(&roots, &self.wire, &options, &mut self.memory).await?;
        for (tag, resolved) in resolved {
            let report = resolved.digest.as_ref().and_then(|digest| at.get(digest)).and_then(|at| reports.get(*at));
            let findings = findings(self.name, tag, resolved, report);
            self.walked.tags += 1;
            if TagState::of(&findings) == TagState::Broken {
                let digest = resolved.digest.clone();
                self.suspects.push(Suspect { tag: (*tag).to_owned(), digest, findings });
            } else {
                self.take(tag, resolved.digest.as_ref(), findings);
            }
        }
        reports.iter().for_each(|report| self.memory.forget_sound(report));
        if self.memory.len() > MAX_REMEMBERED {
            self.forgotten_indexes += self.memory.indexes() as u64;
            self.memory = Memory::default();
        }
        Ok(())
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            jobs: self.look.jobs,
            absence: self.look.kind.absence(),
            limits: Limits { findings: FINDINGS_PER_TAG, ..Limits::default() },
            ..Options::default()
        }
    }

    /// Tells what one tag came to, and keeps its findings.
    pub(crate) fn take(&mut self, tag: &str, digest: Option<&Digest>, findings: Vec<Finding>) {
        let outcome = TagOutcome { repository: self.name, tag, digest, findings: &findings };
        self.look.watch.tag(&outcome);
        self.walked.findings.extend(findings);
    }
}

/// The findings of one tag, each saying where it was met.
pub(crate) fn findings(repository: &str, tag: &str, resolved: &Resolved, report: Option<&Report>) -> Vec<Finding> {
    let located =
        |finding: Finding| Finding { repository: Some(repository.to_owned()), tag: Some(tag.to_owned()), ..finding };
    match (&resolved.root, report) {
        (Err(problem), _) => vec![located(about_root(resolved.digest.clone(), problem))],
        (Ok(_), Some(report)) => report.findings.iter().map(|found| located(found.finding.clone())).collect(),
        (Ok(_), None) => Vec::new(),
    }
}

/// A finding about the manifest that a reference names itself.
pub(crate) fn about_root(digest: Option<Digest>, problem: &Problem) -> Finding {
    Finding { digest, status: problem.status, detail: problem.detail.clone(), ..Finding::new(problem.kind) }
}

pub(crate) async fn resolve_listed(wire: &Wire<'_>, tag: &str) -> Result<Resolved, Gone> {
    match Tag::parse(tag) {
        Ok(tag) => resolve(wire, &Reference::Tag(tag)).await,
        Err(error) => {
            let problem = Problem::new(FindingKind::TagDangling, format!("it is listed, but {error}"));
            Ok(Resolved { digest: None, root: Err(problem), size: 0 })
        }
    }
}

/// Fetches what `reference` names and checks that it is a manifest.
///
/// # Errors
/// Only when the registry as a whole is gone.
pub(crate) async fn resolve(wire: &Wire<'_>, reference: &Reference) -> Result<Resolved, Gone> {
    let (manifest, header) = match wire.fetch(reference).await? {
        Fetched::Broken(problem) => {
            let digest = match reference {
                Reference::Digest(digest) => Some(digest.clone()),
                Reference::Tag(_) => None,
            };
            return Ok(Resolved { digest, root: Err(problem), size: 0 });
        }
        Fetched::Found { manifest, digest_header } => (manifest, digest_header),
    };
    let said = match reference {
        Reference::Digest(digest) => Some(digest.clone()),
        Reference::Tag(_) => header.and_then(|header| Digest::parse(&header).ok()),
    };
    let mut hasher = Hasher::new(said.as_ref().map_or(mcr_oci::Algorithm::Sha256, Digest::algorithm));
    hasher.update(&manifest.bytes);
    let computed = hasher.finish();
    let size = manifest.bytes.len() as u64;
    if said.as_ref().is_some_and(|said| *said != computed) {
        let problem = Problem::new(FindingKind::ManifestCorrupt, format!("its bytes hash to {computed}"));
        return Ok(Resolved { digest: said, root: Err(problem), size });
    }
    let root = match Manifest::parse(&manifest.bytes, manifest.media_type.as_deref()) {
        Ok(parsed) => Ok(Root::Parsed { digest: computed.clone(), manifest: Arc::new(parsed), size }),
        Err(error) => Err(Problem::new(FindingKind::ManifestInvalid, error.to_string())),
    };
    Ok(Resolved { digest: Some(computed), root, size })
}
