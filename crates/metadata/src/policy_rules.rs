//! Policy rules as rows: read, made, changed, deleted, each with its audit row; never what a rule means.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Map, Value, json};

use crate::Metadata;
use crate::audit::{self, Audit};
use crate::closed;
use crate::error::Error;
use crate::job::{Done, Write, job};
use crate::rows::Actor;
use crate::sql;

/// What a rule says, in words. Whether the words mean something is the caller's to check, before it writes them and
/// when it reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFields {
    /// 1 or more; rules of a lower number decide first.
    pub priority: u32,
    /// What it is for.
    pub description: String,
    /// `allow` or `deny`.
    pub effect: String,
    /// Names of actions.
    pub actions: Vec<String>,
    /// Names of roles.
    pub roles: Vec<String>,
    /// Kinds of account.
    pub account_types: Vec<String>,
    /// The account, by what the identity service calls it.
    pub subject: Option<String>,
    /// Patterns of repository names.
    pub repositories: Vec<String>,
    /// Whether it is in force.
    pub enabled: bool,
}

/// A rule with its number and its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRow {
    /// Its number, never used again.
    pub id: i64,
    /// What it says.
    pub fields: RuleFields,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: i64,
    /// When it was last changed, in Unix milliseconds.
    pub updated_at_ms: i64,
    /// The account that made it.
    pub created_by: String,
}

/// Make a rule.
#[derive(Clone, Debug)]
pub struct CreateRule {
    /// What it says.
    pub fields: RuleFields,
    /// Rules there may be.
    pub most: usize,
    /// Who asks.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// Changes the fields of a rule; runs inside the transaction, perhaps twice.
pub type ChangeFields = Box<dyn Fn(&mut RuleFields) + Send>;

/// Change a rule.
pub struct UpdateRule {
    /// Which.
    pub id: i64,
    /// How.
    pub change: ChangeFields,
    /// Who asks.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

impl std::fmt::Debug for UpdateRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdateRule").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Delete a rule.
#[derive(Clone, Debug)]
pub struct DeleteRule {
    /// Which.
    pub id: i64,
    /// Who asks.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

const COLUMNS: &str = "id, priority, description, effect, actions, roles, account_types, subject, repositories, \
                       enabled, created_at, updated_at, created_by";

impl Metadata {
    /// Every rule, by number.
    ///
    /// # Errors
    /// `Corrupt` for a row whose lists are none; else whatever the files answer.
    pub fn policy_rules(&self) -> Result<Vec<RuleRow>, Error> {
        self.readers.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM policy_rules ORDER BY id"))?;
            let mut rows = statement.query([])?;
            let mut rules = Vec::new();
            while let Some(row) = rows.next()? {
                rules.push(from_row(row)?);
            }
            Ok(rules)
        })
    }

    /// Makes a rule; `done` gets it, or none where there are too many.
    pub fn create_rule(&self, request: CreateRule, done: Done<Option<RuleRow>>) {
        self.submit(job(request, done));
    }

    /// Changes a rule; `done` gets it as it is now, or none where there is no such rule.
    pub fn update_rule(&self, request: UpdateRule, done: Done<Option<RuleRow>>) {
        self.submit(job(request, done));
    }

    /// Deletes a rule; `done` learns whether there was one.
    pub fn delete_rule(&self, request: DeleteRule, done: Done<bool>) {
        self.submit(job(request, done));
    }
}

impl Write for CreateRule {
    type Answer = Option<RuleRow>;

    fn apply(&self, tx: &Connection) -> Result<Option<RuleRow>, Error> {
        let held: i64 = tx.prepare_cached("SELECT count(*) FROM policy_rules")?.query_row([], |row| row.get(0))?;
        if held >= i64::try_from(self.most).unwrap_or(i64::MAX) {
            return Ok(None);
        }
        let fields = &self.fields;
        tx.prepare_cached(
            "INSERT INTO policy_rules (priority, description, effect, actions, roles, account_types, subject,
                                       repositories, enabled, created_at, updated_at, created_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11)",
        )?
        .execute(params![
            fields.priority,
            fields.description,
            fields.effect,
            sql::list(&fields.actions),
            sql::list(&fields.roles),
            sql::list(&fields.account_types),
            fields.subject,
            sql::list(&fields.repositories),
            fields.enabled,
            self.at_ms,
            self.actor.name,
        ])?;
        let id = tx.last_insert_rowid();
        closed::open(tx)?;
        let details = json!({ "id": id, "rule": as_json(fields) });
        audit::append(tx, Audit { details, ..Audit::by(&self.actor, "policy_rule_created", self.at_ms) })?;
        Ok(Some(RuleRow {
            id,
            fields: fields.clone(),
            created_at_ms: self.at_ms,
            updated_at_ms: self.at_ms,
            created_by: self.actor.name.clone(),
        }))
    }
}

impl Write for UpdateRule {
    type Answer = Option<RuleRow>;

    fn apply(&self, tx: &Connection) -> Result<Option<RuleRow>, Error> {
        let Some(mut rule) = find(tx, self.id)? else {
            return Ok(None);
        };
        let before = as_json(&rule.fields);
        (self.change)(&mut rule.fields);
        let changed = changes(&before, &as_json(&rule.fields));
        if changed.is_empty() {
            return Ok(Some(rule));
        }
        rule.updated_at_ms = self.at_ms;
        let fields = &rule.fields;
        tx.prepare_cached(
            "UPDATE policy_rules
             SET priority = ?2, description = ?3, effect = ?4, actions = ?5, roles = ?6, account_types = ?7,
                 subject = ?8, repositories = ?9, enabled = ?10, updated_at = ?11
             WHERE id = ?1",
        )?
        .execute(params![
            self.id,
            fields.priority,
            fields.description,
            fields.effect,
            sql::list(&fields.actions),
            sql::list(&fields.roles),
            sql::list(&fields.account_types),
            fields.subject,
            sql::list(&fields.repositories),
            fields.enabled,
            self.at_ms,
        ])?;
        let details = json!({ "id": self.id, "changed": changed });
        audit::append(tx, Audit { details, ..Audit::by(&self.actor, "policy_rule_updated", self.at_ms) })?;
        Ok(Some(rule))
    }

    fn is_frugal(&self, _answer: &Option<RuleRow>) -> bool {
        true
    }
}

impl Write for DeleteRule {
    type Answer = bool;

    fn apply(&self, tx: &Connection) -> Result<bool, Error> {
        let Some(rule) = find(tx, self.id)? else {
            return Ok(false);
        };
        tx.prepare_cached("DELETE FROM policy_rules WHERE id = ?1")?.execute([self.id])?;
        let details = json!({ "id": self.id, "rule": as_json(&rule.fields) });
        audit::append(tx, Audit { details, ..Audit::by(&self.actor, "policy_rule_deleted", self.at_ms) })?;
        Ok(true)
    }

    fn is_frugal(&self, _answer: &bool) -> bool {
        true
    }
}

fn find(tx: &Connection, id: i64) -> Result<Option<RuleRow>, Error> {
    let found = tx
        .prepare_cached(&format!("SELECT {COLUMNS} FROM policy_rules WHERE id = ?1"))?
        .query_row([id], |row| Ok(from_row(row)))
        .optional()?;
    found.transpose()
}

fn from_row(row: &Row<'_>) -> Result<RuleRow, Error> {
    let id: i64 = row.get(0)?;
    let list = |column: usize| sql::read_list(row, column, || format!("policy rule {id}"));
    Ok(RuleRow {
        id,
        fields: RuleFields {
            priority: row.get(1)?,
            description: row.get(2)?,
            effect: row.get(3)?,
            actions: list(4)?,
            roles: list(5)?,
            account_types: list(6)?,
            subject: row.get(7)?,
            repositories: list(8)?,
            enabled: row.get(9)?,
        },
        created_at_ms: row.get(10)?,
        updated_at_ms: row.get(11)?,
        created_by: row.get(12)?,
    })
}

/// A rule as the audit trail tells of it: the names are those of the rule's JSON elsewhere.
fn as_json(fields: &RuleFields) -> Map<String, Value> {
    let pairs: [(&str, Value); 9] = [
        ("priority", fields.priority.into()),
        ("description", fields.description.clone().into()),
        ("effect", fields.effect.clone().into()),
        ("actions", fields.actions.clone().into()),
        ("roles", fields.roles.clone().into()),
        ("account_types", fields.account_types.clone().into()),
        ("subject_uuid", fields.subject.clone().into()),
        ("repositories", fields.repositories.clone().into()),
        ("enabled", fields.enabled.into()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What differs, as `{"field": {"from": …, "to": …}}`.
fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    let differs = |(name, value): (&String, &Value)| {
        let old = before.get(name)?;
        (old != value).then(|| (name.clone(), json!({ "from": old, "to": value })))
    };
    after.iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests;
