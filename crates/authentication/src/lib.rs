//! Who is asking: the identity service, the password file, our own tokens, and the limits on guessing; never what an
//! account may do (`mcr-access`) nor a header or a status (the edge).

mod accounts;
mod bearer;
mod checks;
mod figures;
mod files;
mod flight;
mod gate;
mod htpasswd;
mod identity_service;
mod issue;
mod key_file;
mod ledger;
mod login;
mod names;
mod secrets;
mod settings;
mod throttle;
mod validations;
mod watch;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use figures::Figures;
pub use gate::{Gate, GateError};
pub use htpasswd::{HtpasswdError, MAX_PASSWORD};
/// A store of one password: `--dev`, and the probe's credential.
pub use mcr_access::CheckPassword;
pub use reqwest::Url;
pub use settings::{
    Denied, GateSettings, HtpasswdSettings, IdentityServiceSettings, IssuedToken, MAX_TOKEN_TTL, MIN_TOKEN_TTL, Mode,
    Peer, Session, TokenCredentials, TokenRequest,
};
