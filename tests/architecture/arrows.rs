//! Which crate may name which: read from `cargo metadata`, so that no list of members can be forgotten.

use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The rank of every member; imports go from a higher rank to a lower one, never sideways.
const RANKS: &[(&str, u8)] = &[
    ("mcr-oci", 0),
    ("mcr-seams", 0),
    ("mcr-verifier", 1),
    ("mcr-blobs", 1),
    ("mcr-metadata", 1),
    ("mcr-access", 1),
    ("mcr-client", 1),
    ("mcr-rpc", 1),
    ("mcr-registry", 2),
    ("mcr-authentication", 3),
    ("mcr-transfer", 3),
    ("mcr-scanner", 2),
    ("mcr-probe", 2),
    ("mcr-server", 4),
    ("mcr-ctl", 4),
    ("mcr-web", 4),
    ("mcr-tests", 5),
    ("mcr-bench", 5),
];

/// Libraries that have a home: who may name them.
const HOMES: &[(&str, &[&str])] = &[
    ("rusqlite", &["mcr-metadata"]),
    ("oci-spec", &["mcr-oci"]),
    ("hyper", &["mcr-server", "mcr-ctl", "mcr-tests"]),
    ("hyper-util", &["mcr-server", "mcr-ctl", "mcr-tests"]),
    ("rcgen", &["mcr-server", "mcr-bench", "mcr-tests"]),
    ("prometheus", &["mcr-server", "mcr-probe"]),
    ("tar", &["mcr-transfer"]),
    ("tokio-rustls", &["mcr-server", "mcr-tests"]),
];

/// The sync core: no runtime inside.
const WITHOUT_RUNTIME: &[&str] = &["mcr-oci", "mcr-seams", "mcr-verifier", "mcr-blobs", "mcr-metadata", "mcr-access"];

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(mcr_tests::tools::repository_root().join("Cargo.toml"));
    command.no_deps().exec().expect("cargo metadata")
}

fn rank(name: &str) -> u8 {
    let found = RANKS.iter().find(|(member, _)| *member == name);
    found.unwrap_or_else(|| panic!("{name} has no rank: give it one in tests/architecture/arrows.rs")).1
}

fn dependencies(package: &Package) -> impl Iterator<Item = &str> {
    package.dependencies.iter().map(|dependency| dependency.name.as_str())
}

#[test]
fn arrows_lead_from_a_higher_rank_to_a_lower_one() {
    let mut wrong = Vec::new();
    for package in &metadata().packages {
        let from = rank(&package.name);
        for name in dependencies(package).filter(|name| name.starts_with("mcr-")) {
            if rank(name) >= from {
                wrong.push(format!("{} ({from}) -> {name} ({})", package.name, rank(name)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn libraries_are_named_only_where_they_are_at_home() {
    let mut wrong = Vec::new();
    for package in &metadata().packages {
        for name in dependencies(package) {
            let home = HOMES.iter().find(|(library, _)| *library == name);
            if home.is_some_and(|(_, members)| !members.contains(&package.name.as_str())) {
                wrong.push(format!("{} names {name}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_core_has_no_runtime() {
    for package in metadata().packages.iter().filter(|package| WITHOUT_RUNTIME.contains(&package.name.as_str())) {
        for name in dependencies(package) {
            assert!(!name.starts_with("tokio"), "{} names {name}", package.name);
        }
    }
}

#[test]
fn every_member_inherits_lints_and_versions() {
    for package in &metadata().packages {
        let text = std::fs::read_to_string(&package.manifest_path).unwrap();
        let manifest: String = text.split_whitespace().collect();
        assert!(manifest.contains("[lints]workspace=true"), "{} does not inherit the lints", package.name);
        let own = package.dependencies.iter().filter(|dependency| !dependency.name.starts_with("mcr-"));
        for dependency in own {
            let inherited = format!("{}.workspace=true", dependency.name);
            let with = format!("{}={{workspace=true", dependency.name);
            let from_workspace = manifest.contains(&inherited) || manifest.contains(&with);
            assert!(from_workspace, "{}: the version of {} stands in the root", package.name, dependency.name);
        }
    }
}

#[test]
fn one_crypto_provider_is_built() {
    // Not Cargo.lock: that also lists what an optional dependency would bring.
    let mut command = std::process::Command::new(env!("CARGO"));
    command.args(["tree", "--workspace", "--locked", "--target", "all", "--edges", "normal,build,dev"]);
    command.args(["--prefix", "none", "--format", "{p}"]).current_dir(mcr_tests::tools::repository_root());
    let tree = mcr_tests::process::run(&mut command).ok().text();
    let built: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(built.contains(&"aws-lc-rs"), "{tree}");
    for banned in ["ring", "openssl", "openssl-sys", "native-tls"] {
        assert!(!built.contains(&banned), "{banned} is built");
    }
}
