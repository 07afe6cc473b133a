//! Who is asking, and may they: identities, the pure decision, and the [`Permit`] every use case takes.
//!
//! What never lives here: storage, HTTP, and what is done once it is permitted.

mod action;
mod authenticate;
mod credentials;
mod decide;
mod identity;
mod permit;

pub use action::{Action, Catalog, Delete, Kind, Pull, Push, VersionCheck};
pub use authenticate::{CheckPassword, Gate, Unauthenticated};
pub use credentials::{Credentials, MalformedCredentials, probe_bearer};
pub use decide::{Refusal, decide, decide_global};
pub use identity::{AccountKind, Identity, PROBE_ACCOUNT};
pub use permit::{GlobalPermit, Permit};
