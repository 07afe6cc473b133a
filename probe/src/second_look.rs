//! Tags that looked broken, once more: those that went or moved while the run was under way are not; never a verdict
//! on what stayed.

use std::collections::HashSet;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use mcr_verifier::{Memory, walk_all};

use crate::repository::{Repository, Resolved, Suspect, findings, resolve_listed};
use crate::wire::Gone;

impl Repository<'_> {
    /// Looks at every suspect again, by its tag: what names the same digest is as broken as it was, what names
    /// another is walked anew, and what is neither answered nor listed any more was deleted meanwhile.
    ///
    /// # Errors
    /// Only when the registry as a whole is gone.
    pub(crate) async fn second_look(&mut self) -> Result<(), Gone> {
        let suspects = std::mem::take(&mut self.suspects);
        if suspects.is_empty() {
            return Ok(());
        }
        let again = self.resolve_all(&suspects).await?;
        let mut unanswered = Vec::new();
        for (suspect, now) in suspects.into_iter().zip(again) {
            if now.digest.is_none() && now.root.is_err() {
                unanswered.push(suspect);
            } else if now.digest == suspect.digest {
                self.take(&suspect.tag, suspect.digest.as_ref(), suspect.findings);
            } else {
                self.moved(&suspect.tag, &now).await?;
            }
        }
        if unanswered.is_empty() {
            return Ok(());
        }
        let listed = self.listed(&unanswered).await;
        for suspect in unanswered {
            if listed.as_ref().is_none_or(|listed| listed.contains(&suspect.tag)) {
                self.take(&suspect.tag, suspect.digest.as_ref(), suspect.findings);
            } else {
                self.walked.tags -= 1;
            }
        }
        Ok(())
    }

    async fn resolve_all(&self, suspects: &[Suspect]) -> Result<Vec<Resolved>, Gone> {
        let wire = &self.wire;
        let asked: Vec<BoxFuture<'_, _>> =
            suspects.iter().map(|suspect| resolve_listed(wire, &suspect.tag).boxed()).collect();
        let answers: Vec<Result<Resolved, Gone>> = stream::iter(asked).buffered(self.look.jobs.max(1)).collect().await;
        answers.into_iter().collect()
    }

    /// A tag that names something else than before: nothing that was seen below it need hold any more.
    async fn moved(&mut self, tag: &str, now: &Resolved) -> Result<(), Gone> {
        let mut report = None;
        if let Ok(root) = &now.root {
            let (options, mut memory) = (self.options(), Memory::default());
            report = walk_all(std::slice::from_ref(root), &self.wire, &options, &mut memory).await?.pop();
        }
        let findings = findings(self.name, tag, now, report.as_ref());
        self.take(tag, now.digest.as_ref(), findings);
        Ok(())
    }

    /// Which of these tags are still listed; `None` where that cannot be said.
    async fn listed(&self, suspects: &[Suspect]) -> Option<HashSet<String>> {
        let wanted: HashSet<&str> = suspects.iter().map(|suspect| suspect.tag.as_str()).collect();
        let mut listed = HashSet::new();
        let mut pages = self.look.client.tags(self.wire.repository());
        loop {
            match pages.next().await {
                Ok(Some(page)) => listed.extend(page.into_iter().filter(|tag| wanted.contains(tag.as_str()))),
                Ok(None) | Err(mcr_client::Error::NotFound { .. }) => return Some(listed),
                Err(_) => return None,
            }
        }
    }
}
