//! Tests of looking credentials up over several files and helpers.

use super::*;
use crate::files::fixtures::put;

fn names() -> Names {
    Names { hosts: vec!["r.example:5000".to_owned()], server: "r.example:5000".to_owned() }
}

fn password(username: &str, password: &str) -> Credential {
    Credential::Password { username: username.to_owned(), password: password.to_owned() }
}

#[tokio::test]
async fn the_first_file_that_has_an_entry_wins() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str, content: &str| put(directory.path(), name, content);
    let none = directory.path().join("none/auth.json");
    let other = path("other", r#"{"auths":{"other.example":{"auth":"eDp5"}}}"#);
    let first = path("first", r#"{"auths":{"r.example:5000":{"auth":"YTpi"}}}"#);
    let broken = path("broken", "{");
    let find = async |paths: Vec<PathBuf>| Lookup::new(CredentialFiles::of(paths), names()).find(None).await;
    let paths = vec![none.clone(), other.clone(), first, broken.clone()];
    assert_eq!(find(paths).await, Ok(Some(password("a", "b"))));
    assert_eq!(find(vec![none, other.clone()]).await, Ok(None));
    let error = find(vec![other, broken]).await.unwrap_err();
    assert!(error.contains("broken is broken: not JSON at line 1, column 1"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_not_taken_for_empty() {
    let directory = tempfile::tempdir().unwrap();
    let find = async |path: PathBuf| Lookup::new(CredentialFiles::of(vec![path]), names()).find(None).await;
    let error = find(directory.path().to_owned()).await.unwrap_err();
    assert!(error.starts_with(&format!("{} cannot be read", directory.path().display())), "{error}");
    let large = put(directory.path(), "large", &" ".repeat((1 << 20) + 1));
    assert!(find(large).await.unwrap_err().contains("larger than 1 MiB"));
}

#[tokio::test]
async fn a_helper_is_asked_once_for_a_while_and_its_failure_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let config = put(directory.path(), "config.json", r#"{"credsStore":"mcr-test-that-does-not-exist"}"#);
    let lookup = Lookup::new(CredentialFiles::of(vec![config]), names());
    let error = lookup.find(None).await.unwrap_err();
    assert!(error.contains("config.json: the helper docker-credential-mcr-test-that-does-not-exist"), "{error}");
    assert_eq!(lookup.find(Some("a/b")).await.unwrap_err(), error);
    lookup.forget().await;
    assert_eq!(lookup.find(None).await.unwrap_err(), error);
}

#[test]
fn the_environment_names_the_files_in_their_order() {
    // In a process of its own: the environment belongs to all tests of this one.
    let files = |variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "credentials::tests::prints_its_files", "--nocapture"]);
        for name in ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "DOCKER_CONFIG", "HOME"] {
            command.env_remove(name);
        }
        let output = command.env("CREDENTIALS_CHILD", "1").envs(variables.iter().copied()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let files = text.lines().filter_map(|line| line.split_once("file: ")).map(|(_, path)| path.to_owned());
        files.collect::<Vec<_>>()
    };
    assert_eq!(files(&[]), Vec::<String>::new());
    assert_eq!(files(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "")]), ["/h/.docker/config.json"]);
    let variables =
        [("HOME", "/h"), ("XDG_RUNTIME_DIR", "/x"), ("DOCKER_CONFIG", "/d"), ("REGISTRY_AUTH_FILE", "/r.json")];
    assert_eq!(files(&variables), ["/r.json", "/x/containers/auth.json", "/d/config.json"]);
}

/// Does nothing unless the test above starts it.
#[test]
fn prints_its_files() {
    if std::env::var_os("CREDENTIALS_CHILD").is_some() {
        for path in CredentialFiles::of_environment().paths {
            println!("\nfile: {}", path.display());
        }
    }
}
