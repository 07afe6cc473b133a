//! Is everything shown that there is: the database against what the listener showed, at two looks; never a walk.
//!
//! A tag that came or went while the run was under way is no finding: it counts only if the database listed it
//! before the run and still does, and the listener did not show it at either look.

use std::collections::{BTreeMap, BTreeSet};

use mcr_metadata::TagState;
use mcr_oci::{Finding, FindingKind};

use super::seen::{Seen, Stood};

/// What the finding says.
const DETAIL: &str = "the database lists it, the registry does not show it";

/// Repositories, and of each the tags. One without a tag is meant as a whole.
pub(super) type Names = BTreeMap<String, BTreeSet<String>>;

/// What there is.
pub(super) trait Database {
    /// What has been listed since before the run and is not among `seen`.
    ///
    /// # Errors
    /// The database could not be read.
    fn beyond(&self, seen: &Seen) -> impl Future<Output = Result<Names, String>> + Send;
}

/// What is shown.
pub(super) trait Listener {
    /// The catalog.
    ///
    /// # Errors
    /// It could not be had.
    fn repositories(&self) -> impl Future<Output = Result<BTreeSet<String>, String>> + Send;

    /// A repository's tags; none where it is not known.
    ///
    /// # Errors
    /// They could not be had.
    fn tags(&self, repository: &str) -> impl Future<Output = Result<BTreeSet<String>, String>> + Send;
}

/// Findings for what is there and not shown; `seen` learns how those tags stand.
///
/// # Errors
/// Database or catalog could not be read.
pub(super) async fn unseen(
    database: &(impl Database + Sync),
    listener: &(impl Listener + Sync),
    seen: &mut Seen,
) -> Result<Vec<Finding>, String> {
    let mut missing = database.beyond(seen).await?;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    for (repository, tags) in &missing {
        let stood = Stood { digest: None, state: TagState::Undetermined, findings: 0 };
        tags.iter().for_each(|tag| seen.tag(repository, tag, stood.clone()));
    }
    look_again(listener, &mut missing).await?;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let still = database.beyond(&Seen::default()).await?;
    let mut findings = Vec::new();
    for (repository, tags) in missing {
        let Some(listed) = still.get(&repository) else { continue };
        if tags.is_empty() {
            findings.push(finding(&repository, None));
        }
        for tag in tags.intersection(listed) {
            seen.tag(&repository, tag, Stood { digest: None, state: TagState::Broken, findings: 1 });
            findings.push(finding(&repository, Some(tag)));
        }
    }
    Ok(findings)
}

/// Leaves in `missing` what the listener does not show now either.
async fn look_again(listener: &(impl Listener + Sync), missing: &mut Names) -> Result<(), String> {
    let listed = listener.repositories().await?;
    let mut left = Names::new();
    for (repository, tags) in std::mem::take(missing) {
        if !listed.contains(&repository) {
            left.insert(repository, tags);
            continue;
        }
        if tags.is_empty() {
            continue;
        }
        // Tags that cannot be listed are not known to be hidden: the walk has said so of them already.
        if let Ok(shown) = listener.tags(&repository).await {
            let hidden: BTreeSet<String> = tags.difference(&shown).cloned().collect();
            if !hidden.is_empty() {
                left.insert(repository, hidden);
            }
        }
    }
    *missing = left;
    Ok(())
}

fn finding(repository: &str, tag: Option<&str>) -> Finding {
    Finding {
        repository: Some(repository.to_owned()),
        tag: tag.map(str::to_owned),
        detail: Some(DETAIL.to_owned()),
        ..Finding::new(FindingKind::ManifestMissing)
    }
}

#[cfg(test)]
mod tests;
