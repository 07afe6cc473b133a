//! Tests of helpers, of which each is a few lines of shell.

use super::*;
use crate::files::fixtures::put_program;

/// Runs a helper of these lines of shell, which is found by its path.
async fn run(script: &str, patience: Duration) -> Result<Option<Credential>, String> {
    let directory = tempfile::tempdir().unwrap();
    let program = put_program(directory.path(), "docker-credential-test", script);
    loop {
        let answer = ask_program(program.to_str().unwrap(), "r.example", patience).await;
        // Another test that starts a program at that very moment still has the file open for writing.
        if !answer.as_ref().is_err_and(|error| error.contains("Text file busy")) {
            return answer;
        }
    }
}

async fn helper(script: &str) -> Result<Option<Credential>, String> {
    run(script, Duration::from_secs(10)).await
}

#[tokio::test]
async fn what_a_helper_has_is_taken() {
    let script = r#"read server; echo "{\"ServerURL\":\"$server\",\"Username\":\"$1-$server\",\"Secret\":\"s\"}""#;
    let expected = Credential::Password { username: "get-r.example".to_owned(), password: "s".to_owned() };
    assert_eq!(helper(script).await, Ok(Some(expected)));
    let expected = Credential::Identity { username: None, token: "t".to_owned() };
    assert_eq!(helper(r#"echo '{"Username":"<token>","Secret":"t"}'"#).await, Ok(Some(expected)));
    assert_eq!(helper(r#"echo '{"Username":"","Secret":""}'"#).await, Ok(None));
}

#[tokio::test]
async fn having_nothing_is_no_failure() {
    assert_eq!(helper("echo credentials not found in native keychain; exit 1").await, Ok(None));
}

#[tokio::test]
async fn a_failure_names_the_helper_and_repeats_no_answer() {
    for (script, expected) in [
        ("echo key ring is locked; echo more; exit 1", "failed: key ring is locked; run it by hand"),
        ("echo 'locked' >&2; exit 3", "failed: locked;"),
        (r#"echo '{"Secret":"hidden"}'; exit 1"#, "failed: it did not say why"),
        ("exit 1", "failed: it did not say why"),
        ("echo hidden", "not its protocol"),
        ("yes hidden", "failed: it did not say why"),
    ] {
        let error = helper(script).await.unwrap_err();
        assert!(error.contains("docker-credential-test") && error.contains(expected), "{error}");
        assert!(!error.contains("hidden"), "{error}");
    }
}

#[tokio::test]
async fn a_helper_that_hangs_is_killed() {
    let start = std::time::Instant::now();
    let error = run("exec sleep 60", Duration::from_millis(300)).await.unwrap_err();
    assert!(error.contains("did not answer within 0.3 s"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn only_names_of_programs_are_run() {
    for name in ["../x", "a b", "/bin/sh", "a\nb"] {
        assert!(ask(name, "r").await.unwrap_err().contains("is not the name of a credential helper"), "{name}");
    }
    let error = ask("mcr-test-that-does-not-exist", "r").await.unwrap_err();
    assert!(error.contains("is not installed"), "{error}");
}
