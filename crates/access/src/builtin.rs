//! The rules every registry has, whatever its database says (contract section 10); never one that an operator wrote.

use crate::action::Kind;
use crate::identity::{ADMIN_ROLE, AccountKind, PROBE_ACCOUNT, USER_ROLE};
use crate::policy::{Effect, Rule};

/// Administrators may do everything, and no deny touches it.
pub(crate) const ADMIN_RULE: i64 = -1;
/// What people with the role `user` may do.
pub(crate) const USER_RULE: i64 = -2;
/// Everybody may ask for the version.
pub(crate) const VERSION_RULE: i64 = -3;
/// What the registry's own probe may do.
pub(crate) const PROBE_RULE: i64 = -4;

/// What of the built-in rules the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builtins {
    /// `[policy] user_default`: the actions of rule −2.
    pub user_default: Vec<Kind>,
}

impl Builtins {
    /// What people may do where an identity service tells them apart: everything in repositories, as in the plan.
    #[must_use]
    pub fn everything() -> Self {
        Self { user_default: vec![Kind::Pull, Kind::Push, Kind::Delete, Kind::Catalog] }
    }

    /// What people may do where a password file does: pull and list.
    #[must_use]
    pub fn reading() -> Self {
        Self { user_default: vec![Kind::Pull, Kind::Catalog] }
    }
}

/// The built-in rules, in the order they decide.
#[must_use]
pub fn builtin_rules(builtins: &Builtins) -> Vec<Rule> {
    let rule = |id, description: &str, actions: Vec<Kind>| Rule {
        id,
        priority: 0,
        description: description.to_owned(),
        effect: Effect::Allow,
        actions,
        roles: Vec::new(),
        account_types: Vec::new(),
        subject_uuid: None,
        repositories: Vec::new(),
        enabled: true,
    };
    let mut rules = vec![Rule {
        roles: vec![ADMIN_ROLE.to_owned()],
        ..rule(ADMIN_RULE, "administrators may do everything", Vec::new())
    }];
    // A rule without actions is about all of them: `user_default = []` means no rule, not every action.
    if !builtins.user_default.is_empty() {
        rules.push(Rule {
            roles: vec![USER_ROLE.to_owned()],
            account_types: vec![AccountKind::Human],
            ..rule(USER_RULE, "people with the role user: [policy] user_default", builtins.user_default.clone())
        });
    }
    rules.push(rule(VERSION_RULE, "everybody may ask for the version", vec![Kind::VersionCheck]));
    let reading = vec![Kind::VersionCheck, Kind::Pull, Kind::Catalog];
    // The subject is for those who read the rule: the probe is known by its credential.
    rules.push(Rule {
        subject_uuid: Some(PROBE_ACCOUNT.to_owned()),
        ..rule(PROBE_RULE, "the registry's own probe may pull and list, nothing else", reading)
    });
    rules
}
