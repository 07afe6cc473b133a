//! References as people write them, `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`, into a registry and what is asked of it;
//! never a request.

use mcr_oci::{Digest, Reference, RepositoryName, Tag};
use reqwest::Url;

use crate::address::base_url;
use crate::failure::Failure;

/// The host behind the name `docker.io`, and the folder its short names stand for.
const HUB: [&str; 2] = ["docker.io", "index.docker.io"];

/// What one reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// As it was written.
    pub(crate) text: String,
    /// The registry.
    pub(crate) base: Url,
    /// The repository.
    pub(crate) repository: RepositoryName,
    /// The tag, or the digest where one is given.
    pub(crate) reference: Reference,
}

/// Reads one reference; without a host it is on `addr`.
///
/// # Errors
/// [`Failure::Usage`] that says what was expected.
pub(crate) fn target(text: &str, addr: Option<&Url>, plain_http: bool) -> Result<Target, Failure> {
    let usage = |what: String| {
        Failure::Usage(format!("{text:?} is no reference: {what}; expected [HOST[:PORT]/]NAME[:TAG][@DIGEST]"))
    };
    let (host, rest) = split_host(text);
    let base = match (host, addr) {
        (Some(host), Some(addr)) if host_of(addr) == host => addr.clone(),
        (Some(host), _) => base_url(host, plain_http)?,
        (None, Some(addr)) => addr.clone(),
        (None, None) => {
            let how = "say HOST/NAME, or which registry with --addr";
            return Err(Failure::Usage(format!("{text:?} names no registry; {how}")));
        }
    };
    let (rest, digest) = match rest.split_once('@') {
        Some((rest, digest)) => (rest, Some(Digest::parse(digest).map_err(|error| usage(error.to_string()))?)),
        None => (rest, None),
    };
    // A colon behind the last slash begins a tag; the host with its port is cut off already.
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Tag::parse(tag).map_err(|error| usage(error.to_string()))?),
        _ => (rest, Tag::parse("latest").map_err(|error| usage(error.to_string()))?),
    };
    let hub = host.is_some_and(|host| HUB.contains(&host));
    let name = if hub && !name.contains('/') { format!("library/{name}") } else { name.to_owned() };
    let repository = RepositoryName::parse(&name).map_err(|error| usage(error.to_string()))?;
    let reference = digest.map_or(Reference::Tag(tag), Reference::Digest);
    Ok(Target { text: text.to_owned(), base, repository, reference })
}

/// The first segment is a host if it could not be one of a name: it has a dot or a port, or is `localhost`.
fn split_host(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (Some(first), rest),
        _ => (None, text),
    }
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, addr: Option<&str>) -> Result<(String, String, String), Failure> {
        let addr = addr.map(|addr| base_url(addr, false).unwrap());
        let target = target(text, addr.as_ref(), false)?;
        Ok((target.base.to_string(), target.repository.to_string(), target.reference.as_str().to_owned()))
    }

    #[test]
    fn references_have_hosts_names_tags_and_digests() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, addr, base, name, reference) in [
            ("reg.example/infra/ci:1.0", None, "https://reg.example/", "infra/ci", "1.0"),
            ("reg.example:5000/ci", None, "https://reg.example:5000/", "ci", "latest"),
            ("localhost/ci:x", None, "https://localhost/", "ci", "x"),
            ("infra/ci", Some("http://127.0.0.1:5000"), "http://127.0.0.1:5000/", "infra/ci", "latest"),
            ("127.0.0.1:5000/ci", Some("http://127.0.0.1:5000"), "http://127.0.0.1:5000/", "ci", "latest"),
            ("[::1]:5000/ci", None, "https://[::1]:5000/", "ci", "latest"),
            ("docker.io/alpine:3", None, "https://docker.io/", "library/alpine", "3"),
            (&format!("reg.example/ci:1@{digest}"), None, "https://reg.example/", "ci", &digest),
        ] {
            assert_eq!(read(text, addr), Ok((base.into(), name.into(), reference.into())), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_in_words() {
        for bad in
            ["", "ci", "reg.example/", "reg.example/UPPER", "reg.example/ci:", "reg.example/ci@sha256:1", "a/b:c/d"]
        {
            assert!(matches!(read(bad, None), Err(Failure::Usage(_))), "{bad}");
        }
    }
}
