//! One registry to talk to; never what its answers mean.

use std::sync::Arc;

use mcr_oci::RepositoryName;

use crate::error::{Error, SetupError};
use crate::pages::Pages;
use crate::settings::Settings;

/// A client of one registry. Cloning it is cheap, and clones share connections, tokens and credentials.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) host: String,
}

impl Client {
    /// A client with these settings. Nothing is sent yet.
    ///
    /// # Errors
    /// [`SetupError`] for an address, certificates or a login that cannot be used.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let host = settings.base.host_str().unwrap_or_default().to_owned();
        Ok(Self { inner: Arc::new(Inner { settings, host }) })
    }

    /// `host[:port]` as a user writes it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// `GET /v2/`, logging in where it is asked for.
    ///
    /// # Errors
    /// [`Error`] where no registry answers.
    pub async fn ping(&self) -> Result<(), Error> {
        Err(unfinished(self))
    }

    /// Every repository, page by page. `extra` is a raw query such as `proxy=true`.
    #[must_use]
    pub fn catalog(&self, extra: Option<&str>) -> Pages {
        let _ = extra;
        Pages { client: self.clone() }
    }

    /// Every tag of a repository, page by page.
    #[must_use]
    pub fn tags(&self, repository: &RepositoryName) -> Pages {
        let _ = repository;
        Pages { client: self.clone() }
    }

    /// One GET of another path of the registry's own API, such as `/v1/integrity`: the status and the body.
    ///
    /// # Errors
    /// [`Error`] where there is no answer, or one of more than `max` bytes.
    pub async fn get(&self, path_and_query: &str, max: usize) -> Result<(u16, Vec<u8>), Error> {
        let _ = (path_and_query, max);
        Err(unfinished(self))
    }
}

pub(crate) fn unfinished(client: &Client) -> Error {
    Error::Unexpected { what: client.inner.settings.base.to_string(), reason: "not built yet".to_owned() }
}
