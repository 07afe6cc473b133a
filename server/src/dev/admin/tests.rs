//! Tests of the one account.

use std::path::Path;

use super::*;

fn open(path: &Path, reset: bool) -> (DevAdmin, Option<String>) {
    DevAdmin::open(path, reset).unwrap()
}

#[test]
fn the_password_is_shown_once_and_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dev-admin.json");
    let (admin, password) = open(&path, false);
    let password = password.unwrap();
    assert_eq!(password.len(), 2 * PASSWORD_BYTES);
    assert!(admin.verify("admin", &password));
    let (again, shown) = open(&path, false);
    assert_eq!(shown, None);
    assert!(again.verify("admin", &password));
    let text = files::read_text(&path, LARGEST_FILE).unwrap();
    assert!(!text.contains(&password));
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
}

#[test]
fn only_this_name_with_this_password_comes_in() {
    let dir = tempfile::tempdir().unwrap();
    let (admin, password) = open(&dir.path().join("a"), false);
    let password = password.unwrap();
    for (user, given) in
        [("Admin", password.as_str()), ("", &password), ("admin ", &password), ("admin", ""), ("admin", &password[1..])]
    {
        assert!(!admin.verify(user, given), "{user:?} {given:?}");
    }
    assert!(!admin.verify("admin", &format!("{password} ")));
}

#[test]
fn a_reset_ends_the_old_password() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let old = open(&path, false).1.unwrap();
    let (admin, new) = open(&path, true);
    let new = new.unwrap();
    assert_ne!(old, new);
    assert!(admin.verify("admin", &new) && !admin.verify("admin", &old));
    let admin = open(&path, false).0;
    assert!(admin.verify("admin", &new) && !admin.verify("admin", &old));
}

#[test]
fn a_damaged_file_is_told_and_never_replaced_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let hash = Digest::sha256(b"x");
    let cases = [
        String::new(),
        "{".to_owned(),
        "\u{0}".to_owned(),
        format!(r#"{{"version":1,"user":"admin","salt":"x","hash":"{hash}","more":1}}"#),
        format!(r#"{{"version":2,"user":"admin","salt":"x","hash":"{hash}"}}"#),
        format!(r#"{{"version":1,"user":"root","salt":"x","hash":"{hash}"}}"#),
        r#"{"version":1,"user":"admin","salt":"x","hash":"sha256:00"}"#.to_owned(),
        "x".repeat(10_000),
    ];
    for text in cases {
        files::replace(&path, text.as_bytes(), 0o600).unwrap();
        let said = DevAdmin::open(&path, false).unwrap_err().to_string();
        assert!(said.contains("is damaged: ") && said.contains("--reset-password"), "{said}");
        assert!(!said.contains('\n'), "{said}");
        assert!(open(&path, true).1.is_some());
    }
}
