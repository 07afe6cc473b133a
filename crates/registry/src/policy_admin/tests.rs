//! Tests of managing rules: what is refused and why, and that a rule holds from its answer on and across a restart.

use mcr_access::{Account, AccountKind, Kind, ManagePolicy, Pull};

use super::{MAX_RULES, NewRule, RuleChange};
use crate::testing::{Bed, name, pull_rule, system};
use crate::{Error, Settings, StartError};

fn invalid(result: Result<super::RuleRecord, Error>) -> String {
    match result {
        Err(Error::Invalid(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_rule_holds_from_its_answer_on_and_after_a_restart() {
    let bed = Bed::new();
    let machine = system("ci");
    let may = |bed: &Bed, repository: &str| bed.registry.permit::<Pull>(&machine, &name(repository)).is_ok();
    assert!(!may(&bed, "team/app"));
    let made = bed.registry.create_rule(&bed.global(), pull_rule("team/*")).await.unwrap();
    assert_eq!((made.rule.id, made.created_by.as_str()), (1, "root"));
    assert!(may(&bed, "team/app") && !may(&bed, "other/app"));
    let bed = bed.reopen(Settings::default()).await;
    assert!(may(&bed, "team/app"));
    let change = RuleChange { enabled: Some(false), ..RuleChange::default() };
    let changed = bed.registry.update_rule(&bed.global(), 1, change).await.unwrap();
    assert!(!changed.rule.enabled && changed.rule.repositories == ["team/*"]);
    assert!(!may(&bed, "team/app"));
    let change = RuleChange { enabled: Some(true), priority: Some(7), ..RuleChange::default() };
    bed.registry.update_rule(&bed.global(), 1, change).await.unwrap();
    assert!(may(&bed, "team/app"));
    bed.registry.delete_rule(&bed.global(), 1).await.unwrap();
    assert!(!may(&bed, "team/app"));
    assert!(matches!(bed.registry.delete_rule(&bed.global(), 1).await, Err(Error::NoSuch(_))));
    assert!(matches!(bed.registry.rule(&bed.global(), 1), Err(Error::NoSuch(_))));
    let told: Vec<usize> = [
        bed.told("policy_rule_created").await.len(),
        bed.told("policy_rule_updated").await.len(),
        bed.told("policy_rule_deleted").await.len(),
    ]
    .into();
    assert_eq!(told, [1, 2, 1]);
}

#[tokio::test]
async fn rules_are_listed_as_they_decide() {
    let bed = Bed::new();
    for priority in [30, 10, 20] {
        bed.registry.create_rule(&bed.global(), NewRule { priority, ..pull_rule("a") }).await.unwrap();
    }
    let listed: Vec<(i64, u32)> =
        bed.registry.rules(&bed.global()).iter().map(|record| (record.rule.id, record.rule.priority)).collect();
    assert_eq!(listed, [(-1, 0), (-2, 0), (-3, 0), (-4, 0), (2, 10), (3, 20), (1, 30)]);
    assert_eq!(bed.registry.rule(&bed.global(), -1).unwrap().created_by, "");
}

#[tokio::test]
async fn what_a_rule_cannot_say_is_refused_by_name_and_nothing_is_written() {
    let bed = Bed::new();
    let many = |text: &str, n: usize| vec![text.to_owned(); n];
    for (field, wrong) in [
        ("priority", NewRule { priority: 0, ..pull_rule("a") }),
        ("priority", NewRule { priority: i64::MAX, ..pull_rule("a") }),
        ("effect", NewRule { effect: "permit".to_owned(), ..pull_rule("a") }),
        ("actions", NewRule { actions: vec!["registry:fly".to_owned()], ..pull_rule("a") }),
        ("actions", NewRule { actions: vec!["registry:administer".to_owned()], ..pull_rule("a") }),
        ("account_types", NewRule { account_types: vec!["robot".to_owned()], ..pull_rule("a") }),
        ("roles", NewRule { roles: vec![String::new()], ..pull_rule("a") }),
        ("roles", NewRule { roles: many("r", 33), ..pull_rule("a") }),
        ("subject_uuid", NewRule { subject_uuid: Some(" x".to_owned()), ..pull_rule("a") }),
        ("description", NewRule { description: "a\nb".to_owned(), ..pull_rule("a") }),
        ("description", NewRule { description: "a".repeat(1001), ..pull_rule("a") }),
        ("repositories", pull_rule("Team/*")),
        ("repositories", NewRule { repositories: many("a", 101), ..pull_rule("a") }),
    ] {
        let message = invalid(bed.registry.create_rule(&bed.global(), wrong).await);
        assert!(message.starts_with(&format!("{field}: ")), "{message}");
    }
    let message =
        invalid(bed.registry.create_rule(&bed.global(), NewRule { actions: many("fly", 1), ..pull_rule("a") }).await);
    assert!(message.contains("`fly`") && message.contains("registry:pull"), "{message}");
    assert_eq!(bed.registry.rules(&bed.global()).len(), 4);
}

#[tokio::test]
async fn words_are_kept_in_their_long_form_and_once() {
    let bed = Bed::new();
    let actions = ["pull", "registry:pull", "policy:manage", "catalog"].map(str::to_owned).to_vec();
    let made = bed.registry.create_rule(&bed.global(), NewRule { actions, ..pull_rule("a") }).await.unwrap();
    assert_eq!(made.rule.actions, [Kind::Pull, Kind::ManagePolicy, Kind::Catalog]);
    let change = RuleChange { subject_uuid: Some(Some("u".to_owned())), ..RuleChange::default() };
    let changed = bed.registry.update_rule(&bed.global(), 1, change).await.unwrap();
    assert_eq!(changed.rule.subject_uuid.as_deref(), Some("u"));
    let change = RuleChange { subject_uuid: Some(None), ..RuleChange::default() };
    assert_eq!(bed.registry.update_rule(&bed.global(), 1, change).await.unwrap().rule.subject_uuid, None);
}

#[tokio::test]
async fn built_in_rules_stay() {
    let bed = Bed::new();
    for id in [-1, -4, -99] {
        let change = RuleChange { enabled: Some(false), ..RuleChange::default() };
        for error in [
            bed.registry.update_rule(&bed.global(), id, change).await.unwrap_err(),
            bed.registry.delete_rule(&bed.global(), id).await.unwrap_err(),
        ] {
            assert!(matches!(&error, Error::Conflict(text) if text.contains("built in")), "{error}");
        }
    }
    let missing = bed.registry.update_rule(&bed.global(), 5, RuleChange::default()).await;
    assert!(matches!(missing, Err(Error::NoSuch(_))));
}

#[tokio::test]
async fn explaining_names_the_deciding_rule() {
    let bed = Bed::new();
    bed.registry.create_rule(&bed.global(), pull_rule("a/**")).await.unwrap();
    let deny = NewRule { effect: "deny".to_owned(), ..pull_rule("a/secret") };
    bed.registry.create_rule(&bed.global(), deny).await.unwrap();
    let account = Account::new("ci", "ci", AccountKind::System, &[]);
    let explain = |repository: &str| {
        bed.registry.explain(&bed.global::<ManagePolicy>(), &account, Kind::Pull, Some(&name(repository)))
    };
    assert_eq!(explain("a/b").rule.unwrap().id, 1);
    let denied = explain("a/secret");
    assert!(!denied.allowed && denied.rule.unwrap().id == 2);
    assert_eq!(explain("b").rule, None);
}

/// A rule whose words are not understood would have denied something, perhaps.
#[tokio::test]
async fn a_rule_that_cannot_be_read_stops_the_start() {
    let words = |text: &str| vec![text.to_owned()];
    for (field, actions, kinds) in
        [("actions", words("registry:fly"), Vec::new()), ("account_types", words("registry:pull"), words("robot"))]
    {
        let bed = Bed::new();
        let database = bed.database();
        let open = bed.closed().await;
        // As a newer program might have written it.
        let metadata = mcr_metadata::Metadata::open(&database, mcr_metadata::Options::default()).unwrap();
        let fields = mcr_metadata::RuleFields {
            priority: 1,
            description: String::new(),
            effect: "deny".to_owned(),
            actions,
            roles: Vec::new(),
            account_types: kinds,
            subject: None,
            repositories: Vec::new(),
            enabled: true,
        };
        let actor = mcr_metadata::Actor { name: "root".to_owned(), address: None };
        let request = mcr_metadata::CreateRule { fields, most: 9, actor, at_ms: 1 };
        metadata.create_rule(request, Box::new(|written| assert!(written.is_ok())));
        metadata.close();
        let error = open().unwrap_err();
        assert!(matches!(error, StartError::Rule { id: 1, .. }), "{error}");
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn there_is_an_end_to_rules() {
    assert_eq!(MAX_RULES, 10_000);
}
