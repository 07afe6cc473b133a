//! That the runbooks are whole: a page for every alert, each with the same sections, each run by a test; never what a
//! command does.

use std::collections::BTreeSet;
use std::path::PathBuf;

use mcr_tests::tools;

use crate::{page, rules, runbooks};

/// What every page of an alert has, in this order.
const SECTIONS: &[&str] = &["What it means", "First look", "Cause", "Mend", "Verify", "Afterwards"];

fn runbooks_directory() -> PathBuf {
    tools::repository_root().join("runbooks")
}

fn names() -> BTreeSet<String> {
    let entries = std::fs::read_dir(runbooks_directory()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(runbooks_directory().join(name)).unwrap()
}

#[test]
fn every_page_is_run_by_a_test() {
    let tested: BTreeSet<String> = runbooks::PAGES.iter().map(|name| (*name).to_owned()).collect();
    let mut there = names();
    there.remove("README.md");
    assert_eq!(there, tested);
    assert_eq!(tested.len(), runbooks::PAGES.len(), "each once");
}

#[test]
fn every_alert_has_a_page_with_the_same_sections() {
    for alert in rules::alert_names() {
        let text = text(&format!("{alert}.md"));
        assert!(text.starts_with(&format!("# {alert}\n")), "{alert}");
        let headings: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, SECTIONS, "{alert}");
    }
}

#[test]
fn the_index_names_every_page() {
    let index = text("README.md");
    for name in names().iter().filter(|name| *name != "README.md") {
        assert!(index.contains(&format!("]({name})")), "{name}");
    }
    assert!(page::blocks(&index).iter().all(|block| block.language != "sh"), "the index holds no commands");
}

#[test]
fn blocks_are_commands_that_run_or_output() {
    for name in names() {
        for block in page::blocks(&text(&name)) {
            let place = format!("{name}:{}", block.line);
            assert!(["sh", "text", "json"].contains(&block.language.as_str()), "{place}: {}", block.language);
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let root = tools::repository_root();
    let mut files: Vec<PathBuf> = names().iter().map(|name| runbooks_directory().join(name)).collect();
    files.extend(["monitoring/README.md", "deploy/ci/README.md"].map(|name| root.join(name)));
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for part in text.split("](").skip(1) {
            let (target, _) = part.split_once(')').unwrap();
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if target.starts_with("http") {
                continue;
            }
            let there = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            assert!(there.exists(), "{}: {target}", file.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&there).unwrap();
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let slug = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                let found = headings.map(slug).any(|slug| slug == anchor);
                assert!(found, "{}: {target}", file.display());
            }
        }
    }
}
