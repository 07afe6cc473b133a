//! Who a request is from, once that is known; never how it was found out.

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
    address: Option<String>,
}

impl Identity {
    /// An identity that was established; `address` is the peer's, for the audit log.
    pub fn new(account: impl Into<String>, kind: AccountKind, admin: bool, address: Option<String>) -> Self {
        Self { account: account.into(), kind, admin, address }
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

    /// The address the request came from.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }
}
