//! The rules in force and the permits they give; never a rule's meaning (`mcr-access`) nor its row.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use mcr_access::{
    Action, Builtins, GlobalPermit, Identity, Kind, Permit, Policy, Refusal, Rule, decide, decide_global, is_allowed,
};
use mcr_oci::RepositoryName;

use crate::policy_admin::RuleRecord;
use crate::read_only::CLOSED;
use crate::registry::Registry;

/// Says of a repository's name whether somebody may see it.
pub type NameFilter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The set of rules in force. Replaced as a whole, so that a request sees one set from its first question to its last.
pub(crate) struct InForce {
    policy: RwLock<Arc<Policy>>,
    book: Mutex<Book>,
}

/// What the set is made from.
pub(crate) struct Book {
    pub(crate) builtins: Builtins,
    /// The rules of the database, disabled ones included.
    pub(crate) rules: BTreeMap<i64, RuleRecord>,
    /// Whether the rules that there were are lost: then nobody but administrators may do anything.
    pub(crate) closed: bool,
}

impl Book {
    /// The built-in rules in force.
    pub(crate) fn builtins(&self) -> Builtins {
        if self.closed { Builtins { user_default: Vec::new() } } else { self.builtins.clone() }
    }

    fn policy(&self) -> Arc<Policy> {
        let rules: Vec<Rule> = self.rules.values().map(|record| record.rule.clone()).collect();
        Arc::new(Policy::new(&self.builtins(), rules))
    }
}

impl InForce {
    pub(crate) fn new(builtins: Builtins, rules: Vec<RuleRecord>, closed: bool) -> Self {
        let rules = rules.into_iter().map(|record| (record.rule.id, record)).collect();
        let book = Book { builtins, rules, closed };
        Self { policy: RwLock::new(book.policy()), book: Mutex::new(book) }
    }

    pub(crate) fn get(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what the set is made from, and puts the new set in force before it returns.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Book)) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut book);
        let policy = book.policy();
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// Looks at what the set is made from.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Registry {
    /// The rules in force now.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.parts.policy.get()
    }

    /// A permit for `A` in a repository.
    ///
    /// # Errors
    /// The refusal, with the reason for the log.
    pub fn permit<A: Action>(&self, identity: &Identity, repository: &RepositoryName) -> Result<Permit<A>, Refusal> {
        decide::<A>(&self.policy(), identity, repository).map_err(|refusal| self.noted(refusal))
    }

    /// A permit for `A`, an action without a place.
    ///
    /// # Errors
    /// The refusal, with the reason for the log.
    pub fn permit_global<A: Action>(&self, identity: &Identity) -> Result<GlobalPermit<A>, Refusal> {
        decide_global::<A>(&self.policy(), identity).map_err(|refusal| self.noted(refusal))
    }

    /// Says with a refusal that the rules are lost, where they are.
    fn noted(&self, refusal: Refusal) -> Refusal {
        let note = self.parts.policy.look(|book| book.closed).then_some(CLOSED);
        Refusal { note, ..refusal }
    }

    /// Puts other built-in rules in force, as after a reload of `[policy] user_default`.
    pub fn set_builtins(&self, builtins: Builtins) {
        self.parts.policy.change(|book| book.builtins = builtins);
    }

    /// Which names a listing shows to `identity`: those it may pull (contract section 8).
    ///
    /// A credential that was limited to some repositories shows only those. One that was made for listing alone, as
    /// clients ask for to read the catalog, shows whatever its account may pull.
    #[must_use]
    pub fn visible(&self, identity: &Identity) -> NameFilter {
        let policy = self.policy();
        let scope = identity.scope().filter(|scope| !scope.grants.is_empty()).cloned();
        let unlimited = match identity.scope() {
            Some(_) => Identity::of(Arc::clone(identity.holder()), None, identity.address().map(Arc::from)),
            None => identity.clone(),
        };
        if unlimited.is_admin() && scope.is_none() {
            return Arc::new(|_| true);
        }
        Arc::new(move |name| {
            scope.as_ref().is_none_or(|scope| scope.names(name))
                && RepositoryName::parse(name)
                    .is_ok_and(|name| is_allowed(&policy, &unlimited, Kind::Pull, Some(&name)))
        })
    }
}
