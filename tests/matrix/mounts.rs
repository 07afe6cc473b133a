//! A blob comes across a border only from where the caller may pull; never what a mount stores.

use mcr_tests::accounts::{Mode, Registry, Setup, USER};
use mcr_tests::{Blob, Client, Image, Random, push};
use serde_json::json;

struct Scene {
    registry: Registry,
    /// In a repository that the user may pull from.
    readable: Blob,
    /// In one that it may not.
    hidden: Blob,
}

impl Scene {
    fn set(mode: Mode) -> Self {
        let registry = Registry::with(mode, &Setup::default().set("policy", "user_default = []"));
        let (admin, mut random) = (registry.admin(), Random::new(31));
        let [readable, hidden] = [(); 2].map(|()| Blob::random(&mut random, 300));
        for (repository, blob) in [("read/it", &readable), ("hidden/it", &hidden)] {
            push::image(&admin, repository, "v1", &Image::over("amd64", vec![blob.clone()]));
        }
        let _ = registry.allow(USER, &["pull"], "read/**");
        let _ = registry.allow(USER, &["pull", "push"], "own/**");
        Self { registry, readable, hidden }
    }
}

fn mount(client: &Client, blob: &Blob, query: &str) -> u16 {
    let answer = client.post(&format!("/v2/own/new/blobs/uploads/?mount={}{query}", blob.digest));
    let here = client.head(&format!("/v2/own/new/blobs/{}", blob.digest)).status;
    if answer.status == 202 {
        // An upload began, and nothing is here that was not.
        assert!(answer.header("docker-upload-uuid").is_some());
        assert_eq!(here, 404, "{query}");
    } else if answer.status == 201 {
        assert_eq!(here, 200, "{query}");
    }
    if here == 200 {
        let _ = client.delete(&format!("/v2/own/new/blobs/{}", blob.digest));
    }
    answer.status
}

#[test]
fn only_from_where_the_caller_may_pull() {
    for mode in Mode::ALL {
        let Scene { registry, readable, hidden } = Scene::set(mode);
        let _ = registry.allow(USER, &["delete"], "own/**");
        let scopes = ["repository:own/new:pull,push,delete", "repository:read/it:pull", "repository:hidden/it:pull"];
        for (what, client) in [("Basic", registry.account(USER)), ("a token", registry.bearer(USER, &scopes))] {
            assert_eq!(mount(&client, &readable, "&from=read/it"), 201, "{mode:?}, {what}");
            assert_eq!(mount(&client, &readable, ""), 201, "{mode:?}, {what}: from anywhere");
            assert_eq!(mount(&client, &hidden, "&from=hidden/it"), 202, "{mode:?}, {what}: hidden");
            assert_eq!(mount(&client, &hidden, ""), 202, "{mode:?}, {what}: hidden, from anywhere");
            assert_eq!(mount(&client, &hidden, "&from=read/it"), 202, "{mode:?}, {what}: not there");
            assert_eq!(mount(&client, &readable, "&from=none/at/all"), 202, "{mode:?}, {what}: absent");
        }
        // A token that was not asked for the source does not reach it, though the account may.
        let narrow = registry.bearer(USER, &["repository:own/new:pull,push,delete"]);
        assert_eq!(mount(&narrow, &readable, "&from=read/it"), 202, "{mode:?}: a token for one repository");
        assert_eq!(mount(&narrow, &readable, ""), 202, "{mode:?}: a token for one repository, from anywhere");
        // What was opened is open at once.
        let opened = registry.allow(USER, &["pull"], "hidden/**");
        let user = registry.account(USER);
        assert_eq!(mount(&user, &hidden, "&from=hidden/it"), 201, "{mode:?}");
        let _ = registry.admin().delete(&format!("/v1/policy/rules/{opened}")).expect(204);
        assert_eq!(mount(&user, &hidden, "&from=hidden/it"), 202, "{mode:?}: closed again");
        assert_eq!(mount(&user, &hidden, ""), 202, "{mode:?}: closed again");
    }
}

#[test]
fn what_nobody_may_pull_is_not_mounted_for_nobody() {
    let Scene { registry, readable, hidden } = Scene::set(Mode::Htpasswd);
    let _ = registry.rule(&json!({
        "priority": 5, "effect": "allow", "actions": ["registry:pull", "registry:push", "registry:delete"],
        "account_types": ["anonymous"], "repositories": ["own/**"],
    }));
    let nobody = registry.nobody();
    for blob in [&readable, &hidden] {
        for query in ["", "&from=read/it", "&from=hidden/it"] {
            assert_eq!(mount(&nobody, blob, query), 202, "{query}");
        }
    }
    let _ = registry.open_to_all("read/**");
    assert_eq!(mount(&nobody, &readable, "&from=read/it"), 201);
    assert_eq!(mount(&nobody, &hidden, ""), 202);
}
