//! What one client may have at once: connections, and requests in flight, of which more wait in line; never a limit on logins.
//!
//! A client is an address, of IPv6 the network of 64 bits that one subscriber has. Not counted are loopback, where a
//! proxy in front of everybody may stand, and proxies that name no client.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcr_authentication::Peer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections of one client at once. Clients use up to six each (`clients.md` section 5); a whole site may come from
/// one address.
pub const MAX_CONNECTIONS_OF_ONE: usize = 1024;
/// Requests of one client that are worked on at once; more wait in line, since clients take a 429 badly.
pub const MAX_REQUESTS_OF_ONE: usize = 512;
/// How long a request waits in line before it is answered 429.
const IN_LINE: Duration = Duration::from_secs(30);
/// Parts of the table, each with a lock of its own.
const PARTS: usize = 16;

/// Everybody who has something here now.
#[derive(Debug)]
pub struct Clients {
    parts: [Mutex<HashMap<IpAddr, Arc<Entry>>>; PARTS],
    hasher: RandomState,
    connections: usize,
    requests: usize,
    refused_connections: AtomicU64,
    refused_requests: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    connections: Arc<Semaphore>,
    requests: Arc<Semaphore>,
}

/// One client's place in the table; it goes when the last of these does.
#[derive(Debug)]
pub struct Client {
    clients: Arc<Clients>,
    key: IpAddr,
    entry: Arc<Entry>,
}

/// A client that has all it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl Clients {
    /// A table with the limits of this server.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::with(MAX_CONNECTIONS_OF_ONE, MAX_REQUESTS_OF_ONE)
    }

    fn with(connections: usize, requests: usize) -> Arc<Self> {
        Arc::new(Self {
            parts: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            connections,
            requests,
            refused_connections: AtomicU64::new(0),
            refused_requests: AtomicU64::new(0),
        })
    }

    /// The place of whoever a connection or a request is from; none for those who are not counted.
    #[must_use]
    pub fn of(self: &Arc<Self>, peer: &Peer) -> Option<Client> {
        let address = peer.address.filter(|address| !peer.is_shared && !address.is_loopback())?;
        let key = key(address);
        let mut part = self.part(&key)?.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = part.entry(key).or_insert_with(|| {
            Arc::new(Entry {
                connections: Arc::new(Semaphore::new(self.connections)),
                requests: Arc::new(Semaphore::new(self.requests)),
            })
        });
        Some(Client { clients: Arc::clone(self), key, entry: Arc::clone(entry) })
    }

    /// Connections closed, and requests answered 429, because their client had too many.
    #[must_use]
    pub fn refused(&self) -> (u64, u64) {
        (self.refused_connections.load(Ordering::Relaxed), self.refused_requests.load(Ordering::Relaxed))
    }

    fn part(&self, key: &IpAddr) -> Option<&Mutex<HashMap<IpAddr, Arc<Entry>>>> {
        let at = usize::try_from(self.hasher.hash_one(key) % PARTS as u64).unwrap_or(0);
        self.parts.get(at)
    }
}

impl Client {
    /// A connection's place.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn connect(&self) -> Result<OwnedSemaphorePermit, TooMany> {
        Arc::clone(&self.entry.connections).try_acquire_owned().map_err(|_| {
            self.clients.refused_connections.fetch_add(1, Ordering::Relaxed);
            TooMany
        })
    }

    /// A request's place, waited for in line.
    ///
    /// # Errors
    /// [`TooMany`] after half a minute.
    pub async fn enter(&self) -> Result<OwnedSemaphorePermit, TooMany> {
        if let Ok(place) = Arc::clone(&self.entry.requests).try_acquire_owned() {
            return Ok(place);
        }
        let requests = Arc::clone(&self.entry.requests);
        match tokio::time::timeout(IN_LINE, requests.acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            _ => {
                self.clients.refused_requests.fetch_add(1, Ordering::Relaxed);
                Err(TooMany)
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let Some(part) = self.clients.part(&self.key) else { return };
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        // The table's and this one: nobody else can have taken it while the lock is held.
        if Arc::strong_count(&self.entry) == 2 {
            part.remove(&self.key);
        }
    }
}

/// What counts as one client.
fn key(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer { address: address.parse().ok(), is_shared: false }
    }

    fn held(clients: &Clients) -> usize {
        clients.parts.iter().map(|part| part.lock().unwrap().len()).sum()
    }

    #[test]
    fn one_client_takes_nothing_from_another() {
        let clients = Clients::with(2, 1);
        let (one, other) = (clients.of(&peer("192.0.2.1")).unwrap(), clients.of(&peer("192.0.2.2")).unwrap());
        let places = [one.connect(), one.connect()];
        assert!(places.iter().all(Result::is_ok));
        let again = clients.of(&peer("192.0.2.1")).unwrap();
        assert!(again.connect().is_err() && other.connect().is_ok());
        assert_eq!(clients.refused(), (1, 0));
        drop(places);
        assert!(again.connect().is_ok());
        drop((one, again, other));
        assert_eq!(held(&clients), 0, "who is gone is forgotten");
    }

    #[test]
    fn a_network_of_64_bits_is_one_client() {
        assert_eq!(key("2001:db8:0:1::7".parse().unwrap()), key("2001:db8:0:1:ffff::".parse().unwrap()));
        assert_ne!(key("2001:db8:0:1::7".parse().unwrap()), key("2001:db8:0:2::7".parse().unwrap()));
    }

    #[test]
    fn loopback_and_nameless_proxies_are_not_counted() {
        let clients = Clients::new();
        assert!(clients.of(&peer("127.0.0.1")).is_none() && clients.of(&peer("::1")).is_none());
        assert!(clients.of(&Peer { is_shared: true, ..peer("10.0.0.1") }).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_too_many_waits_in_line() {
        let clients = Clients::with(1, 1);
        let client = clients.of(&peer("192.0.2.1")).unwrap();
        let first = client.enter().await.unwrap();
        let waiting = client.enter();
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(Duration::from_secs(29), &mut waiting).await.is_err());
        drop(first);
        let second = waiting.await.unwrap();
        assert_eq!(client.enter().await.unwrap_err(), TooMany, "but not for ever");
        assert_eq!(clients.refused(), (0, 1));
        drop(second);
        assert!(client.enter().await.is_ok());
    }
}
