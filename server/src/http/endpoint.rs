//! From a path to one closed enum of endpoints; never a method's meaning, a header or an answer.
//!
//! Repository names have slashes, so `/v2/` paths are read from the right (dist-spec "Endpoints").

use mcr_oci::{Digest, Reference, RepositoryName};

use super::query::decode;
use super::v1;
use super::v1::path::AdminPath;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v2`, redirected.
    VersionRedirect,
    /// `/v2/`
    Version,
    /// `/v2/token`
    Token,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `/v2/<name>/manifests/<reference>`
    Manifest(RepositoryName, Reference),
    /// The same with a reference that is neither a tag nor a digest.
    ManifestBadTag(RepositoryName, String),
    /// `/v2/<name>/blobs/<digest>`
    Blob(RepositoryName, Digest),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/<name>/blobs/uploads/<id>`
    Upload(RepositoryName, String),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, Digest),
    /// `/v1/health`
    Health,
    /// Everything else below `/v1/`, which answers in its own form also where nothing is.
    Admin(Result<AdminPath, BadPath>),
    /// `/healthz`
    Alive,
    /// `/readyz`
    Ready,
    /// `/metrics`
    Metrics,
}

/// A path that is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadPath {
    /// Nothing is served there.
    NoSuchPath,
    /// A repository name that is none, and why.
    Name(String),
    /// A digest that is none, and why.
    Digest(String),
}

impl Endpoint {
    /// Reads a path as it came, percent-encoding included.
    ///
    /// # Errors
    /// [`BadPath`].
    pub fn parse(raw: &str) -> Result<Self, BadPath> {
        let path = decode(raw).ok_or(BadPath::NoSuchPath)?;
        match path.as_str() {
            "/v2/" => return Ok(Self::Version),
            "/v2" => return Ok(Self::VersionRedirect),
            "/v2/token" => return Ok(Self::Token),
            "/v2/_catalog" => return Ok(Self::Catalog),
            "/v1/health" => return Ok(Self::Health),
            "/healthz" => return Ok(Self::Alive),
            "/readyz" => return Ok(Self::Ready),
            "/metrics" => return Ok(Self::Metrics),
            _ => {}
        }
        if path.starts_with(v1::path::ROOT) {
            return Ok(Self::Admin(AdminPath::parse(&path, false)));
        }
        let rest = path.strip_prefix("/v2/").ok_or(BadPath::NoSuchPath)?;
        Self::in_repository(rest)
    }

    fn in_repository(rest: &str) -> Result<Self, BadPath> {
        if let Some(repository) = rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads")) {
            return Ok(Self::Uploads(name(repository)?));
        }
        if let Some(repository) = rest.strip_suffix("/tags/list") {
            return Ok(Self::Tags(name(repository)?));
        }
        let (before, last) = rest.rsplit_once('/').ok_or(BadPath::NoSuchPath)?;
        if let Some(repository) = before.strip_suffix("/blobs/uploads") {
            return Ok(Self::Upload(name(repository)?, last.to_owned()));
        }
        if let Some(repository) = before.strip_suffix("/manifests") {
            return manifest(name(repository)?, last);
        }
        if let Some(repository) = before.strip_suffix("/blobs") {
            return Ok(Self::Blob(name(repository)?, digest(last)?));
        }
        if let Some(repository) = before.strip_suffix("/referrers") {
            return Ok(Self::Referrers(name(repository)?, digest(last)?));
        }
        Err(BadPath::NoSuchPath)
    }

    /// The route's name in metrics and logs: a closed set, whatever clients send.
    #[must_use]
    pub fn route(&self) -> &'static str {
        match self {
            Self::VersionRedirect | Self::Version => "version",
            Self::Token => "token",
            Self::Catalog => "catalog",
            Self::Tags(_) => "tags",
            Self::Manifest(..) | Self::ManifestBadTag(..) => "manifest",
            Self::Blob(..) => "blob",
            Self::Uploads(_) => "uploads",
            Self::Upload(..) => "upload",
            Self::Referrers(..) => "referrers",
            Self::Health => "health",
            Self::Admin(path) => path.as_ref().map_or("other", AdminPath::route),
            Self::Alive => "healthz",
            Self::Ready => "readyz",
            Self::Metrics => "metrics",
        }
    }

    /// The methods it knows, for 405.
    #[must_use]
    pub fn allow(&self) -> &'static str {
        match self {
            Self::Manifest(..) | Self::ManifestBadTag(..) => "GET, HEAD, PUT, DELETE",
            Self::Blob(..) => "GET, HEAD, DELETE",
            Self::Uploads(_) => "POST",
            Self::Token => "GET, POST",
            Self::Admin(Ok(path)) => path.allow(),
            Self::Upload(..) => "GET, PATCH, PUT, DELETE",
            _ => "GET, HEAD",
        }
    }
}

fn name(text: &str) -> Result<RepositoryName, BadPath> {
    RepositoryName::parse(text).map_err(|error| BadPath::Name(error.to_string()))
}

fn digest(text: &str) -> Result<Digest, BadPath> {
    Digest::parse(text).map_err(|error| BadPath::Digest(error.to_string()))
}

fn manifest(repository: RepositoryName, reference: &str) -> Result<Endpoint, BadPath> {
    if reference.contains(':') {
        return Ok(Endpoint::Manifest(repository, Reference::Digest(digest(reference)?)));
    }
    Ok(match Reference::parse(reference) {
        Ok(reference) => Endpoint::Manifest(repository, reference),
        Err(error) => Endpoint::ManifestBadTag(repository, error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(name: &str) -> RepositoryName {
        RepositoryName::parse(name).unwrap()
    }

    #[test]
    fn paths_are_read_from_the_right() {
        let digest = Digest::sha256(b"");
        for (path, expected) in [
            ("/v2/".to_owned(), Endpoint::Version),
            ("/v2".to_owned(), Endpoint::VersionRedirect),
            ("/v2/a/b/tags/list".to_owned(), Endpoint::Tags(repository("a/b"))),
            ("/v2/tags/list/tags/list".to_owned(), Endpoint::Tags(repository("tags/list"))),
            ("/v2/a/blobs/uploads".to_owned(), Endpoint::Uploads(repository("a"))),
            ("/v2/a/blobs/uploads/".to_owned(), Endpoint::Uploads(repository("a"))),
            ("/v2/a/blobs/uploads/x".to_owned(), Endpoint::Upload(repository("a"), "x".into())),
            (
                format!("/v2/a%2Fb/blobs/{}", digest.to_string().replace(':', "%3A")),
                Endpoint::Blob(repository("a/b"), digest.clone()),
            ),
            (format!("/v2/a/referrers/{digest}"), Endpoint::Referrers(repository("a"), digest.clone())),
        ] {
            assert_eq!(Endpoint::parse(&path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn tricks_are_no_endpoints() {
        assert!(matches!(Endpoint::parse("/v2/../etc/tags/list"), Err(BadPath::Name(_))));
        assert!(matches!(Endpoint::parse("/v2/a%2F..%2Fb/tags/list"), Err(BadPath::Name(_))));
        assert!(matches!(Endpoint::parse("/v2/a/manifests/sha256:garbage"), Err(BadPath::Digest(_))));
        assert!(matches!(Endpoint::parse("/v2/a/manifests/.INVALID"), Ok(Endpoint::ManifestBadTag(..))));
        assert_eq!(Endpoint::parse("/v3/"), Err(BadPath::NoSuchPath));
        assert_eq!(Endpoint::parse("/v2/a/%ff/list"), Err(BadPath::NoSuchPath));
    }
}
