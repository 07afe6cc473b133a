//! Tests of what check-config shows and finds.

use super::*;
use crate::config::table::{Fallback, Kind};

fn loaded(dir: &Path, more: &str) -> Loaded {
    let text = format!(
        "[server]\nlisten_addr = \"127.0.0.1:0\"\n[database]\npath = \"{0}/mcr.db\"\n[storage]\nlayers_path = \"{0}/layers\"\n[auth]\nmode = \"none\"\n{more}",
        dir.display()
    );
    let path = dir.join("mcr.toml");
    files::replace(&path, text.as_bytes(), 0o600).unwrap();
    config::load(Sources::of_files(vec![path], Environment::of(&[("MCR_GC_UNDO", "3d")]))).unwrap()
}

#[test]
fn every_value_is_shown_with_its_origin_and_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let rules = "[[integrity.rule]]\nrepositories = [\"a\"]\n[[retention.rule]]\nrepositories = [\"a\"]\nkeep_last = 2\nkeep_within = \"3d\"\n";
    let loaded = loaded(dir.path(), rules);
    let checks = checks(&loaded.config);
    let text = text(&loaded.settings, &checks);
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
    assert!(line("listen_addr = ").ends_with(&format!("# {}/mcr.toml:2", dir.path().display())));
    assert!(line("undo = \"3d\"").ends_with("# $MCR_GC_UNDO"));
    assert!(line("min_tls = \"1.3\"").ends_with("# default"));
    assert_eq!(line("# grpc_addr"), "# grpc_addr is not set");
    for key in KEYS {
        assert!(text.contains(key.name()), "{}", key.full);
    }
    let again = dir.path().join("again.toml");
    files::replace(&again, text.as_bytes(), 0o600).unwrap();
    let read_back = config::load(Sources::of_files(vec![again], Environment::default())).unwrap();
    assert_eq!(read_back.config, loaded.config);
}

#[test]
fn json_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let loaded = loaded(dir.path(), "[[integrity.rule]]\nrepositories = [\"a\"]\n");
    let document = document(&loaded, &checks(&loaded.config));
    assert_eq!(document["ok"], true);
    let values = document["values"].as_array().unwrap();
    assert_eq!(values.len(), KEYS.len());
    let value = |key: &str| values.iter().find(|value| value["key"] == key).unwrap();
    assert_eq!(value("gc.undo")["value"], "3d");
    assert_eq!(value("gc.undo")["origin"], json!({"kind": "environment", "name": "MCR_GC_UNDO"}));
    assert_eq!(value("server.listen_addr")["origin"]["line"], 2);
    assert_eq!(value("storage.reserve")["value"], 1 << 30);
    assert_eq!(value("server.grpc_addr")["value"], Json::Null);
    assert_eq!(document["rules"][0][0]["value"], json!(["a"]));
}

#[test]
fn secrets_are_masked_everywhere() {
    let secret = Key {
        full: "auth.secret",
        kind: Kind::Pattern,
        fallback: Fallback::Unset(""),
        reloadable: false,
        secret: true,
        example: None,
        hint: None,
        doc: "",
    };
    let setting = Setting { value: Some(Value::Text("hunter2".to_owned())), origin: Origin::Default };
    let mut out = setting_json(&secret, Some(&setting)).to_string();
    push_setting(&mut out, &secret, Some(&setting));
    assert!(!out.contains("hunter2") && out.matches("********").count() == 2, "{out}");
}

#[test]
fn the_next_three_runs_are_shown() {
    let said = next_runs(Some("*/15 * * * *"), Zone::default());
    let runs: Vec<&str> = said.strip_prefix("next runs: ").unwrap().split(", ").collect();
    assert_eq!(runs.len(), 3, "{said}");
    assert!(runs.is_sorted() && runs.iter().all(|run| run.ends_with(":00.000Z")), "{said}");
    assert_eq!(next_runs(None, Zone::default()), "off");
    let dir = tempfile::tempdir().unwrap();
    let loaded = loaded(dir.path(), "[probe]\nschedule = \"off\"\n");
    let checks = checks(&loaded.config);
    let said = text(&loaded.settings, &checks);
    assert!(
        said.contains("# ok    probe.schedule: off\n") && said.contains("# ok    backup.schedule: off\n"),
        "{said}"
    );
    assert!(said.contains("# ok    gc.schedule: next runs: 2"), "{said}");
}

#[test]
fn checking_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let loaded = loaded(dir.path(), "");
    let checks = checks(&loaded.config);
    assert!(checks.iter().all(|check| check.result.is_ok()), "{checks:?}");
    assert!(checks.iter().any(|check| check.result.as_ref().is_ok_and(|said| said.contains("can be made"))));
    assert!(!dir.path().join("layers").exists() && !dir.path().join("uploads").exists());
}

#[test]
fn what_cannot_be_used_is_told() {
    let dir = tempfile::tempdir().unwrap();
    files::replace(&dir.path().join("layers"), b"", 0o600).unwrap();
    let loaded = loaded(dir.path(), "");
    let bad: Vec<String> = checks(&loaded.config).into_iter().filter_map(|check| check.result.err()).collect();
    assert_eq!(bad, [format!("{}/layers: is not a directory; remove it or use another path", dir.path().display())]);
}

#[test]
fn two_file_systems_are_found() {
    let shared_memory = Path::new("/dev/shm");
    let dir = tempfile::tempdir().unwrap();
    let Ok(other) = tempfile::tempdir_in(shared_memory) else { return };
    files::create_private_dir(&dir.path().join("layers")).unwrap();
    let mut loaded = loaded(dir.path(), "");
    loaded.config.storage.uploads_path = other.path().to_owned();
    if files::same_filesystem(dir.path(), other.path()).unwrap() {
        return;
    }
    let said = try_rename(&loaded.config).unwrap_err();
    assert!(said.contains("is not on the file system of layers_path"), "{said}");
}

#[test]
fn a_certificate_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
    assert!(certificate(&cert, &key).is_err());
    crate::dev::ensure_certificate(&cert, &key, None, &Clock::system()).unwrap();
    assert!(certificate(&cert, &key).unwrap().contains("good until 20"));
    crate::dev::ensure_certificate(&cert, &key, Some([10, 0, 0, 1].into()), &Clock::fixed(1_500_000_000_000)).unwrap();
    let said = certificate(&cert, &key).unwrap_err();
    assert!(said.contains("the certificate expired on 2018-"), "{said}");
}

#[test]
fn the_files_of_logins_must_be_readable_and_a_proxy_nobody_trusts_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let passwords = dir.path().join("htpasswd");
    let more = format!("htpasswd_file = \"{}\"\nadmins = [\"ann\"]\n", passwords.display());
    let text = |dir: &Path| {
        let text = format!(
            "[server]\nlisten_addr = \":0\"\nbehind_tls_proxy = true\n[database]\npath = \"{0}/mcr.db\"\n[storage]\nlayers_path = \"{0}/layers\"\n[auth]\nmode = \"htpasswd\"\n{more}",
            dir.display()
        );
        let path = dir.join("mcr.toml");
        files::replace(&path, text.as_bytes(), 0o600).unwrap();
        config::load(Sources::of_files(vec![path], Environment::default())).unwrap()
    };
    let found = |name: &str| checks(&text(dir.path()).config).into_iter().find(|check| check.name == name);
    let missing = found("htpasswd_file").unwrap().result.unwrap_err();
    assert!(missing.contains("htpasswd: cannot be read: No such file"), "{missing}");
    files::replace(&passwords, b"", 0o600).unwrap();
    assert!(found("htpasswd_file").unwrap().result.is_ok());
    assert!(found("trusted_proxies").unwrap().result.unwrap().contains("every client has the address of the proxy"));
    assert_eq!(found("ca_cert"), None);
}
