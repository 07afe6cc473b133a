//! What comes out: the tree, JUnit, metrics over HTTP, in a file and at a Pushgateway, waiting, usage.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mcr_tests::distribution::Distribution;
use mcr_tests::ports;
use mcr_tests::process::{self, Daemon};
use mcr_tests::{Client, tools};
use tempfile::tempdir;

use crate::push_index;
use crate::said::{judged, mcrctl, run};

#[test]
fn the_tree_marks_what_is_whole_and_what_is_not() {
    let registry = Distribution::start();
    let content = push_index(&registry.client(), "infra/ci", "latest", 1);
    let url = registry.url();
    let sound = run(&["--addr", &url, "verify", "infra/ci:latest"]).ok().text();
    assert_eq!((sound.matches('✓').count(), sound.matches('✗').count()), (9, 0), "{sound}");
    let last = sound.lines().last().unwrap();
    assert!(last.starts_with("sound: 1 index, 2 manifests, 6 blobs (") && last.ends_with(" s"), "{last}");

    let lost = &content.images[0].layers[1].digest;
    fs::remove_file(registry.data(lost)).unwrap();
    let broken = run(&["--addr", &url, "verify", "infra/ci:latest"]);
    let text = broken.text();
    assert_eq!(broken.code, Some(1));
    assert_eq!(text.lines().last(), Some("INCOMPLETE: 1 finding"), "{text}");
    assert_eq!(text.matches('✗').count(), 3, "the layer, its image and its index: {text}");
    assert!(text.lines().any(|line| line.contains(lost.as_str()) && line.contains("blob-truncated: ")), "{text}");
    assert_eq!(run(&["--addr", &url, "verify", "--fail-on", "blob-corrupt", "infra/ci:latest"]).code, Some(0));
    assert_eq!(
        run(&["--addr", &url, "verify", "infra/ci:latest", "--fail-on", "blob-truncated", "blob-corrupt"]).code,
        Some(1)
    );
    assert_eq!(run(&["--addr", &url, "--quiet", "verify", "infra/ci:latest"]).all(), "");
}

#[test]
fn junit_tells_a_ci_system() {
    let registry = Distribution::start();
    let content = push_index(&registry.client(), "infra/ci", "latest", 1);
    fs::remove_file(registry.data(&content.images[0].layers[1].digest)).unwrap();
    push_index(&registry.client(), "infra/ok", "latest", 2);
    let home = tempdir().unwrap();
    let file = home.path().join("verify.xml");
    let (code, _, _) =
        judged(&["--addr", &registry.url(), "verify", "--junit", file.to_str().unwrap(), "infra/ci", "infra/ok"]);
    assert_eq!(code, 1);
    let script = "import sys, xml.etree.ElementTree as e; r = e.parse(sys.argv[1]).getroot(); print(r.tag, r.get('tests'), r.get('failures'), [s.get('name') for s in r])";
    let read = process::run(tools::command("python3").args(["-c", script]).arg(&file)).ok().text();
    assert_eq!(read.trim(), "testsuites 2 1 ['infra/ci', 'infra/ok']");
}

#[test]
fn waiting_ends_when_the_push_is_there() {
    let registry = Distribution::start();
    let (client, url) = (registry.client(), registry.url());
    push_index(&client, "infra/ci", "other", 1);
    let pushing = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(2));
        push_index(&client, "infra/ci", "late", 2);
    });
    let began = Instant::now();
    let (code, kinds, _) = judged(&["--addr", &url, "verify", "--wait", "30s", "infra/ci:late"]);
    pushing.join().unwrap();
    assert_eq!((code, kinds), (0, vec![]));
    assert!((1..15).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let began = Instant::now();
    let (code, kinds, _) = judged(&["--addr", &url, "verify", "--wait", "2s", "infra/ci:never"]);
    assert_eq!((code, kinds), (1, vec!["manifest-missing".to_owned()]));
    assert!(began.elapsed() < Duration::from_secs(6));
}

/// Waits until `ready` says something.
fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_scheduled_probe_serves_its_metrics_and_ends_on_a_signal() {
    let registry = Distribution::start();
    let content = push_index(&registry.client(), "infra/ci", "latest", 1);
    let home = tempdir().unwrap();
    let mut command = mcrctl(&["--addr", &registry.url(), "probe", "--schedule", "* * * * * *"]);
    command.args(["--listen", "127.0.0.1:0", "--instance", "test"]);
    let mut probe = Daemon::start(&mut command, home.path().join("log"));
    let mut address: Option<SocketAddr> = None;
    let log = home.path().join("log");
    probe.wait_ready("the probe", || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        let said = log.lines().find_map(|line| line.strip_prefix("mcrctl probe ready http://"));
        address = said.and_then(|said| said.strip_suffix("/metrics")).and_then(|said| said.parse().ok());
        address.is_some()
    });
    let metrics = || Client::new(address.unwrap(), None).get("/metrics").expect(200).text();
    let sound = "registry_manifest_integrity_failures{instance=\"test\"} 0\n";
    until("a first run", || metrics().contains(sound).then_some(()));
    let lost = registry.data(&content.images[0].layers[1].digest);
    let bytes = fs::read(&lost).unwrap();
    fs::remove_file(&lost).unwrap();
    let broken = until("the finding", || Some(metrics()).filter(|text| text.contains("broken_tag{")));
    assert!(
        broken
            .contains("broken_tag{instance=\"test\",kind=\"blob-truncated\",repository=\"infra/ci\",tag=\"latest\"} 1"),
        "{broken}"
    );
    fs::write(&lost, bytes).unwrap();
    until("the end of it", || metrics().contains(sound).then_some(()));
    assert!(!metrics().contains("broken_tag{"));
    assert_eq!(Client::new(address.unwrap(), None).get("/").status, 404);
    let text = probe.log();
    assert!(text.contains("WARN") && text.contains("infra/ci") && text.contains("1 finding in 1 tag"), "{text}");
}

#[test]
fn a_pushgateway_keeps_the_last_complete_run() {
    let gateway: SocketAddr = ports::free();
    let home = tempdir().unwrap();
    let mut command = tools::command("prometheus-pushgateway");
    command.arg(format!("--web.listen-address={gateway}"));
    let mut daemon = Daemon::start(&mut command, home.path().join("log"));
    let client = || Client::new(gateway, None);
    daemon.wait_ready("the Pushgateway", || client().request("GET", "/-/ready").send().is_ok());
    let mut registry = Distribution::start();
    push_index(&registry.client(), "infra/ci", "latest", 1);
    let (url, gateway) = (registry.url(), format!("http://{gateway}"));
    let probe = ["--addr", &url, "probe", "--pushgateway", &gateway, "--instance", "test"];
    let _ = run(&probe).ok();
    let shown = client().get("/metrics").expect(200).text();
    let tags = "registry_manifest_integrity_tags_checked{instance=\"test\",job=\"registry_probe\"} 1";
    let catalog = "registry_manifest_integrity_catalog_accessible{instance=\"test\",job=\"registry_probe\"}";
    assert!(shown.contains(tags) && shown.contains(&format!("{catalog} 1")), "{shown}");
    registry.stop();
    assert_eq!(run(&probe).code, Some(3));
    let shown = client().get("/metrics").expect(200).text();
    assert!(shown.contains(tags) && shown.contains(&format!("{catalog} 0")), "{shown}");
    drop(daemon);
    registry.run();
    let undelivered = run(&probe);
    assert_eq!(undelivered.code, Some(3), "{undelivered:?}");
    assert!(undelivered.stderr.contains("--pushgateway"), "{undelivered:?}");
}

#[test]
fn wrong_usage_is_told_in_one_line_with_exit_2() {
    for arguments in [
        &["verify"][..],
        &["verify", "infra/ci"],
        &["verify", "reg.example/UPPER"],
        &["verify", "--level", "deep", "reg.example/ci"],
        &["verify", "--platform", "linux", "reg.example/ci"],
        &["verify", "--fail-on", "nonsense", "reg.example/ci"],
        &["verify", "--jobs", "0", "reg.example/ci"],
        &["probe"],
        &["--addr", "reg.example", "probe", "--schedule", "* * *"],
        &["--addr", "reg.example", "probe", "--once", "--schedule", "* * * * *"],
        &["--addr", "reg.example", "probe", "--listen", "127.0.0.1:0"],
        &["--addr", "reg.example", "probe", "--kind", "public"],
        &["--addr", "reg.example", "--ca-cert", "/nonexistent", "probe"],
        &["--addr", "reg.example", "--username", "x", "probe"],
    ] {
        let output = run(arguments);
        assert_eq!(output.code, Some(2), "{arguments:?}: {output:?}");
        assert_eq!(output.stderr.trim().lines().count(), 1, "{arguments:?}: {output:?}");
    }
}
