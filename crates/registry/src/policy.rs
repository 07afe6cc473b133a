//! The rules in force and the permits they give; never a rule's meaning (`mcr-access`) nor its row.

use std::sync::{Arc, PoisonError, RwLock};

use mcr_access::{Action, GlobalPermit, Identity, Permit, Policy, Refusal, decide, decide_global};
use mcr_oci::RepositoryName;

use crate::registry::Registry;

/// The set of rules in force. Replaced as a whole, so that a request sees one set from its first question to its last.
pub(crate) struct InForce(RwLock<Arc<Policy>>);

impl InForce {
    pub(crate) fn new(policy: Policy) -> Self {
        Self(RwLock::new(Arc::new(policy)))
    }

    pub(crate) fn get(&self) -> Arc<Policy> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    #[expect(dead_code, reason = "rules of the database come with the next step")]
    pub(crate) fn set(&self, policy: Policy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
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
        decide::<A>(&self.policy(), identity, repository)
    }

    /// A permit for `A`, an action without a place.
    ///
    /// # Errors
    /// The refusal, with the reason for the log.
    pub fn permit_global<A: Action>(&self, identity: &Identity) -> Result<GlobalPermit<A>, Refusal> {
        decide_global::<A>(&self.policy(), identity)
    }
}
