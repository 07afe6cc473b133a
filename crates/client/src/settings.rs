//! How to reach a registry, and as whom; never whether it answers.

use std::fmt;
use std::time::Duration;

use reqwest::Url;

use crate::credentials::CredentialFiles;

/// How to reach one registry. Durations and counts that are zero count as the smallest possible.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `http(s)://host[:port]/`; a path is ignored.
    pub base: Url,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// As whom.
    pub login: Login,
    /// The `User-Agent` of every request.
    pub user_agent: String,
    /// For a connection to be made, TLS included.
    pub connect_timeout: Duration,
    /// No byte of a head or of a body for so long is a stall.
    pub silence: Duration,
    /// How often one request is tried that fails by a 5xx, a stall, a reset or a body that ends early.
    pub attempts: u32,
    /// Those tries are spread over at least this long (early ends excepted: they are tried again at once).
    pub attempts_over: Duration,
    /// Never through a proxy that the environment names; loopback never is.
    pub direct: bool,
}

impl Settings {
    /// The defaults: the system's roots, anonymous, 10 s to connect, 20 s of silence, three attempts over 10 s.
    #[must_use]
    pub fn new(base: Url) -> Self {
        Self {
            base,
            trust: Trust::System,
            login: Login::Anonymous,
            user_agent: concat!("mcr/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            silence: Duration::from_secs(20),
            attempts: 3,
            attempts_over: Duration::from_secs(10),
            direct: false,
        }
    }
}

/// Whose certificates are believed, for every connection of a client: also those that redirects and logins lead to.
#[derive(Clone)]
pub enum Trust {
    /// The authorities that this machine trusts.
    System,
    /// A PEM bundle: these authorities and no others.
    Only(Vec<u8>),
    /// The DER of the one leaf certificate that is accepted, whatever its name and its dates.
    Pinned(Vec<u8>),
    /// Every certificate. Whoever is on the way can read the credentials.
    Anything,
}

impl fmt::Debug for Trust {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => formatter.write_str("System"),
            Self::Only(pem) => write!(formatter, "Only({} bytes of PEM)", pem.len()),
            Self::Pinned(der) => write!(formatter, "Pinned({} bytes of DER)", der.len()),
            Self::Anything => formatter.write_str("Anything"),
        }
    }
}

/// As whom a registry is asked. `Debug` masks what is secret.
#[derive(Clone)]
pub enum Login {
    /// As nobody; anonymous tokens are fetched where a registry wants them.
    Anonymous,
    /// With a name and a password, by whichever scheme the registry asks for.
    Basic {
        /// The name.
        username: String,
        /// The password, or an access token that is used as one.
        password: String,
    },
    /// A bearer token that is sent as it is, to the registry's own origin only.
    Token(String),
    /// With what the user's credential files hold for this registry, or for the repository that is asked for.
    Files(CredentialFiles),
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => formatter.write_str("Anonymous"),
            Self::Basic { username, .. } => write!(formatter, "Basic({username:?}, …)"),
            Self::Token(_) => formatter.write_str("Token(…)"),
            Self::Files(files) => formatter.debug_tuple("Files").field(files).finish(),
        }
    }
}
