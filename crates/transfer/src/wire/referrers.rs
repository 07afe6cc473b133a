//! What refers to manifests, asked of a registry; never what a referrer is made of.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures_util::stream::{self, StreamExt as _};
use mcr_client::Error;
use mcr_oci::{Digest, Finding, FindingKind, RepositoryName};
use mcr_probe::Wire;

use super::{RegistryOrigin, failed};
use crate::origin::{Loose, Trouble, Untagged};

/// So many questions tell whether a repository answers this one at all: a single 404 may be about its manifest.
const FIRST: usize = 8;
/// Longest list of referrers of one manifest.
const REFERRERS_MAX: usize = 100_000;
/// So many failures of one round are told; then no more is asked in it.
const FAILURES_MAX: usize = 16;

/// Which repositories answer the question for referrers. Those of a registry without that API keep tags instead, which
/// are tags here too. It may differ between repositories where one registry stands before several.
#[derive(Debug, Default)]
pub(super) struct Answering(Mutex<HashMap<RepositoryName, bool>>);

impl Answering {
    /// Whether this repository answers, as far as that is known.
    fn known(&self, repository: &RepositoryName) -> Option<bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(repository).copied()
    }

    fn note(&self, repository: &RepositoryName, answers: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(repository.clone(), answers);
    }
}

/// The answer about one manifest.
struct Told {
    subject: Digest,
    digests: Vec<Digest>,
    wrong: Option<Wrong>,
}

/// Why it is not a whole list.
enum Wrong {
    /// No such question is known.
    Unknown(String),
    Failed(String),
}

/// Questions that were asked together.
#[derive(Default)]
struct Round {
    loose: Vec<Loose>,
    listed: usize,
    unknown: Vec<String>,
    failed: Vec<String>,
}

impl Round {
    fn note(&mut self, told: Told) {
        let loose = |digest| Loose { digest, subject: Some(told.subject.clone()) };
        self.loose.extend(told.digests.into_iter().map(loose));
        match told.wrong {
            None => self.listed += 1,
            Some(Wrong::Unknown(why)) => self.unknown.push(why),
            Some(Wrong::Failed(why)) => self.failed.push(why),
        }
    }
}

impl RegistryOrigin {
    /// What refers to `subjects` in a repository.
    pub(super) async fn referrers(
        &self,
        repository: &RepositoryName,
        subjects: &[Digest],
    ) -> Result<Untagged, Trouble> {
        let known = self.answering.known(repository);
        if known == Some(false) {
            return Ok(Untagged::default());
        }
        let mut round = Round::default();
        let first = if known.is_none() { subjects.len().min(FIRST) } else { 0 };
        let (first, rest) = subjects.split_at(first);
        let unasked = self.ask(repository, first, &mut round).await?;
        if round.listed == 0 && round.failed.is_empty() && !round.unknown.is_empty() {
            self.answering.note(repository, false);
            return Ok(Untagged::default());
        }
        let unasked = unasked + self.ask(repository, rest, &mut round).await?;
        if known.is_some() || round.listed > 0 {
            self.answering.note(repository, true);
            // It knows the question, and did not answer it.
            round.failed.append(&mut round.unknown);
        }
        round.failed.truncate(FAILURES_MAX);
        if unasked > 0 {
            round.failed.push(format!("{unasked} more manifests were not asked about"));
        }
        let unreachable = |why: String| Finding {
            repository: Some(repository.to_string()),
            detail: Some(format!("its referrers cannot be listed: {why}")),
            ..Finding::new(FindingKind::Unreachable)
        };
        Ok(Untagged { loose: round.loose, findings: round.failed.into_iter().map(unreachable).collect() })
    }

    /// Asks until too much fails; gives how many were not asked about.
    async fn ask(&self, repository: &RepositoryName, subjects: &[Digest], round: &mut Round) -> Result<usize, Trouble> {
        let wire = &self.wire(repository);
        let ask = |subject: Digest| async move { self.question(wire, repository, subject).await };
        let mut answers = stream::iter(subjects.to_vec()).map(ask).buffered(self.jobs);
        let mut asked = 0;
        while round.failed.len() < FAILURES_MAX
            && let Some(told) = answers.next().await
        {
            round.note(told?);
            asked += 1;
        }
        Ok(subjects.len() - asked)
    }

    async fn question(&self, wire: &Wire<'_>, repository: &RepositoryName, subject: Digest) -> Result<Told, Trouble> {
        let mut pages = self.client.referrers(repository, &subject);
        let mut digests: Vec<Digest> = Vec::new();
        let mut begun = false;
        loop {
            let page = {
                let _place = self.pace.place().await;
                pages.next().await
            };
            let wrong = match page {
                Ok(Some(page)) => {
                    begun = true;
                    digests.extend(page.iter().filter_map(|digest| Digest::parse(digest).ok()));
                    if digests.len() <= REFERRERS_MAX {
                        continue;
                    }
                    Some(Wrong::Failed(format!("{subject} has more than {REFERRERS_MAX}")))
                }
                Ok(None) => None,
                Err(error @ Error::NotFound { .. }) if !begun => Some(Wrong::Unknown(error.to_string())),
                Err(error) => Some(Wrong::Failed(failed(wire, error).await?)),
            };
            return Ok(Told { subject, digests, wrong });
        }
    }
}
