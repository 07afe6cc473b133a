//! Tests of credential files as docker, podman and their kin write them.

use super::*;

fn config(text: &str) -> Config {
    parse(Path::new("/c.json"), text.as_bytes()).unwrap()
}

fn names(hosts: &[&str]) -> Names {
    Names { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), server: hosts[0].to_owned() }
}

/// The name of the user that is found for a repository of `r.example`.
fn user(config: &Config, repository: Option<&str>) -> Option<String> {
    match config.entries(&names(&["r.example", "r.example:443"]), repository).into_iter().next() {
        Some(Entry::Found(Credential::Password { username, .. })) => Some(username),
        Some(Entry::Helper(helper)) => Some(format!("helper {helper}")),
        _ => None,
    }
}

fn with_key(key: &str) -> Config {
    config(&format!(r#"{{"auths":{{"{key}":{{"username":"u","password":"p"}}}}}}"#))
}

#[test]
fn keys_are_found_however_they_are_written() {
    for key in [
        "r.example",
        "https://r.example",
        "http://r.example/",
        "https://r.example/v1/",
        "r.example/v2/",
        "R.Example",
        "r.example:443",
        "https://r.example/v2/",
        "r.example/",
    ] {
        assert_eq!(user(&with_key(key), Some("a/b")).as_deref(), Some("u"), "{key}");
    }
    for key in ["r.example:5000", "x.r.example", "r.example.com", "r.example/a/bc", "r.example/a/b/c"] {
        assert_eq!(user(&with_key(key), Some("a/b")), None, "{key}");
    }
}

#[test]
fn docker_hub_goes_by_several_names() {
    for key in ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io", "index.docker.io/v1/"] {
        let entries = with_key(key).entries(&names(&["docker.io"]), Some("library/x"));
        assert!(matches!(entries.as_slice(), [Entry::Found(_)]), "{key}: {entries:?}");
    }
}

#[test]
fn the_longest_part_of_the_path_wins() {
    let config = config(
        r#"{"auths":{"r.example":{"auth":"aG9zdDpw"},"r.example/a":{"auth":"YTpw"},"r.example/a/b":{"auth":"Yjpw"}}}"#,
    );
    for (repository, expected) in [
        (None, "host"),
        (Some("x"), "host"),
        (Some("a"), "a"),
        (Some("a/x/y"), "a"),
        (Some("a/b/c"), "b"),
        (Some("ab"), "host"),
    ] {
        assert_eq!(user(&config, repository).as_deref(), Some(expected), "{repository:?}");
    }
}

#[test]
fn entries_are_read_in_every_form() {
    let entry = |text: &str| {
        let config = config(&format!(r#"{{"auths":{{"r.example":{text}}}}}"#));
        config.entries(&names(&["r.example"]), None).into_iter().next()
    };
    let password = |username: &str, password: &str| {
        Some(Entry::Found(Credential::Password { username: username.to_owned(), password: password.to_owned() }))
    };
    assert_eq!(entry(r#"{"auth":"YTpiOmM="}"#), password("a", "b:c"));
    assert_eq!(entry(r#"{"auth":"YTpiOmM"}"#), password("a", "b:c"));
    assert_eq!(entry(r#"{"username":"u","password":"p","email":"x"}"#), password("u", "p"));
    assert_eq!(
        entry(r#"{"auth":"YTo=","identitytoken":"t"}"#),
        Some(Entry::Found(Credential::Identity { username: Some("a".to_owned()), token: "t".to_owned() }))
    );
    for empty in ["{}", "null", r#"{"auth":""}"#, r#"{"username":"u"}"#, r#"{"auth":"YTo="}"#] {
        assert_eq!(entry(empty), None, "{empty}");
    }
}

#[test]
fn helpers_of_a_registry_come_first_and_stores_last() {
    let text = r#"{"auths":{"r.example":{"auth":"YTpi"},"s.example":{}},"credHelpers":{"r.example":"own"},"credsStore":"all"}"#;
    let config = config(text);
    let entries = config.entries(&names(&["r.example"]), None);
    assert!(
        matches!(entries.as_slice(), [Entry::Helper(own), Entry::Found(_), Entry::Helper(all)] if own == "own" && all == "all")
    );
    assert_eq!(config.entries(&names(&["s.example"]), None), [Entry::Helper("all".to_owned())]);
}

#[test]
fn a_broken_file_is_told_with_its_name_and_without_what_is_in_it() {
    for (text, expected) in [
        ("{", "not JSON at line 1, column 1"),
        ("{\n\"auths\": [\"c2VjcmV0\"]}", "a value that is none at line 2"),
        (r#"{"auths":{"h":{"auth":"c2VjcmV0"}}}"#, "`auths`, h: `auth` is not name:password"),
        (r#"{"auths":{"h":{"auth":"!secret!"}}}"#, "`auth` is not base64"),
        (r#"{"auths":{"h":{"auth":"/////w=="}}}"#, "`auth` is not UTF-8"),
        (r#"{"credsStore":["c2VjcmV0"]}"#, "a value that is none"),
    ] {
        let error = parse(Path::new("/c.json"), text.as_bytes()).unwrap_err();
        assert!(error.starts_with("/c.json is broken: ") && error.contains(expected), "{error}");
        assert!(!error.contains("c2VjcmV0") && !error.contains("secret"), "{error}");
    }
    assert!(config("  ").entries(&names(&["h"]), None).is_empty());
    assert!(config(r#"{"auths":null,"HttpHeaders":{}}"#).entries(&names(&["h"]), None).is_empty());
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", with_key("r.example"));
    assert_eq!(shown, r#"{"r.example"}"#);
    let shown = format!("{:?}", with_key("r.example").entries(&names(&["r.example"]), None));
    assert!(!shown.contains("\"p\""), "{shown}");
}
