//! The PROXY protocol, versions 1 and 2: what a proxy says of a connection before its first byte; never what HTTP says.
//!
//! Whoever's header is read can claim to be anybody, so it is read only from those who are believed: `trusted_proxies`
//! where they are set, else, with `required`, everybody, because then only proxies reach the port. Loopback may come
//! without one: the registry's own probe and health checks do.

use std::net::IpAddr;
use std::time::Duration;

use ppp::{v1, v2};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::peer::is_in;
use crate::config::{Names, ProxyProtocol};

/// The longest header of version 1, its line end included (specification section 2.1).
const MAX_V1: usize = 107;
/// What comes before the addresses of version 2.
const V2_START: usize = 16;
/// The longest header of version 2 that is read: addresses need at most 216 bytes more than its start, the rest is for
/// what proxies add.
const MAX_V2: usize = 4096;
/// How version 1 begins.
const V1_PREFIX: &[u8] = b"PROXY ";
/// How long is waited for more of a header of which less than its first six bytes came.
const PAUSE: Duration = Duration::from_millis(5);

/// What a connection's first bytes said of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// There was no header, and none was needed.
    Nothing,
    /// A header that names no client: a health check of the proxy's own, or a protocol without addresses.
    Nobody,
    /// The client's address.
    Client(IpAddr),
}

/// Why a connection is closed before its first byte of TLS or HTTP.
#[derive(Debug, thiserror::Error)]
pub enum BadHeader {
    /// It has to begin with a header, and it comes from elsewhere than a trusted proxy.
    #[error("it is not from a trusted proxy")]
    NotTrusted,
    /// It has to begin with a header, and does not.
    #[error("it does not begin with a PROXY protocol header")]
    Missing,
    /// It says that it is from this machine, and comes from another.
    #[error("its PROXY protocol header claims an address of this machine")]
    NotHere,
    /// Its header is none.
    #[error("its PROXY protocol header is malformed: {0}")]
    Malformed(String),
    /// It broke.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Reads the header of a connection that `socket` made, and not a byte more. The caller limits how long that takes.
///
/// # Errors
/// [`BadHeader`]; then the connection is to be closed.
pub async fn read(
    stream: &mut TcpStream,
    socket: IpAddr,
    mode: ProxyProtocol,
    names: &Names,
) -> Result<Said, BadHeader> {
    let may_lack = match mode {
        ProxyProtocol::Off => return Ok(Said::Nothing),
        ProxyProtocol::Optional => true,
        ProxyProtocol::Required => socket.is_loopback(),
    };
    let believed =
        if names.trusted_proxies.is_empty() { !may_lack || socket.is_loopback() } else { is_in(names, socket) };
    match (believed, may_lack) {
        (false, true) => return Ok(Said::Nothing),
        (false, false) => return Err(BadHeader::NotTrusted),
        (true, _) => {}
    }
    let said = match version(stream).await? {
        None if may_lack => return Ok(Said::Nothing),
        None => return Err(BadHeader::Missing),
        Some(Version::One) => one(stream).await?,
        Some(Version::Two) => two(stream).await?,
    };
    match said {
        // Who is here may more (figures), and has no limits: that is not another machine's to say.
        Said::Client(address) if address.is_loopback() && !socket.is_loopback() => Err(BadHeader::NotHere),
        said => Ok(said),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// Looks at the first bytes without taking them.
async fn version(stream: &TcpStream) -> Result<Option<Version>, BadHeader> {
    loop {
        let mut start = [0; V2_START - 4];
        let n = stream.peek(&mut start).await?;
        let seen = start.get(..n).unwrap_or_default();
        if seen.is_empty() {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        if seen.starts_with(V1_PREFIX) {
            return Ok(Some(Version::One));
        }
        if seen == v2::PROTOCOL_PREFIX {
            return Ok(Some(Version::Two));
        }
        if !V1_PREFIX.starts_with(seen) && !v2::PROTOCOL_PREFIX.starts_with(seen) {
            return Ok(None);
        }
        // The rest is on its way; what was looked at keeps the socket readable, so that waiting for it would not wait.
        tokio::time::sleep(PAUSE).await;
    }
}

async fn one(stream: &mut TcpStream) -> Result<Said, BadHeader> {
    let mut line = [0; MAX_V1];
    let mut length = 0;
    // A byte at a time, so that nothing behind the line end is taken; it is one line a connection.
    while !line.get(..length).unwrap_or_default().ends_with(b"\r\n") {
        let Some(place) = line.get_mut(length) else {
            return Err(BadHeader::Malformed(format!("no line end within {MAX_V1} bytes")));
        };
        *place = stream.read_u8().await?;
        length += 1;
    }
    let header = v1::Header::try_from(line.get(..length).unwrap_or_default())
        .map_err(|error| BadHeader::Malformed(error.to_string()))?;
    Ok(match header.addresses {
        v1::Addresses::Unknown => Said::Nobody,
        v1::Addresses::Tcp4(addresses) => client(addresses.source_address.into()),
        v1::Addresses::Tcp6(addresses) => client(addresses.source_address.into()),
    })
}

async fn two(stream: &mut TcpStream) -> Result<Said, BadHeader> {
    let mut start = [0; V2_START];
    stream.read_exact(&mut start).await?;
    let [.., high, low] = start;
    let length = V2_START + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_V2 {
        return Err(BadHeader::Malformed(format!("{length} bytes, more than {MAX_V2}")));
    }
    let mut whole = start.to_vec();
    whole.resize(length, 0);
    if let Some(rest) = whole.get_mut(V2_START..) {
        stream.read_exact(rest).await?;
    }
    let header = v2::Header::try_from(whole.as_slice()).map_err(|error| BadHeader::Malformed(error.to_string()))?;
    Ok(match (header.command, header.addresses) {
        (v2::Command::Local, _) | (_, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => Said::Nobody,
        (v2::Command::Proxy, v2::Addresses::IPv4(addresses)) => client(addresses.source_address.into()),
        (v2::Command::Proxy, v2::Addresses::IPv6(addresses)) => client(addresses.source_address.into()),
    })
}

fn client(address: IpAddr) -> Said {
    Said::Client(address.to_canonical())
}

#[cfg(test)]
mod tests;
