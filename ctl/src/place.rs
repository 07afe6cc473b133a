//! Repositories and tags as commands are given them, `[HOST/]REPO` and `[HOST/]REPO:TAG`; never a request.

use mcr_client::About;
use mcr_oci::{Reference, RepositoryName, Tag};
use reqwest::Url;

use crate::api::Api;
use crate::failure::Failure;
use crate::global::Global;
use crate::target::target;

/// A repository of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repository {
    /// The registry.
    pub(crate) base: Url,
    /// Its name.
    pub(crate) name: RepositoryName,
}

/// A tag of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tagged {
    /// The registry.
    pub(crate) base: Url,
    /// The repository.
    pub(crate) name: RepositoryName,
    /// The tag.
    pub(crate) tag: Tag,
}

impl Repository {
    /// The API of its registry, for questions about it.
    ///
    /// # Errors
    /// [`Failure::Usage`] where options make no sense.
    pub(crate) fn api(&self, global: &Global) -> Result<Api, Failure> {
        Ok(Api::at(global, self.base.clone())?.about(About::Repository(self.name.clone())))
    }
}

impl Tagged {
    /// The API of its registry, for questions about it.
    ///
    /// # Errors
    /// [`Failure::Usage`] where options make no sense.
    pub(crate) fn api(&self, global: &Global) -> Result<Api, Failure> {
        Ok(Api::at(global, self.base.clone())?.about(About::Repository(self.name.clone())))
    }
}

/// Reads `[HOST/]REPO`; without a host it is on `--addr`.
///
/// # Errors
/// [`Failure::Usage`] that says what was expected.
pub(crate) fn repository(global: &Global, text: &str) -> Result<Repository, Failure> {
    if has_reference(text) {
        return Err(Failure::Usage(format!("{text:?} has a tag or a digest; expected [HOST/]REPO")));
    }
    let target = target(text, global.said_base()?.as_ref(), global.plain_http)?;
    Ok(Repository { base: target.base, name: target.repository })
}

/// Reads `[HOST/]REPO:TAG`; the tag must be said.
///
/// # Errors
/// [`Failure::Usage`] that says what was expected.
pub(crate) fn tagged(global: &Global, text: &str) -> Result<Tagged, Failure> {
    let expected = || Failure::Usage(format!("{text:?} names no tag; expected [HOST/]REPO:TAG"));
    if !has_reference(text) {
        return Err(expected());
    }
    let target = target(text, global.said_base()?.as_ref(), global.plain_http)?;
    let Reference::Tag(tag) = target.reference else { return Err(expected()) };
    Ok(Tagged { base: target.base, name: target.repository, tag })
}

/// A tag or a manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Referenced {
    /// The repository.
    pub(crate) repository: Repository,
    /// The tag or digest.
    pub(crate) reference: Reference,
}

/// Reads `[HOST/]REPO:TAG` or `[HOST/]REPO@DIGEST`; which of them must be said.
///
/// # Errors
/// [`Failure::Usage`] that says what was expected.
pub(crate) fn referenced(global: &Global, text: &str) -> Result<Referenced, Failure> {
    if !has_reference(text) {
        let expected = "expected [HOST/]REPO:TAG or [HOST/]REPO@DIGEST";
        return Err(Failure::Usage(format!("{text:?} names neither tag nor digest; {expected}")));
    }
    let target = target(text, global.said_base()?.as_ref(), global.plain_http)?;
    let repository = Repository { base: target.base, name: target.repository };
    Ok(Referenced { repository, reference: target.reference })
}

/// Whether a tag or a digest stands behind the name. A colon in front of a slash is that of a port.
fn has_reference(text: &str) -> bool {
    text.contains('@') || text.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_the_name_is_seen() {
        for (text, has) in [
            ("infra/ci", false),
            ("infra/ci:latest", true),
            ("127.0.0.1:5000/ci", false),
            ("127.0.0.1:5000/ci:1", true),
            ("ci@sha256:1", true),
        ] {
            assert_eq!(has_reference(text), has, "{text}");
        }
    }
}
