//! Who a request is from, once that is known; never how it was found out.

use std::sync::{Arc, LazyLock};

use crate::scope::Scope;

/// The account under which the registry probes itself (built-in rule −4). No other account can have this name.
pub const PROBE_ACCOUNT: &str = "mcr-probe";

/// The role that may do everything (built-in rule −1).
pub const ADMIN_ROLE: &str = "admin";
/// The role of people who get the built-in rule −2.
pub const USER_ROLE: &str = "user";
/// The role of people who get nothing but what rules give them.
pub const GUEST_ROLE: &str = "guest";

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

impl AccountKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Anonymous, Self::Human, Self::System];

    /// Its name in rules: `anonymous`, `human`, `system`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Human => "human",
            Self::System => "system",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// An account as whoever knows it tells of it: the identity service, the password file, a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// The name people know it by; the audit log shows it.
    pub name: String,
    /// What rules know it by (`subject_uuid`): the identity service's UUID, else the name.
    pub subject: String,
    /// The kind of account.
    pub kind: AccountKind,
    /// Its roles, sorted, each once.
    pub roles: Vec<String>,
}

impl Account {
    /// An account whose roles are put in order.
    #[must_use]
    pub fn new(name: impl Into<String>, subject: impl Into<String>, kind: AccountKind, roles: &[&str]) -> Self {
        let mut roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        roles.sort_unstable();
        roles.dedup();
        Self { name: name.into(), subject: subject.into(), kind, roles }
    }

    /// The account with as many roles as a token shows: few and short ones. Who takes a token looks the account up, so
    /// nothing hangs on them, and a header has its limits.
    #[must_use]
    pub fn brief(&self) -> Self {
        let roles = self.roles.iter().filter(|role| role.len() <= 32).take(8).cloned().collect();
        Self { roles, ..self.clone() }
    }

    /// Nobody who logged in.
    #[must_use]
    pub fn anonymous() -> Arc<Self> {
        static NOBODY: LazyLock<Arc<Account>> =
            LazyLock::new(|| Arc::new(Account::new("anonymous", "anonymous", AccountKind::Anonymous, &[])));
        Arc::clone(&NOBODY)
    }

    /// Whether it has the role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }
}

/// Who a request is from. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    account: Arc<Account>,
    /// What the credential was limited to; none for one that may do whatever its account may.
    scope: Option<Arc<Scope>>,
    probe: bool,
    address: Option<Arc<str>>,
}

impl Identity {
    /// An identity that was established, known to rules by its name; `address` is the peer's, for the audit log.
    pub fn new(account: impl Into<String>, kind: AccountKind, admin: bool, address: Option<String>) -> Self {
        let name = account.into();
        let roles: &[&str] = if admin { &[ADMIN_ROLE] } else { &[] };
        Self::of(Arc::new(Account::new(name.clone(), name, kind, roles)), None, address.map(Arc::from))
    }

    /// The holder of an account, limited to `scope` if the credential was.
    #[must_use]
    pub fn of(account: Arc<Account>, scope: Option<Arc<Scope>>, address: Option<Arc<str>>) -> Self {
        Self { account, scope, probe: false, address }
    }

    /// The registry's own probe: a system account that is no administrator, known by a credential that only this
    /// process has.
    #[must_use]
    pub fn probe(address: Option<String>) -> Self {
        static PROBE: LazyLock<Arc<Account>> =
            LazyLock::new(|| Arc::new(Account::new(PROBE_ACCOUNT, PROBE_ACCOUNT, AccountKind::System, &[])));
        Self { account: Arc::clone(&PROBE), scope: None, probe: true, address: address.map(Arc::from) }
    }

    /// The name the audit log shows.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account.name
    }

    /// All that is known of the account.
    #[must_use]
    pub fn holder(&self) -> &Arc<Account> {
        &self.account
    }

    /// The kind of account.
    #[must_use]
    pub fn kind(&self) -> AccountKind {
        self.account.kind
    }

    /// What the credential was limited to; none where it was not.
    #[must_use]
    pub fn scope(&self) -> Option<&Arc<Scope>> {
        self.scope.as_ref()
    }

    /// True for an administrator, whom no rule refuses (built-in rule −1).
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.account.has_role(ADMIN_ROLE)
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
