//! One registry to talk to; never what it has to say about images.

use std::sync::Arc;

use mcr_oci::{Digest, RepositoryName};
use reqwest::{Method, Url};

use crate::auth::{Auth, Want};
use crate::credentials::Names;
use crate::error::{Error, SetupError};
use crate::pages::{List, Pages};
use crate::response::Answer;
use crate::settings::Settings;
use crate::text::line;
use crate::tries::Trouble;
use crate::wire::{Ask, Wire, origin};

/// The hosts that mean Docker Hub, and the one that speaks for it.
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Where Docker Hub is reached.
const HUB_HOST: &str = "registry-1.docker.io";

/// Under which name its logins are kept.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// A client of one registry. Cloning it is cheap, and clones share connections, tokens and credentials.
///
/// Every method may be dropped at any time, and waits as long as a registry asks it to: bound it from outside.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: Settings,
    /// As a user writes it.
    pub(crate) host: String,
    /// `scheme://host[:port]/` that requests go to.
    pub(crate) base: Url,
    pub(crate) wire: Wire,
    pub(crate) auth: Auth,
    /// What a request last waited for, for whoever gives up waiting.
    pub(crate) waits_for: Trouble,
}

impl Client {
    /// A client with these settings. Nothing is sent yet.
    ///
    /// # Errors
    /// [`SetupError`] for an address, certificates or a login that cannot be used.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let base = base(&settings.base)?;
        let host = host_of(&settings.base);
        let auth = Auth::new(settings.login.clone(), base.clone(), names(&base))?;
        let wire = Wire::new(&settings)?;
        Ok(Self { inner: Arc::new(Inner { settings, host, base, wire, auth, waits_for: Trouble::default() }) })
    }

    /// Why a request was last tried again, in one line: what to tell where one's own time is over. `None` where
    /// nothing failed so far.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.inner.waits_for.last()
    }

    /// `host[:port]` as a user writes it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// `GET /v2/`, logging in where it is asked for.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] where a registry answers that does not let us in; else why none answers.
    pub async fn ping(&self) -> Result<(), Error> {
        let ask = self.inner.ask(Method::GET, "v2/")?;
        let mut tries = self.inner.tries(&ask);
        let answer = self.inner.answer(&ask, &Want::nothing(), &mut tries).await;
        let mut answer = match answer {
            Ok(answer) => answer,
            // A server that breaks every connection off is none that could be asked anything else.
            Err(Error::Failing { status: None, reason, .. }) => {
                let advice = "check the address, and whether it speaks http or https".to_owned();
                return Err(Error::Unreachable { registry: origin(&self.inner.base), reason, advice });
            }
            Err(error) => return Err(error),
        };
        if answer.status() == 200 {
            answer.drain().await;
            return Ok(());
        }
        let said = answer.said().await.text;
        Err(strange(&ask, &answer, said))
    }

    /// Every repository, page by page. `extra` is a raw query such as `proxy=true`.
    #[must_use]
    pub fn catalog(&self, extra: Option<&str>) -> Pages {
        let extra = extra.filter(|extra| !extra.is_empty()).map(|extra| format!("&{extra}"));
        Pages::new(
            self,
            List::Repositories,
            &format!("v2/_catalog?n=1000{}", extra.unwrap_or_default()),
            Want::catalog(),
        )
    }

    /// Every tag of a repository, page by page.
    #[must_use]
    pub fn tags(&self, repository: &RepositoryName) -> Pages {
        Pages::new(self, List::Tags, &format!("v2/{repository}/tags/list?n=1000"), Want::pull(repository))
    }

    /// The digests of what refers to a manifest, page by page. [`Error::NotFound`] where a registry knows no such
    /// question.
    #[must_use]
    pub fn referrers(&self, repository: &RepositoryName, subject: &Digest) -> Pages {
        let path = format!("v2/{repository}/referrers/{subject}");
        Pages::new(self, List::Referrers, &path, Want::pull(repository))
    }
}

impl Inner {
    /// A request for a path below the registry's root, with or without its first slash.
    pub(crate) fn ask(&self, method: Method, path_and_query: &str) -> Result<Ask, Error> {
        // Joined behind a slash that is ours, so that nothing in it is taken for a host.
        let joined = format!("{}{}", self.base, path_and_query.trim_start_matches('/'));
        let wrong = |_| Error::Unexpected {
            what: origin(&self.base),
            reason: format!("`{}` is not a path", line(path_and_query)),
        };
        let url = Url::parse(&joined).map_err(wrong)?;
        Ok(Ask::new(method, url))
    }
}

/// An answer that no registry gives to this question.
pub(crate) fn strange(ask: &Ask, answer: &Answer, said: Option<String>) -> Error {
    let status = answer.status_text();
    let tls = said.as_ref().is_some_and(|said| said.contains("HTTP request to an HTTPS server"));
    let reason = match said {
        _ if tls => "it speaks TLS, and was asked in plain HTTP: use https".to_owned(),
        Some(said) => format!("answers {status} ({said}), as no registry does"),
        None => format!("answers {status}, as no registry does"),
    };
    Error::Unexpected { what: ask.what(), reason }
}

/// The address that requests go to.
pub(crate) fn base(url: &Url) -> Result<Url, SetupError> {
    let mut base = url.clone();
    crate::wire::without_user(&mut base);
    let has_user = base != *url;
    base.set_path("/");
    base.set_query(None);
    base.set_fragment(None);
    let known = matches!(base.scheme(), "http" | "https") && base.host_str().is_some_and(|host| !host.is_empty());
    if !known || has_user {
        return Err(SetupError::Address { url: line(base.as_str()) });
    }
    if is_hub(&base) {
        base.set_host(Some(HUB_HOST)).map_err(|_| SetupError::Address { url: HUB_HOST.to_owned() })?;
    }
    Ok(base)
}

fn is_hub(url: &Url) -> bool {
    url.port().is_none() && url.host_str().is_some_and(|host| HUB.contains(&host))
}

/// `host[:port]`, without a port that the scheme implies.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    line(&url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// Under which names credential files may know the registry.
pub(crate) fn names(base: &Url) -> Names {
    if is_hub(base) {
        return Names { hosts: vec!["docker.io".to_owned()], server: HUB_SERVER.to_owned() };
    }
    let host = host_of(base);
    let implied = base.port().is_none().then(|| base.port_or_known_default()).flatten();
    let with_port = implied.map(|port| format!("{host}:{port}"));
    Names { hosts: std::iter::once(host.clone()).chain(with_port).collect(), server: host }
}

#[cfg(test)]
mod tests;
