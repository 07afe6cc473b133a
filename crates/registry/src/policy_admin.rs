//! Managing policy rules: what one may say, and that it holds before the answer; never what a rule decides.

use std::sync::Arc;

use mcr_access::{Account, AccountKind, Decision, Effect, GlobalPermit, Kind, ManagePolicy, Rule, builtin_rules};
use mcr_metadata::{CreateRule, DeleteRule, RuleFields, RuleRow, UpdateRule};
use mcr_oci::RepositoryName;

use crate::error::Error;
use crate::registry::{Registry, actor};
use crate::words;

/// Rules there may be beside the built-in ones.
pub const MAX_RULES: usize = 10_000;
/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 1000;
/// Most roles of one rule.
const MAX_ROLES: usize = 32;
/// The longest role or subject, in characters.
const MAX_WORD: usize = 255;
/// Most patterns of one rule.
const MAX_PATTERNS: usize = 100;

/// A rule and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRecord {
    /// The rule.
    pub rule: Rule,
    /// When it was made, in Unix milliseconds; 0 for a built-in one.
    pub created_at_ms: i64,
    /// When it was last changed, in Unix milliseconds; 0 for a built-in one.
    pub updated_at_ms: i64,
    /// The account that made it; empty for a built-in one.
    pub created_by: String,
}

/// A rule as somebody writes it; words are checked here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRule {
    /// 1 or more; rules of a lower number decide first.
    pub priority: i64,
    /// What it is for.
    pub description: String,
    /// `allow` or `deny`.
    pub effect: String,
    /// Actions such as `registry:pull` or `pull`; none means all.
    pub actions: Vec<String>,
    /// Roles, of which an account must have one; none means any.
    pub roles: Vec<String>,
    /// `anonymous`, `human`, `system`; none means any that logged in, and for a deny everybody.
    pub account_types: Vec<String>,
    /// The one account it is about.
    pub subject_uuid: Option<String>,
    /// Patterns of repository names; none means every place, and actions that have no place.
    pub repositories: Vec<String>,
    /// Whether it is in force.
    pub enabled: bool,
}

/// What shall be different about a rule; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleChange {
    /// See [`NewRule::priority`].
    pub priority: Option<i64>,
    /// See [`NewRule::description`].
    pub description: Option<String>,
    /// See [`NewRule::effect`].
    pub effect: Option<String>,
    /// See [`NewRule::actions`].
    pub actions: Option<Vec<String>>,
    /// See [`NewRule::roles`].
    pub roles: Option<Vec<String>>,
    /// See [`NewRule::account_types`].
    pub account_types: Option<Vec<String>>,
    /// See [`NewRule::subject_uuid`]; `Some(None)` makes it a rule about every account.
    pub subject_uuid: Option<Option<String>>,
    /// See [`NewRule::repositories`].
    pub repositories: Option<Vec<String>>,
    /// See [`NewRule::enabled`].
    pub enabled: Option<bool>,
}

impl Registry {
    /// Every rule: the built-in ones first, then the others by priority, as they decide.
    #[must_use]
    pub fn rules(&self, _permit: &GlobalPermit<ManagePolicy>) -> Vec<RuleRecord> {
        self.parts.policy.look(|book| {
            let mut own: Vec<RuleRecord> = book.rules.values().cloned().collect();
            own.sort_by_key(|record| (record.rule.priority, record.rule.id));
            let mut all: Vec<RuleRecord> = builtin_rules(&book.builtins()).into_iter().map(builtin).collect();
            all.append(&mut own);
            all
        })
    }

    /// One rule.
    ///
    /// # Errors
    /// [`Error::NoSuch`].
    pub fn rule(&self, _permit: &GlobalPermit<ManagePolicy>, id: i64) -> Result<RuleRecord, Error> {
        let found = self.parts.policy.look(|book| {
            let builtin = || builtin_rules(&book.builtins()).into_iter().find(|rule| rule.id == id).map(builtin);
            book.rules.get(&id).cloned().or_else(builtin)
        });
        found.ok_or_else(|| no_such_rule(id))
    }

    /// Makes a rule, which is in force when this answers.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field and what was expected; [`Error::Conflict`] where there are [`MAX_RULES`];
    /// inability.
    pub async fn create_rule(&self, permit: &GlobalPermit<ManagePolicy>, new: NewRule) -> Result<RuleRecord, Error> {
        let write = CreateRule {
            fields: checked(new)?,
            most: MAX_RULES,
            actor: actor(permit.identity()),
            at_ms: self.parts.clock.now_ms(),
        };
        let parts = Arc::clone(&self.parts);
        let made = self
            .parts
            .writes
            .durable(|m, done| m.create_rule(write, done), move |made| parts.policy_made(made.as_ref()))
            .await?;
        let Some(row) = made else {
            return Err(Error::Conflict(format!("there are {MAX_RULES} policy rules already: delete some first")));
        };
        record(row)
    }

    /// Changes a rule; the change is in force when this answers.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NoSuch`]; [`Error::Conflict`] for a built-in rule; inability.
    pub async fn update_rule(
        &self,
        permit: &GlobalPermit<ManagePolicy>,
        id: i64,
        change: RuleChange,
    ) -> Result<RuleRecord, Error> {
        may_change(id)?;
        let change = change.checked()?;
        let write = UpdateRule {
            id,
            change: Box::new(move |fields| change.apply(fields)),
            actor: actor(permit.identity()),
            at_ms: self.parts.clock.now_ms(),
        };
        let parts = Arc::clone(&self.parts);
        let changed = self
            .parts
            .writes
            .durable(|m, done| m.update_rule(write, done), move |row| parts.policy_written(row.as_ref()))
            .await?;
        record(changed.ok_or_else(|| no_such_rule(id))?)
    }

    /// Deletes a rule, which is out of force when this answers.
    ///
    /// # Errors
    /// [`Error::NoSuch`]; [`Error::Conflict`] for a built-in rule; inability.
    pub async fn delete_rule(&self, permit: &GlobalPermit<ManagePolicy>, id: i64) -> Result<(), Error> {
        may_change(id)?;
        let write = DeleteRule { id, actor: actor(permit.identity()), at_ms: self.parts.clock.now_ms() };
        let parts = Arc::clone(&self.parts);
        let gone = self
            .parts
            .writes
            .durable(
                |m, done| m.delete_rule(write, done),
                move |_| parts.policy.change(|book| drop(book.rules.remove(&id))),
            )
            .await?;
        if gone { Ok(()) } else { Err(no_such_rule(id)) }
    }

    /// What the rules in force say to an account, and which of them decides.
    #[must_use]
    pub fn explain(
        &self,
        _permit: &GlobalPermit<ManagePolicy>,
        account: &Account,
        action: Kind,
        repository: Option<&RepositoryName>,
    ) -> Decision {
        self.policy().explain(account, action, repository.map(RepositoryName::as_str))
    }
}

impl crate::registry::Parts {
    /// The same of a rule that is new: a registry whose rules were lost has one again.
    fn policy_made(&self, row: Option<&RuleRow>) {
        if row.is_some() {
            self.policy.change(|book| book.closed = false);
            self.read_only.open();
        }
        self.policy_written(row);
    }

    /// On the writer's thread, before anybody is told: what was written is in force.
    fn policy_written(&self, row: Option<&RuleRow>) {
        // A row that was checked before it was written can be read; if not, the old set stays and the error is told.
        if let Some(record) = row.and_then(|row| record(row.clone()).ok()) {
            self.policy.change(|book| drop(book.rules.insert(record.rule.id, record)));
        }
    }
}

fn builtin(rule: Rule) -> RuleRecord {
    RuleRecord { rule, created_at_ms: 0, updated_at_ms: 0, created_by: String::new() }
}

fn no_such_rule(id: i64) -> Error {
    Error::NoSuch(format!("there is no policy rule {id}"))
}

fn may_change(id: i64) -> Result<(), Error> {
    if id < 0 {
        let message = format!("rule {id} is built in: it can be neither changed nor deleted; write a rule beside it");
        return Err(Error::Conflict(message));
    }
    Ok(())
}

/// A row as a rule.
///
/// # Errors
/// [`Error::Invalid`] with what it has that no rule has.
pub(crate) fn record(row: RuleRow) -> Result<RuleRecord, Error> {
    let fields = row.fields;
    let rule = Rule {
        id: row.id,
        priority: fields.priority,
        effect: effect(&fields.effect)?,
        actions: actions(&fields.actions)?,
        account_types: account_types(&fields.account_types)?,
        description: fields.description,
        roles: fields.roles,
        subject_uuid: fields.subject,
        repositories: fields.repositories,
        enabled: fields.enabled,
    };
    Ok(RuleRecord {
        rule,
        created_at_ms: row.created_at_ms,
        updated_at_ms: row.updated_at_ms,
        created_by: row.created_by,
    })
}

impl NewRule {
    /// Whether a rule can be made of these words.
    ///
    /// # Errors
    /// [`Error::Invalid`], as [`Registry::create_rule`] gives it.
    pub fn check(&self) -> Result<(), Error> {
        checked(self.clone()).map(drop)
    }
}

fn checked(new: NewRule) -> Result<RuleFields, Error> {
    let change = RuleChange {
        priority: Some(new.priority),
        description: Some(new.description),
        effect: Some(new.effect),
        actions: Some(new.actions),
        roles: Some(new.roles),
        account_types: Some(new.account_types),
        subject_uuid: Some(new.subject_uuid),
        repositories: Some(new.repositories),
        enabled: Some(new.enabled),
    };
    let mut fields = RuleFields {
        priority: 1,
        description: String::new(),
        effect: String::new(),
        actions: Vec::new(),
        roles: Vec::new(),
        account_types: Vec::new(),
        subject: None,
        repositories: Vec::new(),
        enabled: true,
    };
    change.checked()?.apply(&mut fields);
    Ok(fields)
}

impl RuleChange {
    /// The same, in the words that rows have.
    fn checked(self) -> Result<Self, Error> {
        if let Some(priority) = self.priority {
            priority_of(priority)?;
        }
        if let Some(text) = &self.description {
            words::text("description", text, MAX_DESCRIPTION)?;
        }
        if let Some(name) = &self.effect {
            effect(name)?;
        }
        if let Some(roles) = &self.roles {
            words::count("roles", roles, MAX_ROLES)?;
            roles.iter().try_for_each(|role| words::word("roles", role, MAX_WORD))?;
        }
        if let Some(Some(subject)) = &self.subject_uuid {
            words::word("subject_uuid", subject, MAX_WORD)?;
        }
        if let Some(patterns) = &self.repositories {
            words::count("repositories", patterns, MAX_PATTERNS)?;
            patterns.iter().try_for_each(|pattern| words::pattern(pattern))?;
        }
        let named = self.actions.as_deref().map(actions).transpose()?;
        let kinds = self.account_types.as_deref().map(account_types).transpose()?;
        Ok(Self {
            actions: named.map(|kinds| words::unique(kinds.into_iter().map(|kind| kind.as_str().to_owned()))),
            account_types: kinds.map(|kinds| words::unique(kinds.into_iter().map(|kind| kind.as_str().to_owned()))),
            roles: self.roles.map(words::unique),
            repositories: self.repositories.map(words::unique),
            ..self
        })
    }

    fn apply(&self, fields: &mut RuleFields) {
        fn set<T: Clone>(field: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        set(&mut fields.priority, self.priority.and_then(|priority| priority_of(priority).ok()).as_ref());
        set(&mut fields.description, self.description.as_ref());
        set(&mut fields.effect, self.effect.as_ref());
        set(&mut fields.actions, self.actions.as_ref());
        set(&mut fields.roles, self.roles.as_ref());
        set(&mut fields.account_types, self.account_types.as_ref());
        set(&mut fields.subject, self.subject_uuid.as_ref());
        set(&mut fields.repositories, self.repositories.as_ref());
        set(&mut fields.enabled, self.enabled.as_ref());
    }
}

fn priority_of(priority: i64) -> Result<u32, Error> {
    u32::try_from(priority).ok().filter(|priority| *priority > 0).ok_or_else(|| {
        let text = "must be a whole number from 1 to 4294967295 (0 is for the built-in rules)";
        Error::Invalid(format!("priority: {text}, not {priority}"))
    })
}

fn effect(name: &str) -> Result<Effect, Error> {
    Effect::parse(name)
        .ok_or_else(|| Error::Invalid(format!("effect: must be `allow` or `deny`, not `{}`", words::excerpt(name))))
}

fn actions(names: &[String]) -> Result<Vec<Kind>, Error> {
    words::count("actions", names, Kind::IN_RULES.len() * 2)?;
    let parse = |name: &String| {
        Kind::parse(name).ok_or_else(|| {
            let known: Vec<&str> = Kind::IN_RULES.iter().map(|kind| kind.as_str()).collect();
            let name = words::excerpt(name);
            Error::Invalid(format!("actions: `{name}` is none of {}", known.join(", ")))
        })
    };
    names.iter().map(parse).collect()
}

fn account_types(names: &[String]) -> Result<Vec<AccountKind>, Error> {
    words::count("account_types", names, AccountKind::ALL.len() * 2)?;
    let parse = |name: &String| {
        AccountKind::parse(name).ok_or_else(|| {
            let known: Vec<&str> = AccountKind::ALL.iter().map(|kind| kind.as_str()).collect();
            let name = words::excerpt(name);
            Error::Invalid(format!("account_types: `{name}` is none of {}", known.join(", ")))
        })
    };
    names.iter().map(parse).collect()
}

#[cfg(test)]
mod tests;
