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
            text.push_str(&format!("    {why}\n"));
        }
        text
    }
}

/// A rule as `/v1/policy/rules` of the plan lists it: names that are null are empty lists.
#[derive(Debug, Deserialize)]
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
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// Makes every rule ours, in the order in which they decide; one that says what a rule here says is not made again.
pub(super) async fn import(client: &Client, registry: &Registry, identity: &Identity) -> Result<Done, Failure> {
    let permit = registry
        .permit_global::<ManagePolicy>(identity)
        .map_err(|_| Failure::refused("the built-in rule of administrators is not in force; this build is broken"))?;
    let mut listed = list(client).await?;
    // Rules of the same priority decide by their number there, and by their new one here.
    listed.sort_by_key(|(_, rule)| rule.as_ref().map_or((i64::MAX, 0), |rule| (rule.priority, rule.id)));
    let mut done = Done::default();
    let mut here: Vec<NewRule> = registry.rules(&permit).iter().map(said).collect();
    for (number, rule) in listed {
        let refused = |why: &dyn std::fmt::Display| format!("rule {number} of the origin: {why}");
        let rule = match rule {
            Ok(rule) if rule.id < 0 => continue,
            Ok(rule) => rule.ours(),
            Err(error) => {
                done.refused.push(refused(&error));
                continue;
            }
        };
        if let Some(known) = here.iter().position(|known| same(known, &rule)) {
            // Two rules of the origin that say the same need two here.
            here.swap_remove(known);
            done.already += 1;
            continue;
        }
        match registry.create_rule(&permit, rule).await {
            Ok(_) => done.created += 1,
            Err(error) => done.refused.push(refused(&error)),
        }
    }
    Ok(done)
}

impl Listed {
    fn ours(self) -> NewRule {
        NewRule {
            priority: self.priority,
            description: self.description.unwrap_or_default(),
            effect: self.effect,
            actions: self.actions.unwrap_or_default(),
            roles: self.roles.unwrap_or_default(),
            account_types: self.account_types.unwrap_or_default(),
            subject_uuid: self.subject_uuid.filter(|subject| !subject.is_empty()),
            repositories: self.repositories.unwrap_or_default(),
            enabled: self.enabled,
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

type Read = (String, Result<Listed, serde_json::Error>);

/// Every rule: pages of an array, or of an object that holds one under `rules`, until one brings nothing new.
async fn list(client: &Client) -> Result<Vec<Read>, Failure> {
    let mut all: Vec<Value> = Vec::new();
    while all.len() <= MAX_RULES {
        let path = format!("v1/policy/rules?n={PAGE}&offset={}", all.len());
        let page = page(client, &path, "rules").await?;
        let new: Vec<Value> = page.into_iter().filter(|rule| !all.contains(rule)).collect();
        if new.is_empty() {
            break;
        }
        all.extend(new);
    }
    let read = |rule: Value| {
        let number = rule.get("id").map_or_else(|| "without a number".to_owned(), ToString::to_string);
        (number, serde_json::from_value(rule))
    };
    Ok(all.into_iter().map(read).collect())
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
