//! The name a client came by, as scheme, host and port: what realms and absolute addresses are made of; never who the client is.
//!
//! `Host` is the client's own word, so its form is checked before it is put into an answer. It is put into answers to
//! that client only, who is never sent to another name than the one it came by (incident 18).

use std::net::Ipv6Addr;

use http::header::{HOST, HeaderMap, HeaderName};
use http::request::Parts;

use super::peer::Link;
use crate::config::Names;

/// `X-Forwarded-Host`, believed from trusted proxies.
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// `X-Forwarded-Proto`, believed from trusted proxies.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The longest host name, in bytes (RFC 1035).
const MAX_HOST: usize = 253;

/// A host with a port, if one was named; in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// A name or an address, IPv6 in brackets.
    host: String,
    /// The port, where it was named.
    port: Option<u16>,
}

impl Authority {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port` (RFC 3986 section 3.2 without user information).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                let port = match rest {
                    "" => None,
                    rest => Some(rest.strip_prefix(':')?),
                };
                (format!("[{}]", address.to_ascii_lowercase()), port)
            }
            None => {
                let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
                if host.is_empty() || host.len() > MAX_HOST || !host.chars().all(plain) {
                    return None;
                }
                (host.to_ascii_lowercase(), port)
            }
        };
        let digits = |port: &&str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
        let port = match port {
            None => None,
            Some(port) => Some(Some(port).filter(digits)?.parse().ok()?),
        };
        Some(Self { host, port })
    }

    /// The port a client of `scheme` connects to.
    fn port_of(&self, scheme: &str) -> u16 {
        self.port.unwrap_or(if scheme == "https" { 443 } else { 80 })
    }
}

impl std::fmt::Display for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// A request that names no host in good form, or two different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Host header is not one host[:port]; a registry is asked by the name it is reached by")]
pub struct BadHost;

/// The base URL under which the sender of a request reached us, such as `https://registry.example:8443`: that entry
/// of `[server] external_url` whose host and port it named, else what it named; the first entry, or the address of the
/// connection, only where it named nothing (contract section 10).
///
/// # Errors
/// [`BadHost`].
pub fn base_url(link: &Link, head: &Parts, names: &Names, behind_tls_proxy: bool) -> Result<String, BadHost> {
    let scheme = scheme(link, &head.headers, behind_tls_proxy);
    let Some(asked) = authority(link, head)? else {
        return Ok(match (names.external_url.first(), link.local) {
            (Some(first), _) => first.clone(),
            (None, Some(local)) => format!("{scheme}://{local}"),
            (None, None) => return Err(BadHost),
        });
    };
    let is_asked = |url: &&String| {
        let Some((scheme, authority)) = url.split_once("://") else { return false };
        Authority::parse(authority)
            .is_some_and(|known| known.host == asked.host && known.port_of(scheme) == asked.port_of(scheme))
    };
    Ok(names.external_url.iter().find(is_asked).cloned().unwrap_or_else(|| format!("{scheme}://{asked}")))
}

fn scheme(link: &Link, headers: &HeaderMap, behind_tls_proxy: bool) -> &'static str {
    let said = link.is_trusted().then(|| first(headers, &FORWARDED_PROTO)).flatten();
    match said {
        Some("https") => "https",
        Some("http") => "http",
        _ if link.tls || behind_tls_proxy => "https",
        _ => "http",
    }
}

fn authority(link: &Link, head: &Parts) -> Result<Option<Authority>, BadHost> {
    let parse = |text: &str| Authority::parse(text).ok_or(BadHost);
    if link.is_trusted() && head.headers.contains_key(&FORWARDED_HOST) {
        return first(&head.headers, &FORWARDED_HOST).ok_or(BadHost).and_then(parse).map(Some);
    }
    // HTTP/2 says it in `:authority`; an HTTP/1.1 request to a proxy has it in its target. Beside it Host may stand.
    let mut named = head.uri.authority().map(|authority| parse(authority.as_str())).transpose()?;
    for host in head.headers.get_all(HOST) {
        let text = host.to_str().map_err(|_| BadHost)?;
        if text.is_empty() {
            continue;
        }
        let host = parse(text)?;
        if named.as_ref().is_some_and(|other| *other != host) {
            return Err(BadHost);
        }
        named = Some(host);
    }
    Ok(named)
}

/// What the proxy farthest from us said, the one the client met.
fn first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim)
}

#[cfg(test)]
mod tests;
