//! What goes wrong: nobody there, another registry, a wrong password, no login; each with its code and its advice.

use mcr_tests::accounts::ADMIN;
use mcr_tests::distribution::Distribution;
use mcr_tests::ports;

use crate::scene::{Shell, registry};

/// Commands that only ask, and commands that change something.
const ASK: &[&[&str]] = &[
    &["repo", "list"],
    &["repo", "show", "a/b"],
    &["tag", "list", "a/b"],
    &["tag", "history", "a/b:c"],
    &["policy", "list"],
    &["policy", "show", "1"],
    &["policy", "explain", "--subject", "x", "--action", "pull", "--repository", "a"],
    &["token", "list"],
    &["audit", "list"],
    &["audit", "tail"],
    &["audit", "export"],
    &["audit", "verify"],
    &["read-only", "status"],
    &["integrity"],
];
const CHANGE: &[&[&str]] = &[
    &["policy", "create", "--effect", "allow"],
    &["policy", "update", "1", "--disabled"],
    &["token", "create", "--name", "x", "--actions", "pull", "--repositories", "a"],
    &["token", "revoke", "x", "--yes"],
    &["read-only", "on"],
];

#[test]
fn a_registry_that_is_not_there_is_undetermined() {
    let shell = Shell::at(&format!("http://{}", ports::free()), None);
    for command in ASK.iter().chain(CHANGE) {
        let said = shell.exits(3, &[&["--timeout", "3s"], *command].concat());
        assert!(said.contains("cannot be reached"), "{command:?}: {said}");
        let (code, json) = shell.json(&[&["--timeout", "3s"], *command].concat());
        assert_eq!((code, json["status"].as_str()), (3, Some("unknown")), "{command:?}");
    }
}

#[test]
fn another_registry_is_told_from_one_of_ours() {
    let registry = Distribution::start();
    let shell = Shell::at(&registry.url(), None);
    for command in ASK {
        let said = shell.exits(3, command);
        assert!(said.contains("older"), "{command:?}: {said}");
    }
}

#[test]
fn a_wrong_password_and_no_password_say_what_to_do() {
    let registry = registry();
    let host = registry.authority();
    let nobody = Shell::nobody(&registry);
    let mut wrong = Shell::nobody(&registry);
    wrong.set("MCR_USERNAME", ADMIN).set("MCR_PASSWORD", "wrong-password-of-alice");
    for command in [&["policy", "list"][..], &["token", "list"], &["audit", "verify"], &["read-only", "status"]] {
        let said = nobody.exits(3, command);
        assert!(said.contains("401") && said.contains(&format!("log in first: mcrctl login {host}")), "{said}");
    }
    let said = wrong.exits(3, &["policy", "list"]);
    assert!(said.contains(&format!("wrong or has ended: mcrctl login {host}")), "{said}");
    assert!(!said.contains("wrong-password"), "{said}");
    for command in CHANGE {
        let said = nobody.exits(1, command);
        assert!(said.contains("log in first"), "{command:?}: {said}");
    }
    let mut distrusting = Shell::of(&registry, ADMIN);
    distrusting.unset("MCR_CA_CERT");
    assert!(distrusting.exits(3, &["policy", "list"]).contains("--ca-cert"));
    let _ = distrusting.says(&["policy", "list", "--insecure"]);
}

#[test]
fn a_token_goes_to_the_registry_of_addr_and_nowhere_else() {
    let registry = registry();
    let other = Distribution::start();
    let mut shell = Shell::at(&other.url(), Some(&registry.issuer().certificate()));
    shell.set("MCR_TOKEN", "mcr_of-the-other-registry");
    // Another host than that of --addr: asked as nobody.
    let said = shell.exits(3, &["repo", "show", &format!("{}/a/b", registry.authority())]);
    assert!(said.contains("401") || said.contains("log in"), "{said}");
    assert!(!registry.server().log().contains("mcr_of"), "{}", registry.server().log());
}

#[test]
fn usage_is_told_before_anything_is_sent() {
    let shell = Shell::at("https://127.0.0.1:1", None);
    for (command, told) in [
        (&["repo", "delete", "a/b"][..], "--yes"),
        (&["tag", "delete", "a/b:c"], "--yes"),
        (&["policy", "delete", "1"], "--yes"),
        (&["token", "revoke", "x"], "--yes"),
        (&["policy", "create"], "--effect"),
        (&["policy", "explain", "--subject", "x"], "--action"),
        (&["repo"], "repo"),
        (&["audit", "tail", "--n", "x"], "--n"),
        (&["login"], "--username"),
    ] {
        let output = shell.run(command);
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.all().contains(told), "{command:?}: {output:?}");
    }
}
