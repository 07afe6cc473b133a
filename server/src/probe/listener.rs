//! The second look at the listener, over the wire; never a judgement.

use std::collections::BTreeSet;

use mcr_client::{Client, Error, Pages};
use mcr_oci::RepositoryName;

use super::compare::Listener;
use super::run::CATALOG_QUERY;

/// Names that one list may have: more is no registry of ours.
const MAX_NAMES: usize = 1_000_000;

/// The listener, asked through a client.
pub(super) struct Wire<'a>(pub(super) &'a Client);

impl Listener for Wire<'_> {
    async fn repositories(&self) -> Result<BTreeSet<String>, String> {
        all(self.0.catalog(Some(CATALOG_QUERY)))
            .await
            .map_err(|error| format!("the catalog, at a second look: {error}"))
    }

    async fn tags(&self, repository: &str) -> Result<BTreeSet<String>, String> {
        let name = RepositoryName::parse(repository).map_err(|error| error.to_string())?;
        match all(self.0.tags(&name)).await {
            Err(Error::NotFound { .. }) => Ok(BTreeSet::new()),
            listed => listed.map_err(|error| error.to_string()),
        }
    }
}

async fn all(mut pages: Pages) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    while let Some(page) = pages.next().await? {
        names.extend(page);
        if names.len() > MAX_NAMES {
            break;
        }
    }
    Ok(names)
}
