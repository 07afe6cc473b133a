//! Ports for programs that cannot say which one they took; never a fixed one.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the system gives to connections and to listeners on port 0, so that none of those takes one
/// between being found free and being used.
const FIRST: u16 = 18_000;
/// How many there are.
const COUNT: u16 = 12_000;

/// How many were tried in this process.
static TRIED: AtomicU16 = AtomicU16::new(0);

/// An address on loopback whose port is free now, and which this process is given once.
///
/// # Panics
/// Where none is.
#[must_use]
pub fn free() -> SocketAddr {
    // Suites that run at the same time begin at different places.
    let begin = u16::try_from(std::process::id() % 400).expect("below 400") * 30;
    for _ in 0..COUNT {
        let next = TRIED.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (begin + next) % COUNT;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().expect("a bound listener has an address");
        }
    }
    panic!("no port is free");
}
