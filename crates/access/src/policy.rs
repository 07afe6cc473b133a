//! Rules and what they say to a question: deny wins, nothing is allowed by default; never where rules are kept.
//!
//! Contract section 10 and the plan's phase 4. Built-in rules have negative ids and stand before all others; rule −1
//! (administrators) is touched by no deny.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use mcr_oci::glob;
use quick_cache::Equivalent;
use quick_cache::sync::Cache;

use crate::action::Kind;
use crate::builtin::{ADMIN_RULE, Builtins, PROBE_RULE, builtin_rules};
use crate::identity::{Account, AccountKind, Identity};

/// Answers remembered by one set of rules. A set is never changed, so an answer holds as long as its set.
const REMEMBERED: usize = 16 * 1024;

/// What a rule does to what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Permits it, unless another rule denies it.
    Allow,
    /// Refuses it, whatever other rules say.
    Deny,
}

impl Effect {
    /// `allow` or `deny`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    /// The effect of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Allow, Self::Deny].into_iter().find(|effect| effect.as_str() == name)
    }
}

/// One rule. Every field that is not empty must match; an empty one matches anything.
///
/// But for one thing: who has not logged in is allowed only what a rule of the operator's gives to account type
/// `anonymous` by name. Else every rule that forgets a field would be open to whoever can reach the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its number; negative for the built-in ones.
    pub id: i64,
    /// Rules of a lower number decide first among those of one effect; 0 is for the built-in ones.
    pub priority: u32,
    /// What it is for, in the operator's words.
    pub description: String,
    /// What it does.
    pub effect: Effect,
    /// The actions it is about.
    pub actions: Vec<Kind>,
    /// Roles, of which the account has at least one.
    pub roles: Vec<String>,
    /// Kinds of account, of which it is one. None of them is every kind for a deny, and every kind but `anonymous` for
    /// an allow.
    pub account_types: Vec<AccountKind>,
    /// The account, by what the identity service calls it.
    pub subject_uuid: Option<String>,
    /// Patterns, of which one matches the repository. A rule that has some says nothing on actions without a place.
    pub repositories: Vec<String>,
    /// Whether it is in force.
    pub enabled: bool,
}

impl Rule {
    fn is_about(&self, account: &Account, action: Kind, repository: Option<&str>) -> bool {
        (self.actions.is_empty() || self.actions.contains(&action))
            && (self.roles.is_empty() || self.roles.iter().any(|role| account.has_role(role)))
            && self.is_about_kind(account.kind)
            && self.subject_uuid.as_ref().is_none_or(|subject| *subject == account.subject)
            && (self.repositories.is_empty()
                || repository.is_some_and(|name| self.repositories.iter().any(|pattern| glob::matches(pattern, name))))
    }

    fn is_about_kind(&self, kind: AccountKind) -> bool {
        if !self.account_types.is_empty() {
            return self.account_types.contains(&kind);
        }
        kind != AccountKind::Anonymous || self.effect == Effect::Deny || self.id < 0
    }
}

/// What was decided, and by which rule; none is the default, which denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The rule that decided.
    pub rule: Option<Arc<Rule>>,
}

impl Decision {
    /// The deciding rule in words, for logs and `policy explain`.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.rule {
            None => "no rule allows it (default deny)".to_owned(),
            Some(rule) => {
                let kind = if rule.id < 0 { "built-in rule" } else { "rule" };
                let verb = if self.allowed { "allows" } else { "denies" };
                format!("{kind} {} {verb} it ({})", rule.id, rule.description)
            }
        }
    }
}

/// A set of rules in force. Never changed: another set takes its place.
pub struct Policy {
    /// Sorted by priority, built-in ones first; only those in force.
    rules: Vec<Arc<Rule>>,
    remembered: Cache<Question, Decision>,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

/// A question as it is remembered.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Question {
    account: Account,
    action: Kind,
    repository: Option<String>,
}

/// The same, of borrowed parts.
struct Asked<'a> {
    account: &'a Account,
    action: Kind,
    repository: Option<&'a str>,
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As the derived one of `Question`, field by field.
        self.account.hash(state);
        self.action.hash(state);
        self.repository.hash(state);
    }
}

impl Equivalent<Question> for Asked<'_> {
    fn equivalent(&self, key: &Question) -> bool {
        self.action == key.action && self.repository == key.repository.as_deref() && *self.account == key.account
    }
}

impl Policy {
    /// The built-in rules, and those of `rules` that are enabled.
    #[must_use]
    pub fn new(builtins: &Builtins, rules: Vec<Rule>) -> Self {
        let mut own: Vec<Arc<Rule>> = rules.into_iter().filter(|rule| rule.enabled).map(Arc::new).collect();
        own.sort_by_key(|rule| (rule.priority, rule.id));
        let mut all: Vec<Arc<Rule>> = builtin_rules(builtins).into_iter().map(Arc::new).collect();
        all.append(&mut own);
        Self { rules: all, remembered: Cache::new(REMEMBERED) }
    }

    /// The rules in force, in the order they decide.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(AsRef::as_ref)
    }

    /// What the rules say to `account` doing `action`; `repository` is none for actions that have no place.
    #[must_use]
    pub fn explain(&self, account: &Account, action: Kind, repository: Option<&str>) -> Decision {
        let asked = Asked { account, action, repository };
        if let Some(known) = self.remembered.get(&asked) {
            return known;
        }
        let decision = self.look_up(&asked);
        let question = Question { account: account.clone(), action, repository: repository.map(str::to_owned) };
        self.remembered.insert(question, decision.clone());
        decision
    }

    /// The same for an identity, whose scope is not looked at here.
    #[must_use]
    pub(crate) fn explain_to(&self, identity: &Identity, action: Kind, repository: Option<&str>) -> Decision {
        if identity.is_probe() {
            return self.to_the_probe(action);
        }
        self.explain(identity.holder(), action, repository)
    }

    /// The probe is known by its credential and not by its account's name, so no rule of others is about it.
    fn to_the_probe(&self, action: Kind) -> Decision {
        let rule = self.rules.iter().find(|rule| rule.id == PROBE_RULE).cloned();
        let allowed = rule.as_ref().is_some_and(|rule| rule.actions.contains(&action));
        Decision { allowed, rule }
    }

    fn look_up(&self, asked: &Asked<'_>) -> Decision {
        let mut allow = None;
        for rule in self.rules.iter().filter(|rule| rule.id != PROBE_RULE) {
            if !rule.is_about(asked.account, asked.action, asked.repository) {
                continue;
            }
            match rule.effect {
                Effect::Allow if rule.id == ADMIN_RULE => {
                    return Decision { allowed: true, rule: Some(Arc::clone(rule)) };
                }
                Effect::Allow => allow = allow.or(Some(rule)),
                // Administering is outside of what rules say, so a deny of everything is not about it either.
                Effect::Deny => return Decision { allowed: false, rule: Some(Arc::clone(rule)) },
            }
        }
        // No rule can give what only the role gives, one without actions neither; nor the rules themselves to those
        // who have not logged in.
        let is_beyond_rules = match asked.action {
            Kind::Administer => true,
            Kind::ManagePolicy => asked.account.kind == AccountKind::Anonymous,
            _ => false,
        };
        let allow = allow.filter(|_| !is_beyond_rules);
        Decision { allowed: allow.is_some(), rule: allow.cloned() }
    }
}

#[cfg(test)]
mod tests;
