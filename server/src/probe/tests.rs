//! Tests of what the probe shows: nothing before it knows, the last complete run after a restart.

use std::path::Path;
use std::sync::Arc;

use mcr_authentication::{Gate, GateSettings, Mode};
use mcr_blobs::Disk;
use mcr_metadata::{ProbedTag, TagState};
use mcr_oci::{Finding, FindingKind};
use mcr_registry::{Paths, ProbeRecord, Settings};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::http::connection::Limits;
use crate::http::edge::Edge;
use crate::http::listener::{Listening, accept, bind};

const NOW_MS: i64 = 1_795_267_496_000;

fn configured(schedule: Option<&str>) -> Probe {
    let config = config::Probe { schedule: schedule.map(str::to_owned), level: Level::Tail };
    Probe::new(&config, Zone::default(), Clock::fixed(NOW_MS)).unwrap()
}

fn open(dir: &Path) -> Registry {
    let paths = Paths { database: dir.join("mcr.db"), layers: dir.join("layers"), uploads: dir.join("uploads") };
    for made in [&paths.layers, &paths.uploads] {
        crate::files::create_private_dir(made).unwrap();
    }
    let settings = Settings { reserve: 0, ..Settings::default() };
    Registry::open(&paths, settings, Clock::fixed(NOW_MS), Disk::real()).unwrap()
}

fn text(probe: &Probe) -> String {
    prometheus::TextEncoder::new().encode_to_string(&probe.gather()).unwrap()
}

fn record(reason: Option<&str>, ended_at_ms: i64) -> ProbeRecord {
    let finding = Finding {
        repository: Some("a/b".to_owned()),
        tag: Some("v1".to_owned()),
        ..Finding::new(FindingKind::BlobMissing)
    };
    let run = ProbeRun {
        started_at_ms: ended_at_ms - 2_500,
        ended_at_ms,
        duration_ms: 2_500,
        level: "tail".to_owned(),
        reason: reason.map(str::to_owned),
        catalog_accessible: Some(reason.is_none()),
        repositories: 14,
        tags: 2_400,
        indexes: 37,
        findings: 2,
        broken_tags: 1,
        undetermined: 0,
    };
    let tag = |n: usize| ProbedTag {
        repository: "a/b".to_owned(),
        tag: format!("v{n}"),
        digest: None,
        state: TagState::Sound,
        findings: 0,
    };
    // More than one batch.
    ProbeRecord { run, findings: vec![finding.clone(), finding], tags: (0..2_400).map(tag).collect() }
}

#[tokio::test]
async fn a_restart_shows_the_last_complete_run_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let probe = configured(Some("*/15 * * * *"));
    probe.restore(&registry).await;
    assert_eq!(text(&probe), "", "before the first run nothing is claimed");
    assert_eq!(registry.record_probe(record(None, NOW_MS)).await.unwrap().len(), 1);
    registry.close().await;

    let registry = open(dir.path());
    let probe = configured(Some("*/15 * * * *"));
    probe.restore(&registry).await;
    let shown = text(&probe);
    for line in [
        "registry_manifest_integrity_failures 2",
        "registry_manifest_integrity_undetermined 0",
        "registry_manifest_integrity_catalog_accessible 1",
        "registry_manifest_integrity_repos_checked 14",
        "registry_manifest_integrity_tags_checked 2400",
        "registry_manifest_integrity_indexes_checked 37",
        "registry_manifest_integrity_last_run_timestamp 1795267496",
        "registry_manifest_integrity_broken_tag{kind=\"blob-missing\",repository=\"a/b\",tag=\"v1\"} 1",
        "registry_manifest_integrity_run_duration_seconds 2.5",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} in\n{shown}");
    }
    let health = registry.health().await;
    assert!(health.degraded.iter().any(|reason| reason.contains("2 findings in 1 tag")), "{health:?}");

    // One that could not complete leaves everything but the catalog.
    let failed = ProbeRecord { findings: Vec::new(), tags: Vec::new(), ..record(Some("503"), NOW_MS + 1) };
    registry.record_probe(failed).await.unwrap();
    let probe = configured(Some("*/15 * * * *"));
    probe.restore(&registry).await;
    let after = text(&probe);
    assert_eq!(after, shown.replace("catalog_accessible 1", "catalog_accessible 0"));
    registry.close().await;
}

#[tokio::test]
async fn a_probe_that_is_off_shows_nothing_old() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    registry.record_probe(record(None, NOW_MS)).await.unwrap();
    let probe = configured(None);
    probe.restore(&registry).await;
    assert_eq!(text(&probe), "");
    assert_eq!((probe.schedule(), probe.next_run_ms()), (None, None));
    registry.close().await;
}

fn dev_configuration() -> config::Loaded {
    let layout = crate::dev::Layout::of(Path::new("/data")).unwrap();
    let options = crate::dev::Options { listen: None, grpc_listen: None, plain_http: true, anonymous: true };
    config::load(crate::dev::sources(&layout, &options, config::Environment::default())).unwrap()
}

/// A listener over `registry` on loopback, where everybody is admin or nobody gets in.
async fn listen(registry: &Registry, gate: Gate) -> (std::net::SocketAddr, Arc<Edge>) {
    let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let edge = Arc::new(Edge {
        registry: registry.clone(),
        gate,
        live: config::Live::new(dev_configuration(), None),
        clients: crate::http::clients::Clients::new(),
        proxy_protocol: config::ProxyProtocol::Off,
        behind_tls_proxy: false,
        certificate: None,
        metrics: crate::metrics::Metrics::new().unwrap(),
        probe: Arc::new(configured(Some("0 0 1 1 *"))),
        schedules: crate::schedule::Schedules::new(&dev_configuration().config).unwrap(),
        read_timeout: Duration::from_secs(5),
        metrics_here: true,
        tasks: TaskTracker::new(),
        stopping: CancellationToken::new(),
        id_prefix: String::new(),
    });
    let limits = Limits { head: Duration::from_secs(5), idle: Duration::from_secs(5), write: None };
    let address = listener.local_addr().unwrap();
    edge.tasks.spawn(accept(listener, Listening { edge: Arc::clone(&edge), tls: None, limits }));
    (address, edge)
}

async fn ask(address: std::net::SocketAddr, method: &str, path: &str, token: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_probes_account_reads_and_lists_at_every_gate_and_does_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let nobody = Arc::new(Credential::draw().unwrap());
    for mode in [Mode::Open, Mode::Dev(nobody)] {
        let settings = GateSettings {
            mode,
            service: "mcr".to_owned(),
            token_ttl: Duration::from_secs(60),
            keys: dir.path().join("keys.json"),
            clock: Clock::fixed(NOW_MS),
        };
        let gate = Gate::open(settings, registry.clone()).unwrap();
        let credential = Arc::new(Credential::draw().unwrap());
        let token = credential.token();
        let (address, edge) = listen(&registry, gate.with_probe(credential)).await;
        let digest = mcr_oci::Digest::sha256(b"x");
        for (method, path, status) in [
            ("GET", "/v2/".to_owned(), "200"),
            ("GET", "/v2/_catalog?proxy=true".to_owned(), "200"),
            ("GET", "/v1/integrity".to_owned(), "200"),
            ("GET", "/v2/a/tags/list".to_owned(), "404"),
            ("HEAD", format!("/v2/a/blobs/{digest}"), "404"),
            ("POST", "/v2/a/blobs/uploads/".to_owned(), "403"),
            ("POST", format!("/v2/a/blobs/uploads/?mount={digest}&from=b"), "403"),
            ("PUT", "/v2/a/manifests/v1".to_owned(), "403"),
            ("DELETE", "/v2/a/manifests/v1".to_owned(), "403"),
            ("DELETE", format!("/v2/a/blobs/{digest}"), "403"),
        ] {
            let answer = ask(address, method, &path, &token).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{method} {path}: {answer}");
        }
        let guessed = ask(address, "GET", "/v2/_catalog", &mcr_access::probe_bearer("guess")).await;
        assert!(guessed.starts_with("HTTP/1.1 401 "), "{guessed}");
        edge.stopping.cancel();
    }
    registry.close().await;
}

#[test]
fn the_first_run_comes_soon() {
    let yearly = configured(Some("0 0 1 1 *"));
    assert_eq!(yearly.next_run_ms(), Some(NOW_MS + 5_000));
    assert!(FIRST_RUN_AFTER < Duration::from_secs(60), "the contract allows a minute");
    let each_second = configured(Some("* * * * * *"));
    assert_eq!(each_second.next_run_ms(), Some(NOW_MS + 1_000));
}
