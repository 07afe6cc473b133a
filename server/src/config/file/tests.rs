//! Tests of reading one file.

use super::*;

fn problems(text: &str) -> Vec<String> {
    let mut problems = Problems::default();
    let _ = read(Path::new("mcr.toml"), text, &mut problems);
    problems.0.iter().map(ToString::to_string).collect()
}

#[test]
fn entries_know_their_lines() {
    let mut found = Problems::default();
    let text = "# a comment\n[server]\nlisten_addr = \"127.0.0.1:1\"\n\n[log]\n\n\nlevel = \"warn\"\n";
    let file = read(Path::new("mcr.toml"), text, &mut found).unwrap();
    assert!(found.is_empty(), "{found}");
    let mut lines: Vec<String> =
        file.entries.iter().map(|entry| format!("{} {}", entry.key.full, entry.origin)).collect();
    lines.sort();
    assert_eq!(lines, ["log.level mcr.toml:8", "server.listen_addr mcr.toml:3"]);
    assert!(file.rules.is_empty());
}

#[test]
fn every_unknown_key_is_told_with_the_nearest_known_one() {
    let text = "[server]\nlisten_adr = 1\n[storge]\nreserve = 1\n[gc]\nlayers_path = 1\nnonsense_beyond_help = 1\n";
    let mut said = problems(text);
    said.sort();
    assert_eq!(
        said,
        [
            "mcr.toml:2: [server] listen_adr: unknown key; did you mean listen_addr?",
            "mcr.toml:3: [storge]: unknown section; did you mean [storage]?",
            "mcr.toml:6: [gc] layers_path: unknown key here; it belongs under [storage]",
            "mcr.toml:7: [gc] nonsense_beyond_help: unknown key; `mcrsrv check-config` lists those there are",
        ]
    );
}

#[test]
fn keys_of_later_versions_are_not_called_unknown() {
    let text = "[server]\nread_only = true\n[web]\nlisten_addr = \"x\"\n\n[[proxy]]\nprefix = \"x\"\n";
    let said = problems(text);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().all(|line| line.contains("does not know it yet")), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("mcr.toml:6: [[proxy]]: ")), "{said:?}");
}

#[test]
fn keys_outside_a_section_are_told_where_they_belong() {
    let said = problems("listen_addr = \"x\"\nreserve = 1\nwhat = 1\n");
    assert_eq!(said[1], "mcr.toml:2: reserve: unknown key here; it belongs under [storage]");
    assert!(said.iter().any(|line| line.starts_with("mcr.toml:3: what: unknown key; every key stands in a section")));
    // Two sections have a listen_addr, so no single one is named.
    assert!(said.iter().any(|line| line.starts_with("mcr.toml:1: listen_addr: unknown key")));
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let said = problems("[server]\nlisten_addr = \n");
    assert!(said[0].starts_with("mcr.toml:2: not TOML: "), "{said:?}");
    let said = problems("[log]\nlevel = \"a\"\nlevel = \"b\"\n");
    assert!(said[0].starts_with("mcr.toml:3: not TOML: "), "{said:?}");
    assert!(said.iter().all(|line| !line.contains('\n')));
}

#[test]
fn rules_keep_their_order() {
    let mut found = Problems::default();
    let text =
        "[[integrity.rule]]\nrepositories = [\"a\"]\n[[integrity.rule]]\nrepositories = [\"b\"]\ncommit = \"sparse\"\n";
    let file = read(Path::new("mcr.toml"), text, &mut found).unwrap();
    assert!(found.is_empty(), "{found}");
    let rules = &file.rules[table::INTEGRITY_RULES];
    assert_eq!(rules.len(), 2);
    assert_eq!(rules[1].entries.len(), 2);
    assert_eq!(rules[1].origin.to_string(), "mcr.toml:3");
}

#[test]
fn a_rule_needs_its_own_header() {
    let hint = "write each rule under a header of its own: [[integrity.rule]]";
    assert!(problems("[integrity.rule]\ncommit = \"sparse\"\n")[0].ends_with(hint));
    assert!(problems("[integrity]\nrule = [1]\n")[0].ends_with(hint));
    let said = problems("[[integrity.rule]]\nrepositry = [\"a\"]\n");
    assert_eq!(said, ["mcr.toml:2: [[integrity.rule]] repositry: unknown key; did you mean repositories?"]);
}

#[test]
fn a_section_is_a_table() {
    assert_eq!(problems("server = 1\n"), ["mcr.toml:1: [server]: expected a section, found the number 1"]);
    assert_eq!(problems("[[server]]\n"), ["mcr.toml:1: [server]: expected a section, found a list of 1"]);
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*|([a-z_\\[\\]= \"\\n.0-9]{0,80})") {
        let _ = problems(&text);
    }
}
