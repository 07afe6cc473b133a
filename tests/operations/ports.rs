//! Ports for programs that cannot say which one they took; never a fixed one.

use std::net::{SocketAddr, TcpListener};

/// An address on loopback whose port is free now.
pub(crate) fn free() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap()
}
