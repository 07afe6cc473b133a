//! The Grafana dashboard: valid JSON, every expression valid, every metric one that is really exposed; never how it
//! looks.

use std::collections::BTreeSet;

use mcr_tests::accounts::{Mode, Registry};
use mcr_tests::{Server, process, tools};
use serde_json::Value;

use crate::probe::Probe;
use crate::{rules, scene};
use mcr_tests::distribution::Distribution;

/// Metrics that the rules or the dashboard name and that these tests' programs do not show.
const ELSEWHERE: &[&str] = &[
    // The form of an exporter that puts registry_ before every name.
    "registry_process_start_time_seconds",
    "registry_registry_storage_cache_total",
    // Made by Prometheus.
    "up",
];

fn dashboard() -> Value {
    let file = tools::repository_root().join("monitoring/grafana/registry.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// The expressions of all panels.
fn expressions() -> Vec<String> {
    let document = dashboard();
    let panels = document["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// An expression as Prometheus is sent it: Grafana fills in its variables.
fn filled(expression: &str) -> String {
    expression.replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")
}

/// What looks like the name of a metric of ours in an expression.
fn names(expression: &str) -> BTreeSet<String> {
    // What stands in quotes is a value of a label.
    let outside: String = expression.split('"').step_by(2).collect();
    let words = outside.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_:".contains(letter)));
    let ours =
        |word: &&str| *word == "up" || ["registry_", "mcr_", "process_"].iter().any(|prefix| word.starts_with(prefix));
    words.filter(ours).map(str::to_owned).collect()
}

#[test]
fn the_dashboard_is_whole() {
    let document = dashboard();
    assert_eq!(document["uid"], "mcr-registry");
    let panels = document["panels"].as_array().unwrap();
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "ids are distinct");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
    }
    let tables = panels.iter().filter(|panel| panel["type"] == "table");
    assert!(tables.into_iter().any(|table| table.to_string().contains("broken_tag")), "the broken tags have a table");
}

#[test]
fn prometheus_reads_every_expression() {
    let expressions = expressions();
    assert!(expressions.len() > 20, "the panels are read");
    let mut text = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    for (number, expression) in expressions.iter().enumerate() {
        let expression = serde_json::to_string(&filled(expression)).unwrap();
        text.push_str(&format!("  - record: panel:{number}\n    expr: {expression}\n"));
    }
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("rules.yml");
    std::fs::write(&file, text).unwrap();
    let _ = process::run(tools::command("promtool").args(["check", "rules"]).arg(&file)).ok();
}

/// Names in the text format of Prometheus.
fn exposed(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split(['{', ' ']).next().map(str::to_owned)).collect()
}

#[test]
fn every_metric_that_rules_and_dashboard_name_is_really_there() {
    let mut asked: BTreeSet<String> = expressions().iter().flat_map(|expression| names(expression)).collect();
    asked.extend(rules::rules().iter().flat_map(|rule| names(rule["expr"].as_str().unwrap())));
    // What the rules themselves record.
    asked.retain(|name| !name.contains(':') && !ELSEWHERE.contains(&name.as_str()));

    let mut there = BTreeSet::new();
    let mut server = Server::start();
    scene::sound_image(&server.client());
    scene::quarantine_one(&server);
    let _ = server.client().post("/v1/snapshot").expect(201);
    // The scrub looks what there is to do when it begins.
    let _ = server.stop();
    server.restart();
    there.extend(exposed(&scene::wait_for_figure(&server.client(), "mcr_scrub_oldest_verified_timestamp")));
    let begun = server.client().post("/v1/gc").expect(202).json();
    scene::wait_for_plan(&server.client(), begun["id"].as_str().unwrap());
    there.extend(exposed(&scene::wait_for_figure(&server.client(), "mcr_gc_last_success_timestamp")));

    let registry = Registry::start(Mode::Mcias);
    // The identity service was heard of once somebody has logged in.
    let _ = registry.admin().get("/v2/").expect(200);
    there.extend(exposed(&registry.nobody().get("/metrics").expect(200).text()));

    let registry = Distribution::start();
    scene::orphan_index(&registry);
    there.extend(exposed(&registry.metrics()));
    let probe = Probe::over(&registry);
    probe.wait_for("registry_manifest_integrity_broken_tag");
    there.extend(exposed(&probe.metrics()));
    there.extend(exposed(&scene::scan_textfile(&registry)));

    let missing: Vec<&String> = asked.difference(&there).collect();
    assert!(missing.is_empty(), "nothing exposes these: {missing:?}\nexposed: {there:#?}");
}
