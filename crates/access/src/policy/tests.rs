//! Rules: which decides, whom it is about, and what is remembered.

use super::*;

fn account(kind: AccountKind, roles: &[&str]) -> Account {
    Account::new("ann", "uuid-ann", kind, roles)
}

fn rule(id: i64, effect: Effect) -> Rule {
    Rule {
        id,
        priority: 100,
        description: format!("rule of the test {id}"),
        effect,
        actions: Vec::new(),
        roles: Vec::new(),
        account_types: Vec::new(),
        subject_uuid: None,
        repositories: Vec::new(),
        enabled: true,
    }
}

fn asked(rules: Vec<Rule>, account: &Account, action: Kind, repository: Option<&str>) -> (bool, Option<i64>) {
    let decision = Policy::new(&Builtins::everything(), rules).explain(account, action, repository);
    (decision.allowed, decision.rule.map(|rule| rule.id))
}

#[test]
fn people_get_what_the_default_says_and_guests_and_machines_nothing() {
    let user = account(AccountKind::Human, &["user"]);
    for action in [Kind::Pull, Kind::Push, Kind::Delete] {
        assert_eq!(asked(vec![], &user, action, Some("a/b")), (true, Some(-2)), "{action:?}");
    }
    assert_eq!(asked(vec![], &user, Kind::Catalog, None), (true, Some(-2)));
    assert_eq!(asked(vec![], &user, Kind::ManagePolicy, None), (false, None));
    for other in [
        account(AccountKind::Human, &["guest"]),
        account(AccountKind::System, &["user"]),
        account(AccountKind::Human, &[]),
    ] {
        assert_eq!(asked(vec![], &other, Kind::Pull, Some("a/b")), (false, None), "{other:?}");
        assert_eq!(asked(vec![], &other, Kind::VersionCheck, None), (true, Some(-3)), "{other:?}");
    }
    let reading = Policy::new(&Builtins::reading(), vec![]);
    assert!(reading.explain(&user, Kind::Pull, Some("a")).allowed);
    assert!(!reading.explain(&user, Kind::Push, Some("a")).allowed);
}

#[test]
fn an_empty_default_gives_nothing_and_not_everything() {
    let policy = Policy::new(&Builtins { user_default: vec![] }, vec![]);
    for action in Kind::IN_RULES.into_iter().filter(|action| *action != Kind::VersionCheck) {
        assert!(!policy.explain(&account(AccountKind::Human, &["user"]), action, Some("a")).allowed, "{action:?}");
    }
}

#[test]
fn who_has_not_logged_in_is_allowed_only_what_names_them() {
    let nobody = Account::anonymous();
    for open in [
        rule(1, Effect::Allow),
        Rule { repositories: vec!["**".into()], ..rule(2, Effect::Allow) },
        Rule { actions: vec![Kind::Pull], ..rule(3, Effect::Allow) },
    ] {
        for action in Kind::IN_RULES.into_iter().filter(|action| *action != Kind::VersionCheck) {
            assert!(!asked(vec![open.clone()], &nobody, action, Some("a")).0, "{open:?} {action:?}");
        }
        assert!(asked(vec![open.clone()], &account(AccountKind::System, &[]), Kind::Pull, Some("a")).0, "{open:?}");
        let named = Rule { account_types: vec![AccountKind::Anonymous], ..open };
        assert!(asked(vec![named.clone()], &nobody, Kind::Pull, Some("a")).0);
        // A deny is about everybody.
        assert_eq!(asked(vec![named, rule(9, Effect::Deny)], &nobody, Kind::Pull, Some("a")), (false, Some(9)));
    }
    assert!(asked(vec![], &nobody, Kind::VersionCheck, None).0);
    let everyone = Account::new("anonymous", "anonymous", AccountKind::Anonymous, &["admin"]);
    assert!(asked(vec![], &everyone, Kind::ManagePolicy, None).0, "without logins everyone is administrator");
}

#[test]
fn deny_wins_whatever_the_priorities_and_touches_no_admin() {
    let rules =
        || vec![Rule { priority: 1, ..rule(7, Effect::Allow) }, Rule { priority: 900, ..rule(8, Effect::Deny) }];
    assert_eq!(asked(rules(), &account(AccountKind::Human, &["user"]), Kind::Pull, Some("a")), (false, Some(8)));
    assert_eq!(asked(rules(), &account(AccountKind::Human, &["admin"]), Kind::Pull, Some("a")), (true, Some(-1)));
    assert_eq!(asked(rules(), &account(AccountKind::Human, &["admin"]), Kind::Administer, None), (true, Some(-1)));
}

#[test]
fn the_first_by_priority_is_named() {
    let rules = vec![Rule { priority: 20, ..rule(1, Effect::Allow) }, Rule { priority: 10, ..rule(2, Effect::Allow) }];
    assert_eq!(asked(rules, &account(AccountKind::System, &[]), Kind::Pull, Some("a")), (true, Some(2)));
    let denies = vec![Rule { priority: 20, ..rule(1, Effect::Deny) }, Rule { priority: 10, ..rule(2, Effect::Deny) }];
    assert_eq!(asked(denies, &account(AccountKind::System, &[]), Kind::Pull, Some("a")), (false, Some(2)));
}

#[test]
fn every_field_that_says_something_must_match() {
    let whole = Rule {
        actions: vec![Kind::Push],
        roles: vec!["deployer".into(), "ci".into()],
        account_types: vec![AccountKind::System],
        subject_uuid: Some("uuid-ann".into()),
        repositories: vec!["infra/*".into(), "apps/**".into()],
        ..rule(5, Effect::Allow)
    };
    let ci = account(AccountKind::System, &["ci"]);
    let is_allowed = |rule: Rule, account: &Account, action, place| asked(vec![rule], account, action, place).0;
    assert!(is_allowed(whole.clone(), &ci, Kind::Push, Some("infra/ci")));
    assert!(is_allowed(whole.clone(), &ci, Kind::Push, Some("apps/a/b/c")));
    assert!(!is_allowed(whole.clone(), &ci, Kind::Push, Some("infra/ci/deep")));
    assert!(!is_allowed(whole.clone(), &ci, Kind::Pull, Some("infra/ci")));
    assert!(!is_allowed(whole.clone(), &account(AccountKind::System, &["other"]), Kind::Push, Some("infra/ci")));
    assert!(!is_allowed(whole.clone(), &account(AccountKind::Human, &["ci"]), Kind::Push, Some("infra/ci")));
    let another = Rule { subject_uuid: Some("uuid-bob".into()), ..whole.clone() };
    assert!(!is_allowed(another, &ci, Kind::Push, Some("infra/ci")));
    assert!(!is_allowed(Rule { enabled: false, ..whole }, &ci, Kind::Push, Some("infra/ci")));
}

#[test]
fn a_rule_for_repositories_says_nothing_on_actions_without_a_place() {
    let rules = vec![Rule { actions: vec![Kind::Catalog], repositories: vec!["**".into()], ..rule(3, Effect::Allow) }];
    assert_eq!(asked(rules, &account(AccountKind::System, &[]), Kind::Catalog, None), (false, None));
}

#[test]
fn no_rule_gives_what_only_the_role_gives() {
    assert_eq!(
        asked(vec![rule(3, Effect::Allow)], &account(AccountKind::System, &[]), Kind::Administer, None),
        (false, None)
    );
}

#[test]
fn nobody_manages_rules_without_a_login() {
    let open = || vec![Rule { account_types: vec![AccountKind::Anonymous], ..rule(3, Effect::Allow) }];
    let nobody = account(AccountKind::Anonymous, &[]);
    assert_eq!(asked(open(), &nobody, Kind::Pull, Some("a")), (true, Some(3)));
    assert_eq!(asked(open(), &nobody, Kind::ManagePolicy, None), (false, None));
    // Where logins are off, everybody is the administrator.
    assert_eq!(asked(vec![], &account(AccountKind::Anonymous, &["admin"]), Kind::ManagePolicy, None), (true, Some(-1)));
}

#[test]
fn what_is_remembered_is_what_was_decided() {
    let policy =
        Policy::new(&Builtins::everything(), vec![Rule { repositories: vec!["a".into()], ..rule(1, Effect::Deny) }]);
    let (user, admin) = (account(AccountKind::Human, &["user"]), account(AccountKind::Human, &["admin"]));
    for _ in 0..3 {
        assert!(!policy.explain(&user, Kind::Pull, Some("a")).allowed);
        assert!(policy.explain(&user, Kind::Pull, Some("b")).allowed);
        assert!(policy.explain(&admin, Kind::Pull, Some("a")).allowed);
    }
}

#[test]
fn remembered_and_borrowed_questions_hash_alike() {
    use std::hash::{BuildHasher as _, RandomState};
    let (state, user) = (RandomState::new(), account(AccountKind::Human, &["user", "x"]));
    for repository in [None, Some("a/b")] {
        let question =
            Question { account: user.clone(), action: Kind::Pull, repository: repository.map(str::to_owned) };
        let asked = Asked { account: &user, action: Kind::Pull, repository };
        assert_eq!(state.hash_one(&question), state.hash_one(&asked));
        assert!(asked.equivalent(&question));
    }
}
