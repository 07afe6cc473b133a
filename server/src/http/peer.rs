//! Whose request it is, as far as addresses tell: the connection's other end, or whom a trusted proxy speaks for; never an account.
//!
//! `X-Forwarded-For` is read from the right: each proxy adds the address it was connected from, so the right-most
//! entry that is no trusted proxy is the last one somebody trustworthy saw. What stands left of it anybody could have
//! written. `Forwarded` (RFC 7239) is not read: a proxy that writes one of the two passes the other on as it came.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::{FORWARDED, HeaderMap, HeaderName, VIA};
use mcr_authentication::Peer;

use crate::config::Names;

/// `X-Forwarded-For`.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `X-Real-IP`, which says that a proxy was there.
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// Entries of `X-Forwarded-For` that are looked at: more proxies in a row nobody has.
const MAX_HOPS: usize = 32;

/// How a connection came.
#[derive(Debug, Clone)]
pub struct Link {
    /// Who made it: the socket's other end, or whom the PROXY protocol names.
    pub address: IpAddr,
    /// The address stands for nobody in particular: a proxy that named no client.
    pub is_shared: bool,
    /// It is over TLS.
    pub tls: bool,
    /// Our end of it.
    pub local: Option<SocketAddr>,
    /// The networks of trusted proxies, where the address is in one.
    pub(super) trusted: Option<Arc<Names>>,
}

impl Link {
    /// A connection from `address`, under the names in force now.
    #[must_use]
    pub fn new(address: IpAddr, names: &Arc<Names>) -> Self {
        let address = address.to_canonical();
        let trusted = is_in(names, address).then(|| Arc::clone(names));
        Self { trusted, ..Self::direct(address) }
    }

    /// A connection of which nothing but the address is known.
    #[must_use]
    pub fn direct(address: IpAddr) -> Self {
        Self { address, is_shared: false, tls: false, local: None, trusted: None }
    }

    /// The same for an address that stands for nobody in particular.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// Whether a trusted proxy made it, whose word on the client is believed.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.trusted.is_some()
    }

    /// Whom a request with these headers is from.
    #[must_use]
    pub fn peer(&self, headers: &HeaderMap) -> Peer {
        match &self.trusted {
            None => Peer { address: Some(self.address), is_shared: self.is_shared },
            Some(names) => match forwarded_for(names, headers) {
                Some(address) => Peer { address: Some(address), is_shared: false },
                None => Peer { address: Some(self.address), is_shared: true },
            },
        }
    }

    /// Whether a request with these headers is from this machine or a trusted network, and was not passed on for
    /// somebody elsewhere: who may see `/metrics`.
    #[must_use]
    pub fn is_near(&self, headers: &HeaderMap) -> bool {
        let was_passed_on = [&FORWARDED_FOR, &REAL_IP, &FORWARDED, &VIA].iter().any(|name| headers.contains_key(*name));
        match &self.trusted {
            // A proxy on this machine that nobody called trusted: whom it speaks for is not known.
            None => self.address.is_loopback() && !self.is_shared && !was_passed_on,
            Some(_) if !was_passed_on => true,
            Some(names) => {
                let from = forwarded_for(names, headers);
                from.is_some_and(|address| address.is_loopback() || is_in(names, address))
            }
        }
    }
}

/// Whether an address is a trusted proxy's.
pub(super) fn is_in(names: &Names, address: IpAddr) -> bool {
    names.trusted_proxies.iter().any(|network| network.contains(&address))
}

/// The client that trusted proxies name; none where they name none. If all of them are trusted, the farthest.
fn forwarded_for(names: &Names, headers: &HeaderMap) -> Option<IpAddr> {
    let mut farthest = None;
    let lines = headers.get_all(&FORWARDED_FOR).iter().collect::<Vec<_>>();
    let entries = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for entry in entries.take(MAX_HOPS) {
        // What is no address was written by nobody we trust, or says that the client is not known.
        let address = std::str::from_utf8(entry).ok().and_then(|text| address(text.trim()))?;
        if !is_in(names, address) {
            return Some(address);
        }
        farthest = Some(address);
    }
    farthest
}

/// An address, which some proxies write with a port.
fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    let address = address.or_else(|_| {
        text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default().parse::<IpAddr>()
    });
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests;
