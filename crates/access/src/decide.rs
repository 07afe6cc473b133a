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
/// Until policy rules land there are three: an administrator may do everything (rule −1), the registry's own probe
/// may read and list everything and nothing else (rule −4), and what no rule allows is refused.
///
/// # Errors
/// [`Refusal`] with the deciding rule.
pub fn decide<A: Action>(identity: &Identity, repository: &RepositoryName) -> Result<Permit<A>, Refusal> {
    match allows(identity, A::KIND) {
        Ok(()) => Ok(Permit::grant(identity.clone(), repository.clone())),
        Err(rule) => Err(refusal::<A>(identity, Some(repository.clone()), rule)),
    }
}

/// Decides on an action that has no repository.
///
/// # Errors
/// [`Refusal`] with the deciding rule.
pub fn decide_global<A: Action>(identity: &Identity) -> Result<GlobalPermit<A>, Refusal> {
    match allows(identity, A::KIND) {
        Ok(()) => Ok(GlobalPermit::grant(identity.clone())),
        Err(rule) => Err(refusal::<A>(identity, None, rule)),
    }
}

fn allows(identity: &Identity, action: Kind) -> Result<(), &'static str> {
    if identity.is_admin() {
        return Ok(());
    }
    if identity.is_probe() {
        return match action {
            Kind::Pull | Kind::Catalog | Kind::VersionCheck => Ok(()),
            Kind::Push | Kind::Delete => Err("the built-in rule -4 lets the probe pull and list, nothing else"),
        };
    }
    Err("no rule allows it (default deny)")
}

fn refusal<A: Action>(identity: &Identity, repository: Option<RepositoryName>, rule: &'static str) -> Refusal {
    Refusal { account: identity.account().to_owned(), action: A::KIND, repository, rule }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Catalog, Delete, Pull, Push, VersionCheck};
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
    fn the_probe_may_read_and_list_and_nothing_else() {
        let probe = Identity::probe(None);
        assert!(decide::<Pull>(&probe, &repository()).is_ok());
        assert!(decide_global::<Catalog>(&probe).is_ok());
        assert!(decide_global::<VersionCheck>(&probe).is_ok());
        let refused =
            [decide::<Push>(&probe, &repository()).unwrap_err(), decide::<Delete>(&probe, &repository()).unwrap_err()];
        for refusal in refused {
            assert!(refusal.to_string().contains("rule -4"), "{refusal}");
        }
    }

    #[test]
    fn an_account_that_only_has_the_probes_name_is_not_the_probe() {
        let namesake = Identity::new(crate::PROBE_ACCOUNT, AccountKind::System, false, None);
        assert!(decide::<Pull>(&namesake, &repository()).is_err());
    }

    #[test]
    fn what_no_rule_allows_is_refused_with_action_and_repository() {
        let nobody = Identity::new("anonymous", AccountKind::Anonymous, false, None);
        let refusal = decide::<Delete>(&nobody, &repository()).unwrap_err();
        assert_eq!(refusal.to_string(), "anonymous may not delete infra/ci: no rule allows it (default deny)");
    }
}
