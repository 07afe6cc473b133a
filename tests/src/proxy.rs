//! A proxy that misbehaves as it is told, between a client and a real registry; one request a connection, and a list
//! of all of them.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longest head that is read.
const MAX_HEAD: usize = 64 << 10;

/// What to do with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Pass it on, and the answer back.
    Forward,
    /// Answer this, as it is, and close.
    Answer(Vec<u8>),
    /// Close with a reset, without a word.
    Reset,
    /// Say nothing until the client gives up.
    Stall,
    /// Pass the answer back, but only so many bytes of head and body together, then close.
    Cut(usize),
    /// Begin a 200 whose body never ends.
    Endless,
    /// Answer a byte every so many milliseconds, for ever.
    Drip(u64),
}

impl Action {
    /// A whole answer of this status.
    #[must_use]
    pub fn status(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Told\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n");
        Self::Answer(format!("{head}{body}").into_bytes())
    }
}

/// Decides by method, target and how many requests came before.
pub type Plan = dyn Fn(&str, &str, usize) -> Action + Send + Sync;

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    stopping: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts one before `upstream`.
    ///
    /// # Panics
    /// Where no port can be had.
    #[must_use]
    pub fn start(upstream: SocketAddr, plan: impl Fn(&str, &str, usize) -> Action + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (requests, stopping) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let plan: Arc<Plan> = Arc::new(plan);
        let (seen, stopped) = (Arc::clone(&requests), Arc::clone(&stopping));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (plan, seen, stopped) = (Arc::clone(&plan), Arc::clone(&seen), Arc::clone(&stopped));
                let Ok(stream) = stream else { continue };
                std::thread::spawn(move || {
                    // Whichever side goes away first, the other is told by the connection's end.
                    let _ = handle(stream, upstream, plan.as_ref(), &seen, &stopped);
                });
            }
        });
        Self { address, requests, stopping }
    }

    /// `http://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, as `METHOD target`.
    ///
    /// # Panics
    /// Never: no thread panics with the list in hand.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no thread panics here").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn handle(
    mut client: TcpStream,
    upstream: SocketAddr,
    plan: &Plan,
    seen: &Mutex<Vec<String>>,
    stopped: &AtomicBool,
) -> std::io::Result<()> {
    let head = read_head(&mut client)?;
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut words = text.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let before = {
        let mut seen = seen.lock().expect("no thread panics here");
        seen.push(format!("{method} {target}"));
        seen.len() - 1
    };
    match plan(method, target, before) {
        Action::Forward => forward(client, upstream, &text, usize::MAX),
        Action::Cut(bytes) => forward(client, upstream, &text, bytes),
        Action::Answer(answer) => {
            client.write_all(&answer)?;
            client.shutdown(Shutdown::Write)
        }
        Action::Reset => {
            // Closed with a lingering time of zero, a connection is reset.
            rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
            Ok(())
        }
        Action::Stall => {
            while !stopped.load(Ordering::SeqCst) && !gone(&client) {
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        }
        Action::Endless => {
            client.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n\r\n")?;
            while !stopped.load(Ordering::SeqCst) {
                client.write_all(&[b' '; 16 << 10])?;
            }
            Ok(())
        }
        Action::Drip(pause) => {
            client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")?;
            while !stopped.load(Ordering::SeqCst) {
                client.write_all(b" ")?;
                std::thread::sleep(Duration::from_millis(pause));
            }
            Ok(())
        }
    }
}

/// Whether the peer has closed.
fn gone(client: &TcpStream) -> bool {
    let _ = client.set_read_timeout(Some(Duration::from_millis(10)));
    matches!(client.peek(&mut [0]), Ok(0))
}

fn read_head(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        if client.read(&mut byte)? == 0 {
            break;
        }
        head.push(byte[0]);
    }
    Ok(head)
}

/// Passes a request without a body on, on a connection that ends with its answer.
fn forward(mut client: TcpStream, upstream: SocketAddr, head: &str, most: usize) -> std::io::Result<()> {
    let mut server = TcpStream::connect(upstream)?;
    let closing = |line: &&str| !line.to_ascii_lowercase().starts_with("connection:") && !line.is_empty();
    let lines: Vec<&str> = head.split("\r\n").filter(closing).collect();
    server.write_all(format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n")).as_bytes())?;
    let mut left = most;
    let mut buffer = vec![0; 64 << 10];
    while left > 0 {
        let read = server.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        let pass = read.min(left);
        client.write_all(&buffer[..pass])?;
        left -= pass;
    }
    client.shutdown(Shutdown::Both)
}
