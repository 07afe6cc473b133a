//! May this identity do this: a pure function of its arguments; never a look at a clock, a row or a header.

use mcr_oci::RepositoryName;

use crate::action::{Action, Kind};
use crate::identity::Identity;
use crate::permit::{GlobalPermit, Permit};

/// A request that no rule allows.
///
/// The text does not tell whether the repository exists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{account} may not {}{}: {rule}", action.verb(), .repository.as_ref().map(|r| format!(" {r}")).unwrap_or_default())]
pub struct Refusal {
    /// Who asked.
    pub account: String,
    /// For what.
    pub action: Kind,
    /// Where, if the action has a place.
    pub repository: Option<RepositoryName>,
    /// The rule that decided.
    pub rule: &'static str,
}

/// Decides on an action in a repository.
///
/// Until policy rules land there are two: an administrator may do everything (rule −1), and what
/// no rule allows is refused.
///
/// # Errors
/// [`Refusal`] with the deciding rule.
pub fn decide<A: Action>(identity: &Identity, repository: &RepositoryName) -> Result<Permit<A>, Refusal> {
    match allows(identity) {
        Ok(()) => Ok(Permit::grant(identity.clone(), repository.clone())),
        Err(rule) => Err(refusal::<A>(identity, Some(repository.clone()), rule)),
    }
}

/// Decides on an action that has no repository.
///
/// # Errors
/// [`Refusal`] with the deciding rule.
pub fn decide_global<A: Action>(identity: &Identity) -> Result<GlobalPermit<A>, Refusal> {
    match allows(identity) {
        Ok(()) => Ok(GlobalPermit::grant(identity.clone())),
        Err(rule) => Err(refusal::<A>(identity, None, rule)),
    }
}

fn allows(identity: &Identity) -> Result<(), &'static str> {
    if identity.is_admin() { Ok(()) } else { Err("no rule allows it (default deny)") }
}

fn refusal<A: Action>(identity: &Identity, repository: Option<RepositoryName>, rule: &'static str) -> Refusal {
    Refusal { account: identity.account().to_owned(), action: A::KIND, repository, rule }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Delete, Push};
    use crate::identity::AccountKind;

    fn repository() -> RepositoryName {
        RepositoryName::parse("infra/ci").unwrap()
    }

    #[test]
    fn an_admin_gets_a_permit_for_the_repository_asked_for() {
        let admin = Identity::new("admin", AccountKind::Human, true, None);
        let permit = decide::<Push>(&admin, &repository()).unwrap();
        assert_eq!(permit.repository().as_str(), "infra/ci");
        assert_eq!(permit.identity().account(), "admin");
    }

    #[test]
    fn what_no_rule_allows_is_refused_with_action_and_repository() {
        let nobody = Identity::new("anonymous", AccountKind::Anonymous, false, None);
        let refusal = decide::<Delete>(&nobody, &repository()).unwrap_err();
        assert_eq!(refusal.to_string(), "anonymous may not delete infra/ci: no rule allows it (default deny)");
    }
}
