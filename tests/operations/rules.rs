//! The alert rules as `promtool` judges them, their unit tests, and that each leads to its runbook; never a running
//! Prometheus.

use std::collections::BTreeSet;
use std::path::PathBuf;

use mcr_tests::{process, tools};
use serde_json::Value;

use crate::yaml;

fn monitoring() -> PathBuf {
    tools::repository_root().join("monitoring")
}

fn promtool(arguments: &[&str]) -> process::Output {
    let mut command = tools::command("promtool");
    process::run(command.args(arguments).current_dir(monitoring()))
}

/// Every rule of the shipped file.
pub(crate) fn rules() -> Vec<Value> {
    let document = yaml::of_repository("monitoring/alerts.yml");
    let groups = document["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// The names of the alerts, each once.
pub(crate) fn alert_names() -> BTreeSet<String> {
    rules().iter().filter_map(|rule| rule["alert"].as_str().map(str::to_owned)).collect()
}

/// The files of unit tests.
fn unit_tests() -> Vec<String> {
    let entries = std::fs::read_dir(monitoring().join("tests")).unwrap();
    let mut files: Vec<String> =
        entries.map(|entry| format!("tests/{}", entry.unwrap().file_name().to_string_lossy())).collect();
    files.sort();
    files
}

#[test]
fn the_rules_are_valid() {
    let _ = promtool(&["check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"]).ok();
}

#[test]
fn the_unit_tests_of_the_rules_pass() {
    let files = unit_tests();
    assert!(files.len() >= 3, "{files:?}");
    let mut arguments = vec!["test", "rules"];
    arguments.extend(files.iter().map(String::as_str));
    let _ = promtool(&arguments).ok();
}

#[test]
fn the_unit_tests_can_fail() {
    // The same tests against rules that wait for another time.
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("tests")).unwrap();
    let rules = std::fs::read_to_string(monitoring().join("alerts.yml")).unwrap();
    std::fs::write(home.path().join("alerts.yml"), rules.replace("for: 30m", "for: 25m")).unwrap();
    for file in unit_tests() {
        std::fs::copy(monitoring().join(&file), home.path().join(&file)).unwrap();
    }
    let mut command = tools::command("promtool");
    command.args(["test", "rules", "tests/integrity_test.yml"]).current_dir(home.path());
    let output = process::run(&mut command).failed();
    assert!(output.all().contains("RegistryManifestIntegrityFailure"), "{output:?}");
}

#[test]
fn every_alert_has_unit_tests_that_see_it_fire() {
    let mut expectations = Vec::new();
    for file in unit_tests() {
        let document = yaml::of_repository(&format!("monitoring/{file}"));
        for test in document["tests"].as_array().unwrap() {
            expectations.extend(test["alert_rule_test"].as_array().cloned().unwrap_or_default());
        }
    }
    for name in alert_names() {
        let about = expectations.iter().filter(|each| each["alertname"] == name.as_str());
        let (quiet, fires): (Vec<_>, Vec<_>) = about.partition(|each| each["exp_alerts"].is_null());
        assert!(!fires.is_empty(), "{name}: no unit test sees it fire");
        assert!(!quiet.is_empty(), "{name}: no unit test sees it quiet");
    }
}

#[test]
fn every_alert_says_what_to_do_and_leads_to_its_page() {
    let root = tools::repository_root();
    let alerts: Vec<Value> = rules().into_iter().filter(|rule| rule["alert"].is_string()).collect();
    assert!(alerts.len() > 10, "the file is read");
    for alert in alerts {
        let name = alert["alert"].as_str().unwrap();
        let severity = alert["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        let annotation = |key: &str| alert["annotations"][key].as_str().unwrap_or_default().to_owned();
        assert!(!annotation("summary").is_empty(), "{name}");
        assert!(annotation("description").contains("First: "), "{name}: what is to be done first?");
        let url = annotation("runbook_url");
        let (_, page) = url.split_once("/runbooks/").unwrap_or_else(|| panic!("{name}: {url}"));
        assert_eq!(page, format!("{name}.md"));
        assert!(root.join("runbooks").join(page).is_file(), "{name}: {page} is not there");
    }
}

#[test]
fn the_alerts_are_those_of_the_readme() {
    let readme = std::fs::read_to_string(monitoring().join("README.md")).unwrap();
    let (_, table) = readme.split_once("## The alerts").unwrap();
    let (table, _) = table.split_once("## What is not watched yet").unwrap();
    let told: BTreeSet<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once('`').map(|(name, _)| name.to_owned()))
        .collect();
    assert_eq!(told, alert_names());
}
