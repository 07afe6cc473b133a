//! Policy rules: listed, made, changed, deleted, explained; never what a rule means.

use mcr_access::{Account, AccountKind, Kind, ManagePolicy, Rule, USER_ROLE};
use mcr_registry::RuleRecord;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::words::{AccountType, Action, Effect};
use super::{ApiError, Caller, Page, Time, page, repository_name, shown};

/// A rule as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PolicyRule {
    /// Its number; negative for the built-in ones.
    pub id: i64,
    /// Lower numbers decide first; 0 is for the built-in ones.
    pub priority: u32,
    /// What it is for.
    pub description: String,
    /// `allow` or `deny`.
    #[schema(value_type = Effect)]
    pub effect: String,
    /// Such as `registry:pull`; empty is every action.
    #[schema(value_type = Vec<Action>)]
    pub actions: Vec<String>,
    /// Roles, of which the account has one; empty is any account.
    pub roles: Vec<String>,
    /// `anonymous`, `human`, `system`; empty is any that logged in, and for `deny` everybody.
    #[schema(value_type = Vec<AccountType>)]
    pub account_types: Vec<String>,
    /// The account: the identity service's UUID, else the name; null is any.
    pub subject_uuid: Option<String>,
    /// Patterns of repository names; empty is any, and also actions without a place.
    pub repositories: Vec<String>,
    /// Whether it is in force.
    pub enabled: bool,
    /// When it was made; null for the built-in ones.
    pub created_at: Option<Time>,
    /// When it was last changed; null for the built-in ones.
    pub updated_at: Option<Time>,
    /// Who made it; null for the built-in ones.
    pub created_by: Option<String>,
}

/// A page of rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleList {
    /// The built-in ones first, then by priority.
    pub rules: Vec<PolicyRule>,
    /// Where the next page begins; null on the last one.
    pub next: Option<String>,
}

/// A rule to be made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRule {
    /// 1 or more: lower numbers decide first.
    #[schema(minimum = 1, maximum = 4_294_967_295_u64)]
    pub priority: i64,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// `allow` or `deny`.
    #[schema(value_type = Effect)]
    pub effect: String,
    /// Such as `registry:pull`; empty is every action.
    #[serde(default)]
    #[schema(value_type = Vec<Action>)]
    pub actions: Vec<String>,
    /// Roles, of which the account has one; empty is any account.
    #[serde(default)]
    pub roles: Vec<String>,
    /// `anonymous`, `human`, `system`; empty is any that logged in, and for `deny` everybody.
    #[serde(default)]
    #[schema(value_type = Vec<AccountType>)]
    pub account_types: Vec<String>,
    /// The account: the identity service's UUID, else the name.
    #[serde(default)]
    pub subject_uuid: Option<String>,
    /// Patterns of repository names: `*` within a segment, `**` across.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// Whether it is in force.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// What of a rule is to be changed; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleChange {
    /// 1 or more.
    #[schema(minimum = 1, maximum = 4_294_967_295_u64, nullable = false)]
    pub priority: Option<i64>,
    /// What it is for.
    #[schema(nullable = false)]
    pub description: Option<String>,
    /// `allow` or `deny`.
    #[schema(value_type = Option<Effect>, nullable = false)]
    pub effect: Option<String>,
    /// All of them.
    #[schema(value_type = Option<Vec<Action>>, nullable = false)]
    pub actions: Option<Vec<String>>,
    /// All of them.
    #[schema(nullable = false)]
    pub roles: Option<Vec<String>>,
    /// All of them.
    #[schema(value_type = Option<Vec<AccountType>>, nullable = false)]
    pub account_types: Option<Vec<String>>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub subject_uuid: Option<Option<String>>,
    /// All of them.
    #[schema(nullable = false)]
    pub repositories: Option<Vec<String>>,
    /// Whether it is in force.
    #[schema(nullable = false)]
    pub enabled: Option<bool>,
}

/// A field that may be null, told apart from one that is left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A question to the rules.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The account: its UUID, or its name.
    #[schema(min_length = 1, max_length = 255)]
    pub subject: String,
    /// `registry:pull`, or `pull`.
    #[schema(value_type = Action)]
    pub action: String,
    /// Where; left out for actions without a place.
    #[serde(default)]
    pub repository: Option<String>,
    /// Its roles, where the registry does not know the account by itself.
    #[serde(default)]
    pub roles: Option<Vec<String>>,
    /// `anonymous`, `human`, `system`, likewise.
    #[serde(default)]
    #[schema(value_type = Option<AccountType>)]
    pub account_type: Option<String>,
}

/// What the rules say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Explanation {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The rule that decides; null where none is about it, which denies.
    pub rule: Option<PolicyRule>,
    /// The decision in words.
    pub reason: String,
}

/// All rules: the built-in ones first, then by priority.
///
/// # Errors
/// [`ApiError`].
pub fn list(caller: &Caller, page: &Page) -> Result<RuleList, ApiError> {
    let permit = caller.permit_global::<ManagePolicy>()?;
    let (after, limit) = (place(page)?, page.limit(page::DEFAULT)?);
    let rules = caller.edge.registry.rules(&permit);
    let mut rest = rules.iter().filter(|record| after.is_none_or(|after| key(&record.rule) > after));
    let shown: Vec<&RuleRecord> = rest.by_ref().take(limit).collect();
    let more = rest.next().is_some();
    let next = shown.last().filter(|_| more).map(|record| format!("{}:{}", record.rule.priority, record.rule.id));
    Ok(RuleList { rules: shown.into_iter().map(rule).collect(), next })
}

/// Where a rule stands among all: built-in ones have priority 0 and numbers that go down.
fn key(rule: &Rule) -> (u32, u64) {
    (rule.priority, rule.id.unsigned_abs())
}

fn place(page: &Page) -> Result<Option<(u32, u64)>, ApiError> {
    let Some(cursor) = page.cursor()? else { return Ok(None) };
    let read = cursor
        .split_once(':')
        .and_then(|(priority, id)| Some((priority.parse::<u32>().ok()?, id.parse::<i64>().ok()?.unsigned_abs())));
    read.map(Some).ok_or_else(|| ApiError::Invalid("last is not the next of a page of rules".to_owned()))
}

/// A rule's number as it stands in a path.
///
/// # Errors
/// It is none.
pub fn rule_id(text: &str) -> Result<i64, ApiError> {
    text.parse().map_err(|_| ApiError::Invalid(format!("{} is no rule's number", shown(text))))
}

/// One rule.
///
/// # Errors
/// [`ApiError`].
pub fn get(caller: &Caller, id: i64) -> Result<PolicyRule, ApiError> {
    let permit = caller.permit_global::<ManagePolicy>()?;
    Ok(rule(&caller.edge.registry.rule(&permit, id)?))
}

/// Makes a rule, which is in force before the answer.
///
/// # Errors
/// [`ApiError`].
pub async fn create(caller: &Caller, new: NewRule) -> Result<PolicyRule, ApiError> {
    let permit = caller.permit_global::<ManagePolicy>()?;
    let new = mcr_registry::NewRule {
        priority: new.priority,
        description: new.description,
        effect: new.effect,
        actions: new.actions,
        roles: new.roles,
        account_types: new.account_types,
        subject_uuid: new.subject_uuid,
        repositories: new.repositories,
        enabled: new.enabled,
    };
    Ok(rule(&caller.edge.registry.create_rule(&permit, new).await?))
}

/// Changes a rule, which is in force before the answer.
///
/// # Errors
/// [`ApiError`].
pub async fn update(caller: &Caller, id: i64, change: RuleChange) -> Result<PolicyRule, ApiError> {
    let permit = caller.permit_global::<ManagePolicy>()?;
    let change = mcr_registry::RuleChange {
        priority: change.priority,
        description: change.description,
        effect: change.effect,
        actions: change.actions,
        roles: change.roles,
        account_types: change.account_types,
        subject_uuid: change.subject_uuid,
        repositories: change.repositories,
        enabled: change.enabled,
    };
    Ok(rule(&caller.edge.registry.update_rule(&permit, id, change).await?))
}

/// Deletes a rule, which is out of force before the answer.
///
/// # Errors
/// [`ApiError`].
pub async fn delete(caller: &Caller, id: i64) -> Result<(), ApiError> {
    let permit = caller.permit_global::<ManagePolicy>()?;
    Ok(caller.edge.registry.delete_rule(&permit, id).await?)
}

/// What the rules say to a question, and which one decides.
///
/// # Errors
/// [`ApiError`].
pub fn explain(caller: &Caller, question: &Question) -> Result<Explanation, ApiError> {
    let permit = caller.permit_global::<ManagePolicy>()?;
    let action = Kind::parse(&question.action).ok_or_else(|| {
        let known: Vec<&str> = Kind::IN_RULES.iter().map(|kind| kind.as_str()).collect();
        ApiError::Invalid(format!("action: {} is none of {}", shown(&question.action), known.join(", ")))
    })?;
    let repository = question
        .repository
        .as_deref()
        .filter(|name| !name.is_empty())
        .map(|name| repository_name(caller, name))
        .transpose()?;
    let account = account(caller, question)?;
    let decision = caller.edge.registry.explain(&permit, &account, action, repository.as_ref());
    let found = decision.rule.as_ref().and_then(|rule| caller.edge.registry.rule(&permit, rule.id).ok());
    Ok(Explanation { allowed: decision.allowed, rule: found.as_ref().map(rule), reason: decision.reason() })
}

/// The account that is asked about: as the registry knows it, with what the question says instead. One that nobody
/// knows here is taken as a person with the role `user`.
fn account(caller: &Caller, question: &Question) -> Result<Account, ApiError> {
    const MAX: usize = 255;
    let subject = question.subject.as_str();
    if subject.is_empty() || subject.len() > MAX {
        return Err(ApiError::Invalid(format!("subject: must have 1 to {MAX} bytes")));
    }
    let kind = match question.account_type.as_deref() {
        None => None,
        Some(name) => Some(AccountKind::parse(name).ok_or_else(|| {
            ApiError::Invalid(format!("account_type: {} is none of anonymous, human, system", shown(name)))
        })?),
    };
    let known = match subject {
        "anonymous" => Some((*Account::anonymous()).clone()),
        name => caller.edge.gate.account_for(name),
    };
    let mut account = known.unwrap_or_else(|| {
        let roles: &[&str] = if kind.unwrap_or(AccountKind::Human) == AccountKind::Human { &[USER_ROLE] } else { &[] };
        Account::new(subject, subject, AccountKind::Human, roles)
    });
    if let Some(kind) = kind {
        account.kind = kind;
    }
    if let Some(roles) = &question.roles {
        let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
        account = Account::new(account.name, account.subject, account.kind, &roles);
    }
    Ok(account)
}

fn rule(record: &RuleRecord) -> PolicyRule {
    let rule = &record.rule;
    let is_own = rule.id >= 0;
    PolicyRule {
        id: rule.id,
        priority: rule.priority,
        description: rule.description.clone(),
        effect: rule.effect.as_str().to_owned(),
        actions: rule.actions.iter().map(|kind| kind.as_str().to_owned()).collect(),
        roles: rule.roles.clone(),
        account_types: rule.account_types.iter().map(|kind| kind.as_str().to_owned()).collect(),
        subject_uuid: rule.subject_uuid.clone(),
        repositories: rule.repositories.clone(),
        enabled: rule.enabled,
        created_at: is_own.then_some(Time(record.created_at_ms)),
        updated_at: is_own.then_some(Time(record.updated_at_ms)),
        created_by: is_own.then(|| record.created_by.clone()),
    }
}

/// Refuses those who may not see rules.
///
/// # Errors
/// [`ApiError`].
pub fn may_manage(caller: &Caller) -> Result<(), ApiError> {
    caller.permit_global::<ManagePolicy>().map(drop)
}
