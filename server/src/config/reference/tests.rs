//! Tests that the documents say what the table says.

use std::path::{Path, PathBuf};

use super::*;
use crate::config::{Environment, Sources, load};
use crate::files;

/// Compares a generated document with its file; with `MCR_BLESS` in the environment the file is written anew.
fn compare(file: &str, generated: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if std::env::var_os("MCR_BLESS").is_some() {
        files::replace(&path, generated.as_bytes(), 0o644).unwrap();
    }
    let found = files::read_text(&path, 1 << 20).unwrap();
    assert!(
        found == generated,
        "{file} is not what the table of keys says: MCR_BLESS=1 cargo test -p mcr-server reference"
    );
}

#[test]
fn the_reference_is_up_to_date() {
    compare("docs/configuration.md", &document());
}

#[test]
fn the_example_is_up_to_date() {
    compare("deploy/examples/mcr.toml", &example());
}

#[test]
fn the_example_is_a_good_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mcr.toml");
    files::replace(&path, example().as_bytes(), 0o600).unwrap();
    let loaded = load(Sources::of_files(vec![path], Environment::default())).unwrap();
    assert_eq!(loaded.config.storage.layers_path, Path::new("/srv/mcr/layers"));
}

/// What is commented out is what would hold anyway: with every mark taken away nothing but unset keys changes.
#[test]
fn the_commented_lines_are_good_too() {
    let text: String = example()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") && !rest.contains('`') || rest.starts_with("[[") => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mcr.toml");
    files::replace(&path, text.as_bytes(), 0o600).unwrap();
    let loaded = load(Sources::of_files(vec![path], Environment::default()));
    // The metrics example listens on all addresses, which TLS permits.
    let config = loaded.unwrap().config;
    assert_eq!((config.integrity.rules.len(), config.retention.len()), (1, 1));
    assert!(config.retention[0].keep_last.is_some() && config.retention[0].keep_tags.is_some());
    assert_eq!(config.server.idle_timeout, std::time::Duration::from_secs(120));
}

#[test]
fn every_key_is_in_both_documents() {
    let (reference, example) = (document(), example());
    for key in table::all_keys() {
        assert!(reference.contains(&format!("| `{}` |", key.name())), "{}", key.full);
        assert!(example.contains(&format!("{} = ", key.name())), "{}", key.full);
    }
}

#[test]
fn a_table_row_has_its_five_columns() {
    for line in document().lines().filter(|line| line.starts_with("| `")) {
        assert_eq!(line.replace("\\|", "").matches('|').count(), 6, "{line}");
    }
}
