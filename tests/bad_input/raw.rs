//! Bytes sent as they are, and everything that comes back until the connection ends; never an answer judged.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use mcr_tests::Server;

/// How long a connection may be silent before it counts as left open.
const SILENCE: Duration = Duration::from_secs(10);

/// What came back.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Every byte, as text.
    pub(crate) text: String,
    /// Whether the server ended the connection.
    pub(crate) ended: bool,
}

impl Heard {
    /// The status codes of the answers, in order.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let heads = self.text.split("HTTP/1.1 ").skip(1);
        heads.filter_map(|rest| rest.get(..3)?.parse().ok()).collect()
    }
}

/// A connection on which one can say anything.
pub(crate) fn open(server: &Server) -> TcpStream {
    open_to(server.client().address())
}

fn open_to(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    stream.set_write_timeout(Some(SILENCE)).unwrap();
    stream
}

/// Sends `bytes` and hears the connection out.
pub(crate) fn say(server: &Server, bytes: &[u8]) -> Heard {
    let mut stream = open(server);
    // A server that answers early and closes does not take the rest.
    let _ = stream.write_all(bytes);
    hear(&mut stream)
}

/// Everything that comes until the end of the connection, or until it is silent for too long.
pub(crate) fn hear(stream: &mut TcpStream) -> Heard {
    let mut bytes = Vec::new();
    let ended = match stream.read_to_end(&mut bytes) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    };
    Heard { text: String::from_utf8_lossy(&bytes).into_owned(), ended }
}

/// Runs `each` for every case at once, in threads; the first failure fails the test.
pub(crate) fn at_once<T: Sync>(cases: &[T], each: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| each(case));
        }
    });
}
