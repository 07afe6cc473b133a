//! End to end: a registry is broken, the alert is in the Alertmanager; it is mended, the alert goes. Never a rule that
//! is not shipped.

use std::time::{Duration, Instant};

use mcr_tests::{Client, Options, Server, damage, push};

use crate::probe::Probe;
use crate::scene::{self, REPOSITORY, TAG};
use crate::stack::{Stack, Targets};
use mcr_tests::distribution::Distribution;
use mcr_tests::ports;

#[test]
fn an_orphan_index_fires_and_its_rebuild_clears() {
    let mut registry = Distribution::start();
    let _ = scene::another_image(&registry.client(), "app", 51);
    let index = scene::sound_image(&registry.client());
    let probe = Probe::over(&registry);
    let stack = Stack::watching(Targets::probe(probe.address()));
    stack.wait_for("registry_manifest_integrity_failures == 0");
    stack.evaluations(4);
    assert!(stack.alerts("RegistryManifestIntegrityFailure").is_empty(), "a sound registry is quiet");

    // Garbage collection eats the children of both.
    registry.collect_garbage();
    let alert = stack.wait_firing("RegistryManifestIntegrityFailure");
    assert_eq!(alert["labels"]["severity"], "critical");
    assert_eq!(alert["labels"]["instance"], "registry.example");
    let description = alert["annotations"]["description"].as_str().unwrap();
    assert!(description.starts_with("Broken: app:v1, infra/ci:latest. First:"), "{description}");

    // One is rebuilt: it still fires, and names the other one alone.
    push::index(&registry.client(), REPOSITORY, TAG, &index);
    let start = Instant::now();
    loop {
        let alert = stack.wait_firing("RegistryManifestIntegrityFailure");
        let description = alert["annotations"]["description"].as_str().unwrap().to_owned();
        if description.starts_with("Broken: app:v1. First:") {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(90), "{description}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let _ = scene::another_image(&registry.client(), "app", 51);
    stack.wait_clear("RegistryManifestIntegrityFailure");
    assert!(stack.alerts("RegistryIntegrityProbeStale").is_empty());
    assert!(stack.alerts("RegistryCatalogInaccessible").is_empty());
}

#[test]
fn a_registry_that_cannot_be_listed_is_not_called_broken() {
    let mut registry = Distribution::start();
    let _ = scene::sound_image(&registry.client());
    let probe = Probe::over(&registry);
    let stack = Stack::watching(Targets::probe(probe.address()));
    stack.wait_for("registry_manifest_integrity_failures == 0");
    stack.evaluations(2);

    registry.stop();
    let alert = stack.wait_firing("RegistryCatalogInaccessible");
    assert_eq!(alert["labels"]["severity"], "critical");
    // No run completes: the probe says so by the age of the last one.
    let _ = stack.wait_firing("RegistryIntegrityProbeStale");
    assert!(stack.alerts("RegistryManifestIntegrityFailure").is_empty(), "unreachable is not broken");

    // An empty storage behind a registry that answers is no sound registry either.
    let away = registry.root().with_extension("away");
    std::fs::rename(registry.root(), &away).unwrap();
    registry.run();
    stack.evaluations(6);
    assert!(!stack.alerts("RegistryCatalogInaccessible").is_empty(), "a catalog that lost its repositories");
    assert!(stack.alerts("RegistryManifestIntegrityFailure").is_empty());

    registry.stop();
    let _ = std::fs::remove_dir_all(registry.root());
    std::fs::rename(&away, registry.root()).unwrap();
    registry.run();
    stack.wait_clear("RegistryCatalogInaccessible");
    stack.wait_clear("RegistryIntegrityProbeStale");
}

#[test]
fn a_probe_that_dies_is_missed_once_and_its_return_clears() {
    let registry = Distribution::start();
    let _ = scene::sound_image(&registry.client());
    let probe = Probe::over(&registry);
    let address = probe.address();
    let stack = Stack::watching(Targets::probe(probe.address()));
    stack.wait_for("registry_manifest_integrity_failures == 0");
    stack.evaluations(4);
    assert!(stack.alerts("RegistryIntegrityProbeStale").is_empty());

    drop(probe);
    let alert = stack.wait_firing("RegistryIntegrityProbeStale");
    assert_eq!(alert["labels"]["instance"], "registry.example");
    stack.evaluations(3);
    assert_eq!(stack.alerts("RegistryIntegrityProbeStale").len(), 1, "one probe, one alert");

    let _probe = Probe::at(&registry, address);
    stack.wait_clear("RegistryIntegrityProbeStale");
}

#[test]
fn where_no_probe_ever_was_its_absence_fires() {
    let stack = Stack::watching(Targets::none());
    let alert = stack.wait_firing("RegistryIntegrityProbeStale");
    assert!(alert["annotations"]["summary"].as_str().unwrap().starts_with("No integrity probe"), "{alert}");
    // And no registry answers: one alert for the one target.
    let _ = stack.wait_firing("DockerRegistryDown");
    assert_eq!(stack.alerts("DockerRegistryDown").len(), 1);
}

/// A server on a port that stays over a restart, whose probe runs every second.
fn watched_server(home: &std::path::Path) -> Server {
    let address = ports::free();
    let data = home.display();
    let text = format!(
        "[server]\nlisten_addr = \"{address}\"\n[database]\npath = \"{data}/mcr.db\"\n[storage]\nlayers_path = \
         \"{data}/layers\"\nuploads_path = \"{data}/uploads\"\n[auth]\nmode = \"none\"\n"
    );
    let file = home.join("mcr.toml");
    std::fs::write(&file, text).unwrap();
    let options = Options { config: Some(file), data: Some(home.to_owned()), ..Options::default() };
    Server::with(options.env("MCR_PROBE_SCHEDULE", "* * * * * *"))
}

fn wait_figures(client: &Client, text: &str) {
    let start = Instant::now();
    while !client.get("/metrics").expect(200).text().contains(text) {
        assert!(start.elapsed() < Duration::from_secs(60), "{}", client.get("/metrics").text());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_restart_of_the_server_does_not_clear_what_fires() {
    let home = tempfile::tempdir().unwrap();
    let mut server = watched_server(home.path());
    let index = scene::sound_image(&server.client());
    wait_figures(&server.client(), "registry_manifest_integrity_tags_checked 1");
    let stack = Stack::watching(Targets::server(server.client().address()));
    stack.wait_for("registry_manifest_integrity_failures == 0");
    stack.evaluations(3);
    assert!(stack.alerts("RegistryManifestIntegrityFailure").is_empty());

    // A layer is cut on disk: the server's own probe sees it through the front door.
    damage::truncate(server.data(), &index.images[0].layers[0].digest, 7);
    let before = stack.wait_firing("RegistryManifestIntegrityFailure");
    assert!(before["annotations"]["description"].as_str().unwrap().starts_with("Broken: infra/ci:latest."), "{before}");

    server.kill();
    // Long enough for several scrapes that fail and several evaluations without any figure.
    stack.evaluations(4);
    assert!(stack.query("registry_manifest_integrity_failures").is_empty(), "Prometheus has noticed that it is away");
    let away = stack.wait_firing("RegistryManifestIntegrityFailure");
    assert_eq!(away["startsAt"], before["startsAt"]);
    assert!(away["annotations"]["description"].as_str().unwrap().starts_with("Broken: infra/ci:latest."), "{away}");

    server.restart();
    stack.evaluations(4);
    let after = stack.wait_firing("RegistryManifestIntegrityFailure");
    assert_eq!(after["startsAt"], before["startsAt"], "it never cleared");
    // Nor did Prometheus ever take it back to pending.
    let begun = stack.query(
        "count(count_over_time(ALERTS{alertname=\"RegistryManifestIntegrityFailure\",alertstate=\"pending\"}[1m]))",
    );
    assert_eq!(begun.len(), 1, "pending once, before it fired: {begun:?}");

    push::index(&server.client(), REPOSITORY, TAG, &index);
    stack.wait_clear("RegistryManifestIntegrityFailure");
}
