//! Tests of writing credential files: what is added, what stays, what goes.
#![expect(clippy::disallowed_methods, reason = "tests look at files and make links")]

use std::os::unix::fs::PermissionsExt as _;

use super::super::{Credential, Lookup};
use super::*;
use crate::files::fixtures::put;

fn url() -> Url {
    Url::parse("https://r.example:5000/").unwrap()
}

async fn found(files: &CredentialFiles) -> Option<Credential> {
    Lookup::new(files.clone(), names(&url()).unwrap()).find(None).await.unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&read_small(path).unwrap().unwrap()).unwrap()
}

#[tokio::test]
async fn a_login_is_found_again_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/config.json");
    let files = CredentialFiles::of(vec![path.clone()]);
    let kept = files.keep(&url(), "ada", "ses:ame").await.unwrap();
    assert_eq!(kept, [Kept { path: path.clone(), helper: None }]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let expected = Credential::Password { username: "ada".to_owned(), password: "ses:ame".to_owned() };
    assert_eq!(found(&files).await, Some(expected));
    assert_eq!(files.remove(&url()).await.unwrap().len(), 1);
    assert_eq!(found(&files).await, None);
    assert_eq!(files.remove(&url()).await.unwrap(), []);
}

#[tokio::test]
async fn what_others_keep_in_the_file_stays() {
    let directory = tempfile::tempdir().unwrap();
    let content = r#"{"zeta":[1,{"x":null}],"auths":{"other.example":{"auth":"YTpi","email":"e"},
        "https://R.example:5000/v1/":{"auth":"b2xkOm9sZA=="},"r.example:5000/team":{"auth":"dGVhbTp0"}},"aliases":{"b":"c"}}"#;
    let path = put(directory.path(), "config.json", content);
    let files = CredentialFiles::of(vec![path.clone()]);
    files.keep(&url(), "a", "b").await.unwrap();
    let auths = json!({"other.example": {"auth": "YTpi", "email": "e"}, "r.example:5000/team": {"auth": "dGVhbTp0"},
        "r.example:5000": {"auth": "YTpi"}});
    assert_eq!(json(&path), json!({"zeta": [1, {"x": null}], "auths": auths, "aliases": {"b": "c"}}));
    let keys: Vec<String> = json(&path).as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["zeta", "auths", "aliases"]);
    files.remove(&url()).await.unwrap();
    assert!(json(&path)["auths"].get("r.example:5000").is_none());
    assert!(json(&path)["auths"].get("r.example:5000/team").is_some());
}

#[tokio::test]
async fn a_file_that_is_looked_at_earlier_does_not_keep_an_old_login() {
    let directory = tempfile::tempdir().unwrap();
    let first = put(directory.path(), "auth.json", r#"{"auths":{"r.example:5000":{"auth":"b2xkOm9sZA=="}}}"#);
    let other = put(directory.path(), "other.json", r#"{"auths":{"x.example":{"auth":"b2xkOm9sZA=="}}}"#);
    let last = directory.path().join("config.json");
    let files = CredentialFiles::of(vec![first.clone(), other.clone(), last.clone()]);
    let kept = files.keep(&url(), "ada", "new").await.unwrap();
    let paths: Vec<PathBuf> = kept.into_iter().map(|kept| kept.path).collect();
    assert_eq!(paths, [first, last]);
    let expected = Credential::Password { username: "ada".to_owned(), password: "new".to_owned() };
    assert_eq!(found(&files).await, Some(expected));
    assert_eq!(files.remove(&url()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_link_stays_a_link() {
    let directory = tempfile::tempdir().unwrap();
    let real = put(directory.path(), "real.json", "{}");
    let link = directory.path().join("config.json");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    CredentialFiles::of(vec![link.clone()]).keep(&url(), "a", "b").await.unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert!(json(&real)["auths"].get("r.example:5000").is_some());
}

#[tokio::test]
async fn a_broken_file_is_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    for content in ["{", "[]", r#"{"auths":[]}"#] {
        let path = put(directory.path(), "config.json", content);
        let error = CredentialFiles::of(vec![path.clone()]).keep(&url(), "a", "sesame").await.unwrap_err();
        assert!(error.contains("config.json is broken") || error.contains("config.json: is broken"), "{error}");
        assert!(!error.contains("sesame"), "{error}");
        assert_eq!(read_small(&path).unwrap().unwrap(), content.as_bytes());
    }
    let error = CredentialFiles::of(Vec::new()).keep(&url(), "a", "b").await.unwrap_err();
    assert!(error.contains("REGISTRY_AUTH_FILE"), "{error}");
}
