//! Tests of changes while a server runs.

use super::*;
use crate::config::{Environment, Sources};

const BASE: &str = "[server]\nlisten_addr = \"127.0.0.1:0\"\n[database]\npath = \"/d/mcr.db\"\n[storage]\nlayers_path = \"/d/layers\"\n[auth]\nmode = \"none\"\n";

fn live(dir: &std::path::Path) -> (Arc<Live>, PathBuf) {
    let path = dir.join("mcr.toml");
    files::replace(&path, BASE.as_bytes(), 0o600).unwrap();
    let loaded = load(Sources::of_files(vec![path.clone()], Environment::default())).unwrap();
    (Live::new(loaded, None), path)
}

#[test]
fn what_is_reloadable_is_in_force_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (live, path) = live(dir.path());
    assert!(!live.has_changed() && !live.read_only());
    let text = BASE.replace("[database]", "read_only = true\nidle_timeout = \"5s\"\n[database]");
    files::replace(&path, text.as_bytes(), 0o600).unwrap();
    assert!(live.has_changed());
    let changes = live.reload().unwrap();
    assert!(live.read_only());
    let told: Vec<(&str, &str, bool)> =
        changes.iter().map(|change| (change.key, change.value.as_str(), change.in_force)).collect();
    assert_eq!(told, [("server.idle_timeout", "\"5s\"", false), ("server.read_only", "true", true)]);
    assert!(!live.has_changed());
    assert_eq!(live.reload().unwrap(), []);
}

#[test]
fn the_names_clients_come_by_are_reloadable() {
    let dir = tempfile::tempdir().unwrap();
    let (live, path) = live(dir.path());
    assert_eq!(*live.names(), Names::default());
    let more = "external_url = \"https://reg.example\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n[database]";
    files::replace(&path, BASE.replace("[database]", more).as_bytes(), 0o600).unwrap();
    let changes = live.reload().unwrap();
    assert!(changes.len() == 2 && changes.iter().all(|change| change.in_force), "{changes:?}");
    let names = live.names();
    assert_eq!(names.external_url, ["https://reg.example"]);
    assert_eq!(names.trusted_proxies.len(), 1);
}

#[test]
fn a_bad_configuration_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (live, path) = live(dir.path());
    let text = BASE.replace("[database]", "read_only = true\nidle_timeout = 5\n[database]");
    files::replace(&path, text.as_bytes(), 0o600).unwrap();
    let problems = live.reload().unwrap_err();
    assert!(problems.to_string().contains(":4: [server] idle_timeout: expected a duration"), "{problems}");
    assert!(!live.read_only());
    assert!(!live.has_changed(), "told once, not at every look");
    assert_eq!(live.reload_and_tell(), []);
}

#[test]
fn a_file_that_is_gone_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (live, path) = live(dir.path());
    let elsewhere = dir.path().join("elsewhere");
    rustix::fs::rename(&path, &elsewhere).unwrap();
    assert!(live.has_changed());
    assert!(live.reload().is_err());
    rustix::fs::rename(&elsewhere, &path).unwrap();
    assert!(live.has_changed());
    assert_eq!(live.reload().unwrap(), []);
}

#[test]
fn changed_rules_need_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (live, path) = live(dir.path());
    let text = format!("{BASE}[[integrity.rule]]\nrepositories = [\"a\"]\n");
    files::replace(&path, text.as_bytes(), 0o600).unwrap();
    let changes = live.reload().unwrap();
    assert_eq!((changes[0].key, changes[0].in_force), ("integrity.rule", false));
}
