//! May this identity do this: a pure function of its arguments; never a look at a clock, a row or a header.

use mcr_oci::RepositoryName;

use crate::action::{Action, Kind};
use crate::identity::Identity;
use crate::permit::{GlobalPermit, Permit};
use crate::policy::Policy;

/// A request that is not allowed.
///
/// The text does not tell whether the repository exists, nor the rule: that is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{account} may not {}{}{}",
    action.verb(),
    .repository.as_ref().map(|r| format!(" {r}")).unwrap_or_default(),
    .note.map(|note| format!(": {note}")).unwrap_or_default()
)]
pub struct Refusal {
    /// Who asked.
    pub account: String,
    /// For what.
    pub action: Kind,
    /// Where, if the action has a place.
    pub repository: Option<RepositoryName>,
    /// Why.
    pub reason: Reason,
    /// What whoever asked should know of the registry, where something is out of order.
    pub note: Option<&'static str>,
}

/// Why something is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Rules deny it, or none allows it: the deciding one in words.
    Policy(String),
    /// Rules allow it, the credential was made for something else.
    Scope,
}

impl Reason {
    /// For the log.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Policy(rule) => rule,
            Self::Scope => "the token was not made for it",
        }
    }
}

/// Decides on an action in a repository.
///
/// Rules are asked before the scope: what no token could give is a refusal, and only what another token could give
/// sends a client for one.
///
/// # Errors
/// [`Refusal`] with the reason.
pub fn decide<A: Action>(
    policy: &Policy,
    identity: &Identity,
    repository: &RepositoryName,
) -> Result<Permit<A>, Refusal> {
    match why_not(policy, identity, A::KIND, Some(repository)) {
        None => Ok(Permit::grant(identity.clone(), repository.clone())),
        Some(reason) => Err(refusal::<A>(identity, Some(repository.clone()), reason)),
    }
}

/// Decides on an action that has no repository.
///
/// # Errors
/// [`Refusal`] with the reason.
pub fn decide_global<A: Action>(policy: &Policy, identity: &Identity) -> Result<GlobalPermit<A>, Refusal> {
    match why_not(policy, identity, A::KIND, None) {
        None => Ok(GlobalPermit::grant(identity.clone())),
        Some(reason) => Err(refusal::<A>(identity, None, reason)),
    }
}

/// Whether `kind` would be permitted: for filters, and for what a token may be made for.
#[must_use]
pub fn is_allowed(policy: &Policy, identity: &Identity, kind: Kind, repository: Option<&RepositoryName>) -> bool {
    why_not(policy, identity, kind, repository).is_none()
}

fn why_not(policy: &Policy, identity: &Identity, action: Kind, repository: Option<&RepositoryName>) -> Option<Reason> {
    let place = repository.map(RepositoryName::as_str);
    let decision = policy.explain_to(identity, action, place);
    if !decision.allowed {
        return Some(Reason::Policy(decision.reason()));
    }
    let covered = identity.scope().is_none_or(|scope| scope.covers(action, place));
    (!covered).then_some(Reason::Scope)
}

fn refusal<A: Action>(identity: &Identity, repository: Option<RepositoryName>, reason: Reason) -> Refusal {
    Refusal { account: identity.account().to_owned(), action: A::KIND, repository, reason, note: None }
}

#[cfg(test)]
mod tests;
