//! Permits and refusals: who gets one, and what a scope takes away.

use std::sync::Arc;

use super::*;
use crate::action::{Catalog, Delete, ManagePolicy, Pull, Push, VersionCheck};
use crate::builtin::Builtins;
use crate::identity::{Account, AccountKind};
use crate::scope::Scope;

fn repository() -> RepositoryName {
    RepositoryName::parse("infra/ci").unwrap()
}

fn builtin() -> Policy {
    Policy::new(&Builtins::everything(), Vec::new())
}

fn user(scope: Option<&str>) -> Identity {
    let account = Account::new("ann", "uuid-ann", AccountKind::Human, &["user"]);
    Identity::of(Arc::new(account), scope.map(|text| Arc::new(Scope::parse([text]))), None)
}

#[test]
fn an_admin_gets_a_permit_for_the_repository_asked_for() {
    let admin = Identity::new("admin", AccountKind::Human, true, None);
    let permit = decide::<Push>(&builtin(), &admin, &repository()).unwrap();
    assert_eq!(permit.repository().as_str(), "infra/ci");
    assert_eq!(permit.identity().account(), "admin");
    assert!(decide_global::<ManagePolicy>(&builtin(), &admin).is_ok());
}

#[test]
fn the_probe_may_read_and_list_and_nothing_else() {
    let (policy, probe) = (builtin(), Identity::probe(None));
    assert!(decide::<Pull>(&policy, &probe, &repository()).is_ok());
    assert!(decide_global::<Catalog>(&policy, &probe).is_ok());
    assert!(decide_global::<VersionCheck>(&policy, &probe).is_ok());
    let refused = [
        decide::<Push>(&policy, &probe, &repository()).unwrap_err(),
        decide::<Delete>(&policy, &probe, &repository()).unwrap_err(),
    ];
    for refusal in refused {
        assert!(refusal.reason.text().contains("rule -4"), "{refusal:?}");
    }
}

#[test]
fn an_account_that_only_has_the_probes_name_is_not_the_probe() {
    let namesake = Identity::new(crate::PROBE_ACCOUNT, AccountKind::System, false, None);
    assert!(decide::<Pull>(&builtin(), &namesake, &repository()).is_err());
}

#[test]
fn what_no_rule_allows_is_refused_with_action_and_repository_and_the_rule_for_the_log() {
    let nobody = Identity::new("anonymous", AccountKind::Anonymous, false, None);
    let refusal = decide::<Delete>(&builtin(), &nobody, &repository()).unwrap_err();
    assert_eq!(refusal.to_string(), "anonymous may not delete infra/ci");
    assert_eq!(refusal.reason.text(), "no rule allows it (default deny)");
}

#[test]
fn a_scope_narrows_what_rules_allow_and_never_widens_it() {
    let policy = builtin();
    let scoped = user(Some("repository:infra/ci:pull"));
    assert!(decide::<Pull>(&policy, &scoped, &repository()).is_ok());
    assert_eq!(decide::<Push>(&policy, &scoped, &repository()).unwrap_err().reason, Reason::Scope);
    assert_eq!(decide_global::<Catalog>(&policy, &scoped).unwrap_err().reason, Reason::Scope);
    let elsewhere = user(Some("repository:other:pull,push,delete"));
    assert_eq!(decide::<Pull>(&policy, &elsewhere, &repository()).unwrap_err().reason, Reason::Scope);
    // A guest whose token says push has no more than the rules give.
    let guest = Account::new("gus", "uuid-gus", AccountKind::Human, &["guest"]);
    let guest = Identity::of(Arc::new(guest), Some(Arc::new(Scope::parse(["repository:infra/ci:*"]))), None);
    assert!(matches!(decide::<Pull>(&policy, &guest, &repository()).unwrap_err().reason, Reason::Policy(_)));
}

#[test]
fn an_admins_token_for_one_repository_administers_nothing() {
    let account = Account::new("root", "uuid-root", AccountKind::Human, &["admin"]);
    let scoped = Identity::of(Arc::new(account), Some(Arc::new(Scope::parse(["repository:infra/ci:*"]))), None);
    assert_eq!(decide_global::<ManagePolicy>(&builtin(), &scoped).unwrap_err().reason, Reason::Scope);
    assert_eq!(decide_global::<crate::Administer>(&builtin(), &scoped).unwrap_err().reason, Reason::Scope);
}
