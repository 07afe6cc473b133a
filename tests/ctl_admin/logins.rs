//! `login` and `logout`: proved, kept where docker and podman look, and gone again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use mcr_tests::accounts::{ADMIN, Mode, Registry, USER};
use mcr_tests::distribution::{Distribution, Setup};
use mcr_tests::{process, tools};
use serde_json::{Value, json};

use crate::scene::{Shell, push_index, registry};

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Logs in with the password on stdin.
#[track_caller]
fn log_in(shell: &Shell, registry: &Registry, name: &str) -> String {
    let password = format!("{}\n", registry.password(name));
    let arguments = ["login", &registry.authority(), "--username", name, "--password-stdin"];
    let (code, said) = shell.given(&password, &arguments);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(password.trim()), "{said}");
    said
}

#[test]
fn a_login_is_kept_for_every_tool_and_removed() {
    for mode in Mode::ALL {
        let registry = Registry::start(mode);
        push_index(&registry, "infra/ci", "latest", 1);
        let shell = Shell::nobody(&registry);
        let host = registry.authority();
        let _ = shell.exits(3, &["policy", "list"]);
        let said = log_in(&shell, &registry, ADMIN);
        let file = shell.home().join(".docker/config.json");
        assert!(said.contains(&format!("logged in to {host} as {ADMIN}")), "{said}");
        assert!(said.contains(file.to_str().unwrap()), "{said}");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);

        let _ = shell.says(&["policy", "list"]);
        let _ = shell.run(&["verify", &format!("{host}/infra/ci:latest")]).ok();
        // And the others, which read the same file.
        let cert_dir = registry.trust().to_str().unwrap().to_owned();
        let image = format!("docker://{host}/infra/ci:latest");
        let skopeo = tools::command("skopeo").get_program().to_owned();
        let inspect = ["inspect", "--raw", "--cert-dir", &cert_dir, &image];
        let inspected = process::run(&mut shell.program(Path::new(&skopeo), &inspect)).ok();
        assert!(inspected.text().contains("manifests"), "{inspected:?}");

        let said = shell.says(&["logout", &host]);
        assert!(said.contains(&format!("removed the login for {host}")), "{said}");
        let _ = shell.exits(3, &["policy", "list"]);
        assert!(shell.says(&["logout", &host]).contains("there was no login"));
        assert_eq!(json_of(&file)["auths"], json!({}));
        registry.assert_nothing_secret_logged();
    }
}

#[test]
fn a_wrong_login_is_not_kept() {
    let registry = registry();
    let shell = Shell::nobody(&registry);
    let (code, said) = shell.given("nonsense\n", &["login", "--username", ADMIN, "--password-stdin"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("refuses the login"), "{said}");
    assert!(!shell.home().join(".docker").exists());
    let (code, said) = shell.given("\n", &["login", "--username", ADMIN, "--password-stdin"]);
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn at_a_terminal_name_and_password_are_asked_for_without_echo() {
    let registry = registry();
    let shell = Shell::nobody(&registry);
    let password = registry.password(USER);
    let (code, said) = shell.typed(&format!("{USER}\n{password}\n"), &["login", &registry.authority()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Username for https://") && said.contains("Password: "), "{said}");
    assert!(!said.contains(&password), "the password was shown: {said}");
    assert!(said.contains(&format!("as {USER}")), "{said}");
    let _ = shell.says(&["token", "list"]);
}

#[test]
fn what_else_stands_in_the_file_stays_and_its_helper_is_used() {
    let registry = registry();
    let host = registry.authority();
    let shell = Shell::nobody(&registry);
    let directory = shell.home().join(".docker");
    std::fs::create_dir(&directory).unwrap();
    let file = directory.join("config.json");
    // A helper of a few lines, which keeps what it is given in a file.
    let helper = shell.home().join("docker-credential-test");
    let script = r#"#!/bin/sh
case "$1" in
store) cat > "$HOME/kept" ;;
get) cat "$HOME/kept" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm "$HOME/kept" ;;
esac
"#;
    process::install_script(&helper, script);
    let before = json!({"auths": {"other.example": {"auth": "YTpi"}}, "credHelpers": {&host: "test"}, "psFormat": "x"});
    std::fs::write(&file, before.to_string()).unwrap();

    let said = log_in(&shell, &registry, ADMIN);
    assert!(said.contains("docker-credential-test"), "{said}");
    let after = json_of(&file);
    assert_eq!((&after["psFormat"], &after["auths"]["other.example"]), (&json!("x"), &json!({"auth": "YTpi"})));
    assert_eq!(after["auths"][&host], json!({}), "the secret is the helper's");
    let kept = json_of(&shell.home().join("kept"));
    assert_eq!((&kept["ServerURL"], &kept["Username"]), (&json!(host), &json!(ADMIN)));
    let _ = shell.says(&["policy", "list"]);
    let _ = shell.says(&["logout", &host]);
    assert!(!shell.home().join("kept").exists());
    let _ = shell.exits(3, &["policy", "list"]);
    assert_eq!(json_of(&file)["auths"], json!({"other.example": {"auth": "YTpi"}}));
}

#[test]
fn json_says_who_it_is_and_where_it_is_kept() {
    let registry = registry();
    let mut shell = Shell::of(&registry, ADMIN);
    let auth = shell.home().join("auth.json");
    shell.set("REGISTRY_AUTH_FILE", auth.to_str().unwrap());
    let (code, json) = shell.json(&["login"]);
    assert_eq!((code, &json["account"], &json["admin"]), (0, &json!(ADMIN), &json!(true)));
    assert_eq!((&json["registry"], &json["expires_at"]), (&json!(registry.authority()), &Value::Null));
    assert_eq!(json["kept"], json!([{"file": auth.to_str().unwrap(), "helper": null}]));
    assert!(!json.to_string().contains(&registry.password(ADMIN)));
    shell.unset("MCR_USERNAME").unset("MCR_PASSWORD");
    let _ = shell.says(&["policy", "list"]);
    assert_eq!(shell.json(&["logout"]).1["removed"][0]["file"], auth.to_str().unwrap());
}

#[test]
fn a_token_is_a_login_too_and_ends_when_it_is_revoked() {
    let registry = registry();
    push_index(&registry, "infra/ci", "latest", 1);
    let admin = Shell::admin(&registry);
    let create = ["token", "create", "--name", "ci", "--actions", "pull", "--repositories", "infra/*"];
    let (_, made) = admin.json(&create);
    let secret = made["token"].as_str().unwrap();
    let machine = Shell::nobody(&registry);
    let said = machine.says(&["login", &registry.authority(), "--token", secret]);
    assert!(said.contains(&format!("as {ADMIN}")) && !said.contains(secret), "{said}");
    assert_eq!(machine.says(&["tag", "list", "infra/ci"]), "latest\n");
    let _ = machine.exits(3, &["policy", "list"]);
    let _ = admin.says(&["token", "revoke", made["id"].as_str().unwrap(), "--yes"]);
    assert!(machine.exits(3, &["tag", "list", "infra/ci"]).contains("mcrctl login"));
    let (code, said) = machine.given("", &["login", &registry.authority(), "--token", secret]);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn what_docker_kept_is_enough() {
    let registry = registry();
    push_index(&registry, "infra/ci", "latest", 1);
    let shell = Shell::nobody(&registry);
    // As docker does it: a refresh token is asked for, and kept where one is given.
    let answer =
        registry.account(ADMIN).get("/v2/token?service=mcr&offline_token=true&account=alice").expect(200).json();
    let pair = base64_of(&format!("{ADMIN}:{}", registry.password(ADMIN)));
    let entry = match answer["refresh_token"].as_str() {
        Some(token) => json!({"auth": base64_of(&format!("{ADMIN}:")), "identitytoken": token}),
        None => json!({"auth": pair}),
    };
    let refreshes = entry.get("identitytoken").is_some();
    std::fs::create_dir(shell.home().join(".docker")).unwrap();
    let text = json!({"auths": {registry.authority(): entry}}).to_string();
    std::fs::write(shell.home().join(".docker/config.json"), text).unwrap();
    let _ = shell.run(&["verify", &format!("{}/infra/ci:latest", registry.authority())]).ok();
    assert_eq!(shell.says(&["tag", "list", "infra/ci"]), "latest\n");
    assert!(shell.says(&["repo", "list"]).contains("infra/ci"));
    if refreshes {
        // It is for images; what administers wants a login of its own, and is told how.
        assert!(shell.exits(3, &["policy", "list"]).contains("mcrctl login"));
        assert!(shell.exits(1, &["read-only", "on"]).contains("mcrctl login"));
    }
    let _ = log_in(&shell, &registry, ADMIN);
    let _ = shell.says(&["policy", "list"]);
}

fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn other_registries_are_logged_in_to_as_docker_does() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("htpasswd");
    std::fs::write(&file, process::run(tools::command("htpasswd").args(["-Bbn", "ci", "s3cret"])).ok().stdout).unwrap();
    let extra = format!("auth:\n  htpasswd: {{realm: test, path: {}}}\n", file.display());
    let registry = Distribution::with(Setup { extra, ..Setup::default() });
    let shell = Shell::at(&registry.url(), None);
    let login = ["login", "--username", "ci", "--password-stdin"];
    let (code, said) = shell.given("wrong\n", &login);
    assert_eq!(code, Some(1), "{said}");
    assert!(!shell.home().join(".docker").exists(), "{said}");
    assert!(shell.run(&["probe", "--min-repositories", "0"]).all().contains("401"));
    let (code, said) = shell.given("s3cret\n", &login);
    assert_eq!(code, Some(0), "{said}");
    let _ = shell.run(&["probe", "--min-repositories", "0"]).ok();
}
