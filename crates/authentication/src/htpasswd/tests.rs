//! Password files: who is in them, and which line is wrong.

use super::*;

fn settings() -> HtpasswdSettings {
    let list = |text: &str| vec![text.to_owned()];
    HtpasswdSettings { file: "x".into(), admins: list("root"), guests: list("guest-*"), system: list("ci-*") }
}

fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

fn parse(text: &str) -> Result<Accounts, HtpasswdError> {
    Accounts::parse(text, &settings())
}

#[test]
fn accounts_have_the_kinds_and_roles_the_configuration_gives_them() {
    let h = hash("x");
    let text = format!("# ours\n\nroot:{h}\r\nanna:{h}\nguest-1:{h}\nci-build:{h}\n");
    let accounts = parse(&text).unwrap();
    for (name, kind, roles) in [
        ("root", AccountKind::Human, vec![ADMIN_ROLE]),
        ("anna", AccountKind::Human, vec![USER_ROLE]),
        ("guest-1", AccountKind::Human, vec![GUEST_ROLE]),
        ("ci-build", AccountKind::System, vec![]),
    ] {
        let account = &accounts.get(name).unwrap().account;
        assert_eq!((account.kind, &account.roles), (kind, &roles.iter().map(|r| (*r).to_owned()).collect()), "{name}");
    }
    assert!(accounts.len() == 4 && accounts.get("Anna").is_none());
}

#[test]
fn every_wrong_line_is_named() {
    let h = hash("x");
    for (text, error) in [
        (format!("root:{h}\nanna"), HtpasswdError::NoColon(2)),
        (format!("root:{h}\n:{h}"), HtpasswdError::Name(2)),
        (format!("root:{h}\na\u{7}b:{h}"), HtpasswdError::Name(2)),
        (format!("mcr-probe:{h}"), HtpasswdError::Probe(1)),
        (format!("import:{h}"), HtpasswdError::Import(1)),
        (format!("root:{h}\nroot:{h}"), HtpasswdError::Twice { line: 2, first: 1, name: "root".into() }),
        ("root:plain".to_owned(), HtpasswdError::Hash(1)),
        ("root:".to_owned(), HtpasswdError::Hash(1)),
        ("root:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=".to_owned(), HtpasswdError::Hash(1)),
        ("root:$apr1$x$0123456789012345678901".to_owned(), HtpasswdError::Hash(1)),
        (format!("root:{}", h.replace("$2b$", "$2x$")), HtpasswdError::Hash(1)),
        (format!("root:{}", &h[..59]), HtpasswdError::Hash(1)),
        (format!("root:{h}:more"), HtpasswdError::Hash(1)),
        (format!("root:{}", h.replace("$04$", "$03$")), HtpasswdError::Hash(1)),
        (format!("root:{}", h.replace("$04$", "$31$")), HtpasswdError::Cost(1, 31)),
        (String::new(), HtpasswdError::NoAdmin),
        (format!("anna:{h}"), HtpasswdError::NoAdmin),
    ] {
        assert_eq!(parse(&text).err(), Some(error), "{text}");
    }
    let message = parse(&format!("root:{}", &h[..59])).err().unwrap().to_string();
    assert!(!message.contains(&h[7..20]), "no hash is shown: {message}");
}

#[test]
fn all_spellings_of_bcrypt_are_taken() {
    let h = hash("x");
    for kind in ["$2y$", "$2a$", "$2b$"] {
        assert!(parse(&format!("root:{}", h.replace("$2b$", kind))).is_ok(), "{kind}");
    }
}

#[test]
fn the_highest_cost_is_what_wrong_pairs_cost() {
    let (four, five) = (hash("x"), bcrypt::hash("x", 5).unwrap());
    let accounts = parse(&format!("root:{four}\nanna:{five}\nbert:{four}")).unwrap();
    assert_eq!(accounts.highest_cost(), 5);
    assert_eq!(["root", "anna"].map(|name| accounts.get(name).unwrap().cost), [4, 5]);
}

#[test]
fn a_fingerprint_is_of_one_name_and_one_hash() {
    let (a, b) = (hash("x"), hash("x"));
    let print = |text: String, name: &str| parse(&text).unwrap().get(name).unwrap().fingerprint.clone();
    assert_eq!(print(format!("root:{a}"), "root"), print(format!("root:{a}\nanna:{b}"), "root"));
    assert_ne!(print(format!("root:{a}"), "root"), print(format!("root:{b}"), "root"), "the same password set again");
}
