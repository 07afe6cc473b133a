//! Every file: opens with its rule, stays short, and speaks of nothing but the registry.

use std::path::{Path, PathBuf};

/// No file is longer.
const LONGEST: usize = 450;
/// And at most one in ten is longer than this.
const USUAL: usize = 350;

/// Directories that are not ours, or not text.
const SKIPPED: &[&str] = &["target", ".git", ".tools", "srv", "corpus", "artifacts"];

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                walk(&path, files);
            }
        } else if !SKIPPED.contains(&name.as_str()) {
            // In a work tree of its own `.git` is a file.
            files.push(path);
        }
    }
}

fn all() -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(&mcr_tests::tools::repository_root(), &mut files);
    files.sort();
    files
}

fn rust() -> Vec<(PathBuf, String)> {
    let files = all().into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    files.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn every_source_file_opens_with_what_lives_there() {
    let sources = rust();
    assert!(sources.len() > 50, "the tree is read");
    let silent = sources.iter().filter(|(_, text)| !text.starts_with("//! ") && !text.starts_with("//!\n"));
    let silent: Vec<&PathBuf> = silent.map(|(path, _)| path).collect();
    assert!(silent.is_empty(), "these do not: {silent:#?}");
}

#[test]
fn files_are_short() {
    let sources = rust();
    let lengths: Vec<(usize, &PathBuf)> = sources.iter().map(|(path, text)| (text.lines().count(), path)).collect();
    let long: Vec<_> = lengths.iter().filter(|(lines, _)| *lines > LONGEST).collect();
    assert!(long.is_empty(), "over {LONGEST} lines: {long:#?}");
    let over: Vec<_> = lengths.iter().filter(|(lines, _)| *lines > USUAL).collect();
    assert!(over.len() * 10 <= sources.len(), "too many over {USUAL} lines: {over:#?}");
}

#[test]
fn no_lint_is_allowed_without_a_reason() {
    for (path, text) in rust() {
        let flat: String = text.split_whitespace().collect();
        for attribute in ["#[allow(", "#![allow(", "#[expect(", "#![expect("] {
            for (start, _) in flat.match_indices(attribute) {
                let end = flat[start..].find(")]").map_or(flat.len(), |end| start + end);
                let quoted = flat[..start].ends_with('"');
                assert!(quoted || flat[start..end].contains("reason="), "{}: {attribute}", path.display());
            }
        }
    }
}

#[test]
fn module_files_stand_beside_their_directory() {
    let old: Vec<PathBuf> = all().into_iter().filter(|path| path.ends_with("mod.rs")).collect();
    assert!(old.is_empty(), "{old:#?}");
}

#[test]
fn the_repository_speaks_of_nothing_but_the_registry() {
    // Put together here, so that this file does not hold them.
    let foreign = [
        concat!("/", "work/"),
        concat!("/", "tmp/"),
        concat!("proxy.", "golang.org"),
        concat!("index.", "crates.io"),
        concat!("static.", "crates.io"),
    ];
    for path in all() {
        // Not text: pictures, databases.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for word in foreign {
            let found = text.lines().position(|line| line.contains(word));
            assert!(found.is_none(), "{}:{}: {word}", path.display(), found.unwrap_or(0) + 1);
        }
    }
}

/// The names of fault points in a source file: the text behind `point(` or `passed(`.
fn fault_points(text: &str) -> impl Iterator<Item = &str> {
    let calls = text.split("point(").skip(1).chain(text.split("passed(").skip(1));
    calls.filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next()).filter(|name| name.contains('.'))
}

#[test]
fn every_fault_point_is_named_where_people_look() {
    let root = mcr_tests::tools::repository_root();
    let ours = ["crates", "server", "scanner", "ctl", "probe", "verifier"].map(|name| root.join(name));
    let sources: Vec<_> = rust().into_iter().filter(|(path, _)| ours.iter().any(|at| path.starts_with(at))).collect();
    let product = sources.iter().filter(|(path, _)| !path.components().any(|part| part.as_os_str() == "tests"));
    // What stands behind `mod tests` is none of the program's.
    let shipped = product.map(|(_, text)| text.split("mod tests {").next().unwrap_or_default());
    let found: std::collections::BTreeSet<&str> = shipped.flat_map(fault_points).collect();
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let list = page.split("The points: ").nth(1).unwrap().split(". Unarmed").next().unwrap();
    let told: std::collections::BTreeSet<&str> = list.split(", ").map(|name| name.trim_matches('`')).collect();
    assert!(found.len() > 20, "the points are found: {found:?}");
    assert_eq!(told, found);
}
