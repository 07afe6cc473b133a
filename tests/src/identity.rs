//! A stand-in of the identity service: log in, validate, log out over TLS 1.3 under its own authority, in the good and
//! the bad moods of a real one; never a word of what the registry makes of its answers.

mod answers;
mod people;
mod wire;

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::authority::Authority;

pub use people::Person;

/// How it answers `login` and `validate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As documented.
    Well,
    /// Takes the connection and resets it.
    Resets,
    /// Reads the request and says nothing for so long.
    Stalls(Duration),
    /// This status, with `Retry-After: 7` and a line of text.
    Status(u16),
    /// 200 with this type and body.
    Says(&'static str, String),
    /// 200 with a body that does not end before so many bytes.
    Floods(usize),
    /// Half an answer, then the end of the connection.
    Breaks,
}

/// How often each endpoint was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `POST /v1/auth/login`.
    pub logins: usize,
    /// `POST /v1/token/validate`.
    pub validations: usize,
    /// `POST /v1/auth/logout`.
    pub logouts: usize,
    /// Anything else.
    pub others: usize,
}

/// What differs from a healthy service, for one's whole life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flaws {
    /// It speaks no TLS newer than 1.2.
    pub tls_1_2: bool,
    /// Its certificate is from another authority than the one `Identity::authority` names.
    pub foreign: bool,
}

/// A running stand-in.
#[derive(Debug)]
pub struct Identity {
    shared: Arc<Shared>,
    authority: Authority,
    address: SocketAddr,
    listening: Mutex<Option<Arc<AtomicBool>>>,
    _files: tempfile::TempDir,
}

/// What its threads share.
#[derive(Debug)]
struct Shared {
    tls: Arc<rustls::ServerConfig>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    mood: Mood,
    people: people::People,
    counts: Counts,
    /// Second handles of the sockets in use, so that an outage can cut them, by the number of the connection.
    open: BTreeMap<u64, TcpStream>,
    connections: u64,
    /// The last login's `service_name` and `tags`, as JSON.
    last_login: serde_json::Value,
    /// Which text a token was validated by, in order.
    validated: Vec<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a connection; returns its number.
    fn opened(&self, stream: &TcpStream) -> u64 {
        let mut state = self.state();
        state.connections += 1;
        let number = state.connections;
        if let Ok(second) = stream.try_clone() {
            state.open.insert(number, second);
        }
        number
    }
}

impl Identity {
    /// A healthy one on a free port.
    #[must_use]
    pub fn start() -> Self {
        Self::flawed(Flaws::default())
    }

    /// One with these flaws.
    ///
    /// # Panics
    /// Where no port or certificate can be had.
    #[must_use]
    pub fn flawed(flaws: Flaws) -> Self {
        crate::tls::install_provider();
        let authority = Authority::new("identity authority");
        let stranger = flaws.foreign.then(|| Authority::new("another authority"));
        let files = tempfile::tempdir().expect("a directory");
        let issuer = stranger.as_ref().unwrap_or(&authority);
        let issued = issuer.issue(&["127.0.0.1", "identity.test"], files.path());
        let versions: &[_] = if flaws.tls_1_2 { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13] };
        let certificate = CertificateDer::from_pem_file(&issued.certificate).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(&issued.key).expect("a key");
        let tls = rustls::ServerConfig::builder_with_protocol_versions(versions).with_no_client_auth();
        let tls = tls.with_single_cert(vec![certificate], key).expect("they belong together");
        let state = State {
            mood: Mood::Well,
            people: people::People::default(),
            counts: Counts::default(),
            open: BTreeMap::new(),
            connections: 0,
            last_login: serde_json::Value::Null,
            validated: Vec::new(),
        };
        let shared = Arc::new(Shared { tls: Arc::new(tls), state: Mutex::new(state) });
        let listener = listen();
        let address = listener.local_addr().expect("a bound listener has an address");
        let this = Self { shared, authority, address, listening: Mutex::new(None), _files: files };
        this.serve(listener);
        this
    }

    /// `https://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The certificate of its authority.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.authority.certificate()
    }

    /// Takes a person or machine in, or changes it.
    pub fn add(&self, person: Person) {
        self.shared.state().people.add(person);
    }

    /// A token for the account `name`, as an administrator of the service issues it for a machine.
    ///
    /// # Panics
    /// Where there is no such account.
    #[must_use]
    #[track_caller]
    pub fn issue(&self, name: &str, lives: Duration) -> String {
        self.shared.state().people.issue(name, lives).expect("the account is there")
    }

    /// Revokes every token of the account `name`; its password stays.
    pub fn revoke(&self, name: &str) {
        self.shared.state().people.revoke(name);
    }

    /// Answers in another way from now on.
    pub fn mood(&self, mood: Mood) {
        self.shared.state().mood = mood;
    }

    /// How often it was asked so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.state().counts
    }

    /// `service_name` and `tags` of the last login.
    #[must_use]
    pub fn last_login(&self) -> serde_json::Value {
        self.shared.state().last_login.clone()
    }

    /// Every token it gave away, to look for them in logs.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.shared.state().people.tokens()
    }

    /// Stops listening and cuts every connection: connections are refused from now on.
    pub fn down(&self) {
        let stop = self.listening().take();
        if let Some(stop) = stop {
            stop.store(true, Ordering::SeqCst);
            // Wakes the listener, which then closes.
            let _ = TcpStream::connect(self.address);
            crate::clock::wait_until("the stand-in stops listening", || TcpStream::connect(self.address).is_err());
        }
        for stream in self.shared.state().open.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Listens again on the same port.
    ///
    /// # Panics
    /// Where somebody else took the port.
    pub fn up(&self) {
        if self.listening().is_none() {
            self.serve(TcpListener::bind(self.address).expect("its port is free"));
        }
    }

    fn listening(&self) -> MutexGuard<'_, Option<Arc<AtomicBool>>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, listener: TcpListener) {
        let stop = Arc::new(AtomicBool::new(false));
        *self.listening() = Some(Arc::clone(&stop));
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let number = shared.opened(&stream);
                    // Whichever side goes first, the other is told by the connection's end.
                    let served = wire::serve(stream, &shared);
                    // The second handle too, or the socket stays open.
                    shared.state().open.remove(&number);
                    drop(served);
                });
            }
        });
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.down();
    }
}

/// A listener outside the range of ports that the system gives away, so that the port is still free after an outage.
fn listen() -> TcpListener {
    // Another suite may take a free port before we do.
    let mut tries = std::iter::repeat_with(|| TcpListener::bind(crate::ports::free())).take(100);
    tries.find_map(Result::ok).expect("a free port")
}
