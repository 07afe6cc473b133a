//! `token`: made once, used by others, revoked.

use mcr_tests::accounts::USER;
use mcr_tests::{Image, Random, push};
use serde_json::json;

use crate::scene::{Shell, push_index, registry, words};

#[test]
fn a_token_does_what_it_was_made_for_until_it_is_revoked() {
    let registry = registry();
    let admin = Shell::admin(&registry);
    push_index(&registry, "infra/ci", "latest", 1);
    let output = admin.run(&[
        "token",
        "create",
        "--name",
        "ci",
        "--actions",
        "pull,push",
        "--repositories",
        "infra/*",
        "--expires",
        "90d",
    ]);
    let output = output.ok();
    let secret = output.text().trim_end().to_owned();
    registry.is_secret(&secret);
    assert!(secret.starts_with("mcr_") && !secret.contains(char::is_whitespace), "{output:?}");
    let host = registry.authority();
    assert!(output.stderr.contains("shown this once") && output.stderr.contains(&format!("--password-stdin {host}")));
    assert!(!output.stderr.contains(&secret), "it is printed once");

    let table = admin.says(&["token", "list"]);
    let lines = words(&table);
    assert_eq!(lines[0][..5], ["ID", "NAME", "OWNER", "ACTIONS", "REPOSITORIES"]);
    assert_eq!(lines[1][1..5], ["ci", "alice", "pull,push", "infra/*"]);
    assert!(table.contains("ends 20"), "{table}");
    let id = lines[1][0].to_owned();

    // As a bearer token and as a password, for this and nothing else.
    let mut machine = Shell::nobody(&registry);
    machine.set("MCR_TOKEN", &secret);
    assert_eq!(machine.says(&["tag", "list", "infra/ci"]), "latest\n");
    let _ = machine.run(&["verify", &format!("{host}/infra/ci:latest")]).ok();
    let image = Image::random(&mut Random::new(2), 1, 300);
    push::image(&registry.nobody().with_basic("any", &secret), "infra/other", "v1", &image);
    assert!(machine.exits(3, &["policy", "list"]).contains("refuses with"));
    assert!(machine.exits(1, &["repo", "delete", "infra/ci", "--yes"]).contains("refuses with"));

    assert!(admin.exits(2, &["token", "revoke", &id]).contains("--yes"));
    let (code, said) = admin.typed("yes\n", &["token", "revoke", &id]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("infra/*") && said.contains(&format!("revoked token {id}")), "{said}");
    let refused = machine.exits(3, &["tag", "list", "infra/ci"]);
    assert!(refused.contains("401") && refused.contains("check the token"), "{refused}");
    assert!(admin.says(&["token", "list"]).contains("revoked 20"));
    assert_eq!(admin.exits(1, &["token", "revoke", "nosuch", "--yes"]).lines().count(), 1);
    registry.assert_nothing_secret_logged();
}

#[test]
fn people_have_tokens_of_their_own() {
    let registry = registry();
    let user = Shell::of(&registry, USER);
    let (code, made) = user.json(&["token", "create", "--name", "mine", "--actions", "pull", "--repositories", "**"]);
    assert_eq!((code, &made["owner"]), (0, &json!(USER)));
    assert!(made["token"].as_str().unwrap().starts_with("mcr_"));
    let end = made["expires_at"].as_str().unwrap();
    assert!(end > made["created_at"].as_str().unwrap(), "it ends");
    let (_, own) = user.json(&["token", "list"]);
    assert_eq!(own["tokens"].as_array().unwrap().len(), 1);
    assert!(own["tokens"][0].get("token").is_none(), "the secret is shown once");
    let admin = Shell::admin(&registry);
    assert_eq!(admin.json(&["token", "list"]).1["tokens"][0]["owner"], USER);

    let quiet =
        user.exits(0, &["token", "create", "--quiet", "--name", "q", "--actions", "pull", "--repositories", "a"]);
    assert!(quiet.starts_with("mcr_") && quiet.lines().count() == 1, "{quiet}");
    assert!(
        user.exits(1, &["token", "create", "--name", "x", "--actions", "fly", "--repositories", "a"]).contains("fly")
    );
    assert!(user.exits(2, &["token", "create", "--name", "x"]).contains("--actions"));
    let soon = ["token", "create", "--name", "x", "--actions", "pull", "--repositories", "a", "--expires", "soon"];
    assert!(user.exits(2, &soon).contains("90d"));
}
