//! The name a client came by, as scheme, host and port: what realms and absolute addresses are made of; never who the client is.
//!
//! `Host` is the client's own word, so its form is checked before it is put into an answer. It is put into answers to
//! that client only, who is never sent to another name than the one it came by (incident 18).

use std::net::Ipv6Addr;

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
