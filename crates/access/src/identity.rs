//! Who a request is from, once that is known; never how it was found out.

/// The account under which the registry probes itself (built-in rule −4). No other account can have this name.
pub const PROBE_ACCOUNT: &str = "mcr-probe";

/// The kinds of account that rules tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountKind {
    /// Nobody logged in.
    Anonymous,
    /// A person.
    Human,
    /// A machine: a CI job, a node.
    System,
}

/// Who a request is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    account: String,
    kind: AccountKind,
    admin: bool,
    probe: bool,
    address: Option<String>,
}

impl Identity {
    /// An identity that was established; `address` is the peer's, for the audit log.
    pub fn new(account: impl Into<String>, kind: AccountKind, admin: bool, address: Option<String>) -> Self {
        Self { account: account.into(), kind, admin, probe: false, address }
    }

    /// The registry's own probe: a system account that is no administrator, known by a credential that only this
    /// process has.
    #[must_use]
    pub fn probe(address: Option<String>) -> Self {
        let account = PROBE_ACCOUNT.to_owned();
        Self { account, kind: AccountKind::System, admin: false, probe: true, address }
    }

    /// The name the audit log shows.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The kind of account.
    #[must_use]
    pub fn kind(&self) -> AccountKind {
        self.kind
    }

    /// True for an administrator, whom no rule refuses (built-in rule −1).
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.admin
    }

    /// True for the registry's own probe, whose reads are no use of what they read: they are outside rate limits,
    /// pull counts, audit and hit rates, and ask no scrub.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probe
    }

    /// The address the request came from.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }
}
