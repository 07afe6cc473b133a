//! Answers to those who must log in first, or whom nothing allows what they ask: 401 with where to log in, 403, 429, 503;
//! never whether they may.

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http::request::Parts;
use mcr_access::{AccountKind, Identity, Reason, Refusal};
use mcr_authentication::Denied;
use mcr_oci::{ErrorCode, RepositoryName};

use super::edge::Edge;
use super::endpoint::Endpoint;
use super::error;
use super::external::{BadHost, base_url};
use super::peer::Link;
use super::query::Query;
use super::respond::{Answer, oci_error};

/// Where tokens are to be had, and what for: what a challenge says.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The server.
    pub edge: &'a Edge,
    /// How the request came, for the name to answer with.
    pub link: &'a Link,
    /// Its method, path and headers.
    pub head: &'a Parts,
}

/// What was wrong with a token, in the words of RFC 6750 section 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Unknown, run out, revoked, or not for us.
    InvalidToken,
    /// Good, but made for something else.
    InsufficientScope,
}

impl Fault {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

impl Ask<'_> {
    /// The value of `WWW-Authenticate`: a realm under the name the client came by, our service, and what a token would
    /// be needed for (RFC 6750; distribution's "Token Authentication Specification").
    ///
    /// # Errors
    /// [`BadHost`]: the request names no host that could stand in it.
    pub fn challenge(&self, scope: Option<&str>, fault: Option<Fault>) -> Result<HeaderValue, BadHost> {
        let edge = self.edge;
        let base = base_url(self.link, self.head, &edge.live.names(), edge.behind_tls_proxy)?;
        let mut text = format!("Bearer realm=\"{base}/v2/token\",service=\"{}\"", edge.gate.service());
        for (name, value) in [("scope", scope), ("error", fault.map(Fault::as_str))] {
            if let Some(value) = value {
                text.push_str(&format!(",{name}=\"{value}\""));
            }
        }
        HeaderValue::from_str(&text).map_err(|_| BadHost)
    }

    /// The 401 that says where to log in.
    #[must_use]
    pub fn unauthorized(&self, message: &str, scope: Option<&str>, fault: Option<Fault>) -> Answer {
        match self.challenge(scope, fault) {
            Ok(challenge) => {
                let mut answer = oci_error(StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized, message);
                answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                answer
            }
            Err(bad) => bad_host(bad),
        }
    }

    /// The answer to somebody of whom it is not known who it is.
    #[must_use]
    pub fn denied(&self, denied: &Denied, scope: Option<&str>) -> Answer {
        let text = denied.to_string();
        match denied {
            Denied::Missing => self.unauthorized(&text, scope, None),
            Denied::Wrong => {
                let fault = has_bearer(&self.head.headers).then_some(Fault::InvalidToken);
                self.unauthorized(&text, scope, fault)
            }
            Denied::Throttled { retry_after } => error::too_many(&text, *retry_after),
            Denied::Unavailable { retry_after, .. } => error::unavailable(&text, *retry_after),
            Denied::BadRequest(_) => oci_error(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, &text),
        }
    }

    /// The answer to a refusal: 401 to nobody in particular and to a token that was made for something else, since a
    /// login or another token might do; else 403. Neither tells whether the repository exists.
    #[must_use]
    pub fn refused(&self, identity: &Identity, refusal: &Refusal, scope: Option<&str>) -> Answer {
        let narrow = refusal.reason == Reason::Scope;
        if !narrow && !is_nobody(identity) {
            return error::refused(refusal);
        }
        let has_token = narrow || identity.scope().is_some();
        let message = match (is_nobody(identity), narrow) {
            (true, _) => Denied::Missing.to_string(),
            (false, _) => format!("{refusal} with this token: it was not made for it"),
        };
        self.unauthorized(&message, scope, has_token.then_some(Fault::InsufficientScope))
    }
}

/// Whether it could be somebody else after logging in.
#[must_use]
pub fn is_nobody(identity: &Identity) -> bool {
    identity.kind() == AccountKind::Anonymous && !identity.is_admin()
}

/// The 400 to a request whose host cannot be put into an answer.
#[must_use]
pub fn bad_host(bad: BadHost) -> Answer {
    oci_error(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, &bad.to_string())
}

/// What a challenge says of the credentials a request came with.
#[must_use]
pub fn fault_of(fault: crate::api::error::Fault, headers: &HeaderMap) -> Option<Fault> {
    use crate::api::error::Fault as Of;
    match fault {
        Of::Missing => None,
        Of::Wrong => has_bearer(headers).then_some(Fault::InvalidToken),
        Of::Narrow => Some(Fault::InsufficientScope),
    }
}

fn has_bearer(headers: &HeaderMap) -> bool {
    let value = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
}

/// What a token must be made for to be let through here, in the grammar of `scope`; none where any token will do.
#[must_use]
pub fn scope_of(endpoint: &Endpoint, method: &http::Method, query: Option<&str>) -> Option<String> {
    let pull = |name: &RepositoryName| Some(format!("repository:{name}:pull"));
    let push = |name: &RepositoryName| Some(format!("repository:{name}:pull,push"));
    let delete = |name: &RepositoryName| Some(format!("repository:{name}:delete"));
    match (method.as_str(), endpoint) {
        (_, Endpoint::Catalog) => Some("registry:catalog:*".to_owned()),
        (_, Endpoint::Tags(name) | Endpoint::Referrers(name, _)) => pull(name),
        ("PUT", Endpoint::Manifest(name, _) | Endpoint::ManifestBadTag(name, _)) => push(name),
        ("DELETE", Endpoint::Manifest(name, _) | Endpoint::ManifestBadTag(name, _) | Endpoint::Blob(name, _)) => {
            delete(name)
        }
        (_, Endpoint::Manifest(name, _) | Endpoint::ManifestBadTag(name, _) | Endpoint::Blob(name, _)) => pull(name),
        (_, Endpoint::Uploads(name)) => {
            let query = Query::parse(query);
            let from = query.get("mount").and(query.get("from")).map(RepositoryName::parse);
            match from {
                Some(Ok(from)) if from != *name => Some(format!("repository:{name}:pull,push repository:{from}:pull")),
                _ => push(name),
            }
        }
        (_, Endpoint::Upload(name, _)) => push(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_asks_for_what_it_needs() {
        let digest = mcr_oci::Digest::sha256(b"");
        let scope = |method: &str, target: &str| {
            let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
            scope_of(&Endpoint::parse(path).unwrap(), &method.parse().unwrap(), query)
        };
        let blob = format!("/v2/a/b/blobs/{digest}");
        for (method, target, expected) in [
            ("GET", "/v2/", None),
            ("GET", "/v2/_catalog", Some("registry:catalog:*")),
            ("GET", "/v2/a/b/tags/list", Some("repository:a/b:pull")),
            ("HEAD", "/v2/a/b/manifests/x", Some("repository:a/b:pull")),
            ("PUT", "/v2/a/b/manifests/x", Some("repository:a/b:pull,push")),
            ("DELETE", "/v2/a/b/manifests/x", Some("repository:a/b:delete")),
            ("GET", &blob, Some("repository:a/b:pull")),
            ("DELETE", &blob, Some("repository:a/b:delete")),
            ("POST", "/v2/a/b/blobs/uploads/", Some("repository:a/b:pull,push")),
            (
                "POST",
                "/v2/a/b/blobs/uploads/?mount=sha256%3Ax&from=c%2Fd",
                Some("repository:a/b:pull,push repository:c/d:pull"),
            ),
            ("POST", "/v2/a/b/blobs/uploads/?mount=x&from=a/b", Some("repository:a/b:pull,push")),
            ("POST", "/v2/a/b/blobs/uploads/?mount=x&from=%22%2C", Some("repository:a/b:pull,push")),
            ("DELETE", "/v2/a/b/blobs/uploads/1", Some("repository:a/b:pull,push")),
            ("GET", "/v1/integrity", None),
        ] {
            assert_eq!(scope(method, target).as_deref(), expected, "{method} {target}");
        }
    }

    #[test]
    fn the_scheme_of_a_token_is_known_in_any_case() {
        let sent =
            |value: &'static str| has_bearer(&HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]));
        assert!(sent("Bearer x") && sent("bearer x") && !sent("Basic x") && !sent("Bearer"));
        assert!(!has_bearer(&HeaderMap::new()));
    }
}
