//! Who is asking, and may they: identities, the pure decision, and the [`Permit`] every use case takes.
//!
//! What never lives here: storage, HTTP, and what is done once it is permitted.

mod action;
mod builtin;
mod credentials;
mod decide;
mod identity;
mod keys;
mod permit;
mod policy;
mod scope;
mod tokens;

pub use action::{Action, Administer, Catalog, Delete, Kind, ManagePolicy, Pull, Push, VersionCheck};
pub use builtin::{Builtins, builtin_rules};
pub use credentials::{CheckPassword, Credentials, MalformedCredentials, probe_bearer};
pub use decide::{Reason, Refusal, decide, decide_global, is_allowed};
pub use identity::{ADMIN_ROLE, Account, AccountKind, GUEST_ROLE, Identity, PROBE_ACCOUNT, USER_ROLE};
pub use keys::{KEY_LIFETIME, KeyError, KeyRing};
pub use permit::{GlobalPermit, Permit};
pub use policy::{Decision, Effect, Policy, Rule};
pub use scope::{ActionSet, Grant, MAX_SCOPE, Scope};
pub use tokens::{Binding, Claims, MAX_TOKEN, TokenError, Use, is_ours, sign, verify};
