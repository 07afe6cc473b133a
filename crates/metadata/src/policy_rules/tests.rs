//! Tests of rules as rows: what is written is read, and the audit trail tells what changed.

use serde_json::{Value, json};

use super::{CreateRule, DeleteRule, RuleFields, RuleRow, UpdateRule};
use crate::testing::{Bed, actor};

fn fields() -> RuleFields {
    RuleFields {
        priority: 10,
        description: "CI may push".to_owned(),
        effect: "allow".to_owned(),
        actions: vec!["registry:push".to_owned(), "registry:pull".to_owned()],
        roles: Vec::new(),
        account_types: vec!["system".to_owned()],
        subject: Some("uuid-1".to_owned()),
        repositories: vec!["a/**".to_owned()],
        enabled: true,
    }
}

fn create(bed: &Bed, most: usize, at_ms: i64) -> Option<RuleRow> {
    let request = CreateRule { fields: fields(), most, actor: actor(), at_ms };
    bed.wait(|metadata, done| metadata.create_rule(request, done)).unwrap()
}

fn update(bed: &Bed, id: i64, change: impl Fn(&mut RuleFields) + Send + 'static) -> Option<RuleRow> {
    let request = UpdateRule { id, change: Box::new(change), actor: actor(), at_ms: 2 };
    bed.wait(|metadata, done| metadata.update_rule(request, done)).unwrap()
}

fn delete(bed: &Bed, id: i64) -> bool {
    let request = DeleteRule { id, actor: actor(), at_ms: 3 };
    bed.wait(|metadata, done| metadata.delete_rule(request, done)).unwrap()
}

fn told(bed: &Bed, event: &str) -> Vec<Value> {
    let connection = bed.sql();
    let mut statement = connection.prepare("SELECT details FROM audit WHERE event = ?1 ORDER BY seq").unwrap();
    let details = statement.query_map([event], |row| row.get::<_, String>(0)).unwrap();
    details.map(|text| serde_json::from_str(&text.unwrap()).unwrap()).collect()
}

#[test]
fn a_rule_is_read_as_it_was_written_and_its_number_is_never_used_again() {
    let bed = Bed::new();
    let made = create(&bed, 10, 1).unwrap();
    assert_eq!((made.id, &made.fields, made.created_by.as_str()), (1, &fields(), "ann"));
    let bed = bed.reopen();
    assert_eq!(bed.metadata.policy_rules().unwrap(), [made]);
    assert!(delete(&bed, 1));
    assert!(!delete(&bed, 1));
    assert_eq!(create(&bed, 10, 4).unwrap().id, 2);
    assert_eq!(bed.audited(), 3);
}

#[test]
fn there_are_at_most_so_many() {
    let bed = Bed::new();
    assert!(create(&bed, 2, 1).is_some());
    assert!(create(&bed, 2, 1).is_some());
    assert_eq!(create(&bed, 2, 1), None);
    assert_eq!(bed.audited(), 2, "what was not made is not told");
}

#[test]
fn the_trail_tells_what_changed_and_nothing_where_nothing_did() {
    let bed = Bed::new();
    create(&bed, 2, 1);
    let changed = update(&bed, 1, |fields| {
        fields.priority = 11;
        fields.subject = None;
    });
    let changed = changed.unwrap();
    assert_eq!((changed.fields.priority, changed.updated_at_ms, changed.created_at_ms), (11, 2, 1));
    assert!(update(&bed, 1, |fields| fields.priority = 11).is_some());
    assert_eq!(update(&bed, 2, |_| ()), None);
    assert!(delete(&bed, 1));
    assert_eq!(told(&bed, "policy_rule_created")[0]["rule"]["actions"], json!(["registry:push", "registry:pull"]));
    let expected = json!({ "id": 1, "changed": { "priority": { "from": 10, "to": 11 }, "subject_uuid": { "from": "uuid-1", "to": null } } });
    assert_eq!(told(&bed, "policy_rule_updated"), [expected]);
    assert_eq!(told(&bed, "policy_rule_deleted")[0]["rule"]["priority"], 11);
    assert_eq!(bed.audited(), 3);
}

#[test]
fn a_row_that_cannot_be_read_is_an_error_and_names_the_rule() {
    let bed = Bed::new();
    create(&bed, 2, 1);
    bed.sql().execute_batch("UPDATE policy_rules SET actions = '{}'").unwrap();
    let error = bed.metadata.policy_rules().unwrap_err().to_string();
    assert!(error.contains("policy rule 1"), "{error}");
}
