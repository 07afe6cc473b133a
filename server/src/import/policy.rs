//! The policy rules of a registry written in Go, made ours; never what a rule decides.

use mcr_access::{Identity, ManagePolicy};
use mcr_client::{Call, Client};
use mcr_registry::{NewRule, Registry, RuleRecord};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::Failure;

/// Longest page, in bytes.
const MAX_PAGE: usize = 16 << 20;
/// Rules asked for at once.
const PAGE: usize = 500;
/// Most rules.
const MAX_RULES: usize = 10_000;

/// What became of the rules.
#[derive(Debug, Default, Serialize)]
pub(super) struct Done {
    /// Rules that were made.
    pub(super) created: u64,
    /// Of those, rules that allow and were made switched off, because one that may have limited them was refused.
    pub(super) switched_off: u64,
    /// Rules that are here already.
    pub(super) already: u64,
    /// Rules that this registry does not understand, each with why.
    pub(super) refused: Vec<String>,
}

impl Done {
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "policy: {} rules created, {} here already, {} refused\n",
            self.created,
            self.already,
            self.refused.len()
        );
        for why in &self.refused {
            // What the origin wrote must not move the cursor of a terminal.
            let why: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            text.push_str(&format!("    {why}\n"));
        }
        if self.switched_off > 0 {
            text.push_str(&format!(
                "    {} of those created allow something and are switched off: a refused rule may have limited them; \
                 write it here, then switch them on with mcrctl policy update\n",
                self.switched_off
            ));
        }
        text
    }
}

/// A rule as `/v1/policy/rules` of the plan lists it. What is null, empty or left out limits nothing (the plan: "empty
/// fields are wildcards"); a key that is not known here may limit something, so that the rule is not taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    #[serde(default)]
    id: i64,
    priority: i64,
    #[serde(default)]
    description: Option<String>,
    effect: String,
    #[serde(default)]
    actions: Option<Vec<String>>,
    #[serde(default)]
    roles: Option<Vec<String>>,
    #[serde(default)]
    account_types: Option<Vec<String>>,
    #[serde(default)]
    subject_uuid: Option<String>,
    #[serde(default)]
    repositories: Option<Vec<String>>,
    /// Left out, it may mean either.
    enabled: bool,
}

/// Keys that say when a rule was written and by whom, which limits nothing.
const WRITTEN: [&str; 6] = ["created_at", "updated_at", "created_by", "updated_by", "author", "created_by_uuid"];
/// The word of a rule that allows.
const ALLOW: &str = "allow";

/// A rule of the origin by its number, or why it is not taken.
pub(super) struct Read {
    number: String,
    rule: Result<Listed, Unfit>,
}

/// Why a rule is not taken.
#[derive(Clone, Debug)]
struct Unfit {
    why: String,
    /// It allows something: without it less is allowed, and no other rule says more than it did.
    allows: bool,
}

/// Makes every rule ours, in the order in which they decide; one that says what a rule here says is not made again.
/// Where one that may limit others is refused, those that allow are made switched off.
pub(super) async fn import(listed: &[Read], registry: &Registry, identity: &Identity) -> Result<Done, Failure> {
    let permit = registry
        .permit_global::<ManagePolicy>(identity)
        .map_err(|_| Failure::refused("the built-in rule of administrators is not in force; this build is broken"))?;
    // Rules of the same priority decide by their number there, and by their new one here.
    let mut listed: Vec<&Read> = listed.iter().collect();
    listed.sort_by_key(|read| read.rule.as_ref().map_or((i64::MAX, 0), |rule| (rule.priority, rule.id)));
    let mut done = Done::default();
    let mut rules = Vec::new();
    let mut limits_lost = false;
    for Read { number, rule } in listed {
        match rule.clone().and_then(Listed::ours) {
            Ok(rule) => rules.push((number, rule)),
            Err(Unfit { why, allows }) => {
                limits_lost |= !allows;
                done.refused.push(told(number, &why));
            }
        }
    }
    let mut here: Vec<NewRule> = registry.rules(&permit).iter().map(said).collect();
    for (number, mut rule) in rules {
        if let Some(known) = here.iter().position(|known| same(known, &rule)) {
            // Two rules of the origin that say the same need two here.
            here.swap_remove(known);
            done.already += 1;
            continue;
        }
        let switched_off = limits_lost && rule.enabled && rule.effect == ALLOW;
        rule.enabled &= !switched_off;
        match registry.create_rule(&permit, rule).await {
            Ok(_) => {
                done.created += 1;
                done.switched_off += u64::from(switched_off);
            }
            Err(error) => {
                limits_lost = true;
                done.refused.push(told(number, &error));
            }
        }
    }
    Ok(done)
}

fn told(number: &str, why: &dyn std::fmt::Display) -> String {
    format!("rule {number} of the origin: {why}")
}

impl Listed {
    fn ours(self) -> Result<NewRule, Unfit> {
        let rule = NewRule {
            priority: self.priority,
            description: self.description.unwrap_or_default(),
            effect: self.effect,
            actions: self.actions.unwrap_or_default(),
            roles: self.roles.unwrap_or_default(),
            account_types: self.account_types.unwrap_or_default(),
            subject_uuid: self.subject_uuid.filter(|subject| !subject.is_empty()),
            repositories: self.repositories.unwrap_or_default(),
            enabled: self.enabled,
        };
        match rule.check() {
            Ok(()) => Ok(rule),
            Err(error) => Err(Unfit { why: error.to_string(), allows: rule.effect == ALLOW }),
        }
    }
}

fn said(record: &RuleRecord) -> NewRule {
    let rule = &record.rule;
    NewRule {
        priority: i64::from(rule.priority),
        description: rule.description.clone(),
        effect: rule.effect.as_str().to_owned(),
        actions: rule.actions.iter().map(|action| action.as_str().to_owned()).collect(),
        roles: rule.roles.clone(),
        account_types: rule.account_types.iter().map(|kind| kind.as_str().to_owned()).collect(),
        subject_uuid: rule.subject_uuid.clone(),
        repositories: rule.repositories.clone(),
        enabled: rule.enabled,
    }
}

/// Whether two rules say the same, whatever the order of their words. One that was switched on or off here since is
/// still the one that was imported.
fn same(known: &NewRule, rule: &NewRule) -> bool {
    let words = |words: &[String]| {
        // `pull` and `registry:pull` are the same action.
        let plain = |word: &String| word.strip_prefix("registry:").unwrap_or(word).to_owned();
        let mut words: Vec<String> = words.iter().map(plain).collect();
        words.sort_unstable();
        words.dedup();
        words
    };
    let key = |rule: &NewRule| {
        let lists = [words(&rule.actions), words(&rule.roles), words(&rule.account_types), words(&rule.repositories)];
        (rule.priority, rule.description.clone(), rule.effect.clone(), lists, rule.subject_uuid.clone())
    };
    key(known) == key(rule)
}

/// Every rule that is not built in: pages of an array, or of an object that holds one under `rules`.
///
/// # Errors
/// Exit code 3: there is no such list, or it cannot be known to be whole. A rule that is missing may be one that denies.
pub(super) async fn list(client: &Client) -> Result<Vec<Read>, Failure> {
    let undetermined =
        |why: String| Failure { code: 3, lines: vec![format!("{} /v1/policy/rules: {why}", client.host())] };
    let mut all: Vec<Value> = Vec::new();
    loop {
        let path = format!("v1/policy/rules?n={PAGE}&offset={}", all.len());
        let page = page(client, &path, "rules").await?;
        let came = page.len();
        let new: Vec<Value> = page.into_iter().filter(|rule| !all.contains(rule)).collect();
        if new.is_empty() && came > 0 {
            let why = "ignores n and offset, so that nobody can say whether the list is whole; leave --with-policy out";
            return Err(undetermined(why.to_owned()));
        }
        if new.is_empty() {
            break;
        }
        all.extend(new);
        if all.len() > MAX_RULES {
            return Err(undetermined(format!("lists more than {MAX_RULES} rules; leave --with-policy out")));
        }
    }
    Ok(all
        .into_iter()
        .filter(|rule| rule.get("id").and_then(Value::as_i64).is_none_or(|id| id >= 0))
        .map(read)
        .collect())
}

fn read(mut rule: Value) -> Read {
    let number = rule.get("id").map_or_else(|| "without a number".to_owned(), ToString::to_string);
    let allows = rule.get("effect").and_then(Value::as_str) == Some(ALLOW);
    if let Some(rule) = rule.as_object_mut() {
        WRITTEN.iter().for_each(|key| drop(rule.remove(*key)));
    }
    let rule = serde_json::from_value(rule).map_err(|error| Unfit { why: error.to_string(), allows });
    Read { number, rule }
}

/// One page of a list.
pub(super) async fn page(client: &Client, path: &str, key: &str) -> Result<Vec<Value>, Failure> {
    let undetermined = |why: String| Failure { code: 3, lines: vec![why] };
    let reply = client.call(&Call::get(path), MAX_PAGE).await.map_err(|error| undetermined(error.to_string()))?;
    let what = path.split('?').next().unwrap_or(path);
    if reply.status != 200 {
        let said =
            String::from_utf8_lossy(&reply.body).chars().filter(|c| !c.is_control()).take(200).collect::<String>();
        let advice = "log in as an administrator of it, or leave --with-policy and --with-audit out";
        return Err(undetermined(format!("{} /{what}: answers {} ({said}); {advice}", client.host(), reply.status)));
    }
    let mut answer: Value = serde_json::from_slice(&reply.body)
        .map_err(|error| undetermined(format!("{} /{what}: answers what is no JSON: {error}", client.host())))?;
    let list = match answer.get_mut(key) {
        Some(list) => list.take(),
        None => answer,
    };
    match list {
        Value::Array(list) => Ok(list),
        Value::Null => Ok(Vec::new()),
        _ => Err(undetermined(format!("{} /{what}: answers what is no list", client.host()))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_may_limit_a_rule_is_never_passed_over() {
        let whole = json!({
            "id": 7, "priority": 10, "description": "d", "effect": "deny", "actions": ["registry:pull"], "roles": null,
            "account_types": ["system"], "subject_uuid": "", "repositories": ["team/*"], "enabled": true,
            "created_at": "2026-01-01T00:00:00Z", "created_by": "ann",
        });
        let refusal = |change: &dyn Fn(&mut Value)| {
            let mut rule = whole.clone();
            change(&mut rule);
            read(rule).rule.and_then(Listed::ours).err().map(|unfit| (unfit.why, unfit.allows))
        };
        assert_eq!(refusal(&|_| {}), None);
        // Empty fields are wildcards, and one may leave them out.
        assert_eq!(refusal(&|rule| drop(rule.as_object_mut().map(|rule| rule.remove("roles")))), None);
        let (why, allows) = refusal(&|rule| rule["repository_globs"] = json!(["team/*"])).unwrap();
        assert!(why.contains("repository_globs") && !allows, "{why}");
        assert!(refusal(&|rule| drop(rule.as_object_mut().map(|rule| rule.remove("enabled")))).is_some());
        assert!(refusal(&|rule| rule["priority"] = json!(0)).is_some());
        let (_, allows) = refusal(&|rule| {
            rule["effect"] = json!("allow");
            rule["until"] = json!("2027-01-01T00:00:00Z");
        })
        .unwrap();
        assert!(allows);
    }
}
