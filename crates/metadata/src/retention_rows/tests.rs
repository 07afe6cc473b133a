//! Tests of what a plan of retention needs confirmed, and of what goes with manifests that go together.

use serde_json::json;

use crate::testing::{Bed, actor, repository};
use crate::{
    CreatePlan, Doomed, MovePlan, NoteRules, PlanJob, PlanRecord, PlanState, PlanTotals, StartRetention,
    StartedRetention,
};

/// A plan that rests on both rules and confirms the first alone.
fn planned(bed: &Bed) {
    let (job, settings) = (PlanJob::Retention, json!({}));
    let request = CreatePlan { id: "p".to_owned(), job, dry_run: false, settings, actor: actor(), at_ms: 1 };
    assert!(bed.wait(|metadata, done| metadata.create_plan(request, done)).unwrap());
    for rule in ["one", "two"] {
        note(bed, rule, None);
    }
}

fn note(bed: &Bed, rule: &str, confirmed: Option<bool>) {
    let request = NoteRules { rules: vec![(rule.to_owned(), json!({}))], confirmed, by: "ann".to_owned(), at_ms: 2 };
    bed.wait(|metadata, done| metadata.note_rules(request, done)).unwrap();
}

fn start(bed: &Bed, yes: bool) -> StartedRetention {
    let rules = ["one", "two"].map(str::to_owned);
    let totals = PlanTotals { confirms: vec![rules[0].clone()], rules: rules.to_vec(), ..PlanTotals::default() };
    let change = MovePlan {
        id: "p".to_owned(),
        from: vec![PlanState::Planning],
        to: PlanState::Running,
        reason: None,
        totals: Some(totals),
        expires_at_ms: None,
        actor: actor(),
        at_ms: 3,
    };
    bed.wait(|metadata, done| metadata.start_retention(StartRetention { change, yes }, done)).unwrap()
}

fn plan(bed: &Bed) -> PlanRecord {
    bed.metadata.plan("p").unwrap().unwrap()
}

fn confirmed(bed: &Bed) -> Vec<String> {
    let rules = bed.metadata.retention_rules().unwrap().into_iter();
    rules.filter(|rule| rule.confirmed_at_ms.is_some()).map(|rule| rule.fingerprint).collect()
}

#[test]
fn a_plan_of_which_one_rule_is_not_confirmed_does_not_begin_by_itself() {
    let bed = Bed::new();
    planned(&bed);
    note(&bed, "one", Some(true));
    assert_eq!(start(&bed, false), StartedRetention::Unconfirmed("two".to_owned()));
    assert_eq!((plan(&bed).state, confirmed(&bed)), (PlanState::Planning, vec!["one".to_owned()]));
    note(&bed, "two", Some(true));
    assert!(matches!(start(&bed, false), StartedRetention::Running(_)));
    assert_eq!(plan(&bed).totals.rules.len(), 2);
    assert_eq!(start(&bed, true), StartedRetention::Elsewhere);
}

#[test]
fn a_yes_confirms_what_the_plan_shows_whole_and_nothing_where_it_does_not_begin() {
    let bed = Bed::new();
    planned(&bed);
    assert!(matches!(start(&bed, true), StartedRetention::Running(_)));
    assert_eq!(confirmed(&bed), ["one"]);
    note(&bed, "one", Some(false));
    assert_eq!(start(&bed, true), StartedRetention::Elsewhere, "it is running");
    assert_eq!(confirmed(&bed), [""; 0]);
}

#[test]
fn what_repositories_share_goes_once_with_the_last_of_them() {
    let bed = Bed::new();
    for name in ["a", "b", "c"] {
        bed.push_image(name, &["shared by all"], &[name], 1000);
    }
    bed.push_image("a", &["own"], &["own"], 1000);
    let ids = |name: &str| -> Vec<i64> {
        let facts = bed.metadata.retention_facts(&repository(name)).unwrap().unwrap();
        facts.manifests.iter().map(|manifest| manifest.id).collect()
    };
    let mut doomed = Doomed::default();
    let mut blobs_of = |name: &str| bed.metadata.doom(&mut doomed, &ids(name)).unwrap().1;
    assert_eq!([blobs_of("a"), blobs_of("b"), blobs_of("c")], [1, 0, 1]);
    // Alone, while the others stay.
    let (bytes, blobs) = bed.metadata.doom(&mut Doomed::default(), &ids("c")).unwrap();
    assert_eq!((bytes.len(), blobs), (0, 0));
}
