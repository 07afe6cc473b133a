//! Networks and registries that flap, judged right: what passes is waited for, what stays is named, what is not there
//! at all is never called broken.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mcr_tests::distribution::Distribution;
use mcr_tests::ports;
use mcr_tests::proxy::{Action, Proxy};

use crate::said::{findings, judged, run, text};
use crate::{Content, push_index};

fn registry() -> (Distribution, Content) {
    let registry = Distribution::start();
    let content = push_index(&registry.client(), "infra/ci", "latest", 7);
    (registry, content)
}

fn verify(proxy: &Proxy, more: &[&str]) -> (i32, Vec<String>) {
    let (code, kinds, _) = judged(&[&["--addr", &proxy.url(), "verify", "infra/ci:latest"], more].concat());
    (code, kinds)
}

#[test]
fn resets_in_between_are_no_finding() {
    let (registry, _) = registry();
    let seen: Mutex<HashMap<String, usize>> = Mutex::default();
    // Each thing that is asked for is refused twice before it is answered.
    let proxy = Proxy::start(registry.address(), move |method, target, _| {
        let mut seen = seen.lock().unwrap();
        let times = seen.entry(format!("{method} {target}")).or_default();
        *times += 1;
        if *times <= 2 { Action::Reset } else { Action::Forward }
    });
    assert_eq!(verify(&proxy, &["--level", "full"]), (0, vec![]));
    let (code, kinds, _) = judged(&["--addr", &proxy.url(), "probe"]);
    assert_eq!((code, kinds), (0, vec![]));
}

#[test]
fn too_many_requests_and_unavailable_are_waited_for_as_told() {
    let (registry, _) = registry();
    for status in [429, 503] {
        let proxy = Proxy::start(registry.address(), move |_, target, n| {
            let again = Action::status(status, "Retry-After: 1\r\n", "{}");
            if target.contains("/blobs/") && n < 8 { again } else { Action::Forward }
        });
        let began = Instant::now();
        assert_eq!(verify(&proxy, &[]), (0, vec![]), "{status}");
        assert!(began.elapsed() >= Duration::from_secs(1), "{status}: Retry-After was not honoured");
    }
}

#[test]
fn an_answer_cut_short_once_is_asked_for_again() {
    let (registry, content) = registry();
    let layer = content.images[0].layers[0].digest.to_string();
    let cut = std::sync::atomic::AtomicBool::new(false);
    let proxy = Proxy::start(registry.address(), move |method, target, _| {
        let first = target.contains(&layer) && method == "GET" && !cut.swap(true, std::sync::atomic::Ordering::SeqCst);
        if first { Action::Cut(600) } else { Action::Forward }
    });
    assert_eq!(verify(&proxy, &["--level", "full"]), (0, vec![]));
}

#[test]
fn one_blob_that_answers_500_for_ever_is_unservable() {
    let (registry, content) = registry();
    let layer = content.images[0].layers[0].digest.to_string();
    let broken = layer.clone();
    let proxy = Proxy::start(registry.address(), move |_, target, _| {
        if target.contains(&broken) { Action::status(500, "", "{}") } else { Action::Forward }
    });
    let began = Instant::now();
    let (code, kinds, json) = judged(&["--addr", &proxy.url(), "verify", "infra/ci:latest"]);
    assert_eq!((code, kinds), (1, vec!["blob-unservable".to_owned()]));
    assert!(began.elapsed() >= Duration::from_secs(10), "judged after {:?}", began.elapsed());
    assert_eq!(text(&findings(&json)[0]["digest"]), layer);
    assert_eq!(findings(&json)[0]["status"], 500);
    let asked = proxy.requests().iter().filter(|request| request.contains(&layer)).count();
    assert_eq!(asked, 3, "three times over at least ten seconds");
    let (code, kinds, _) = judged(&["--addr", &proxy.url(), "probe"]);
    assert_eq!((code, kinds), (1, vec!["blob-unservable".to_owned()]));
}

#[test]
fn one_blob_that_stalls_for_ever_is_unservable() {
    let (registry, content) = registry();
    let layer = content.images[1].layers[1].digest.to_string();
    let proxy = Proxy::start(
        registry.address(),
        move |_, target, _| {
            if target.contains(&layer) { Action::Stall } else { Action::Forward }
        },
    );
    // Told to be quick, it believes sooner that nothing will come.
    assert_eq!(verify(&proxy, &["--level", "head", "--timeout", "40s"]), (1, vec!["blob-unservable".to_owned()]));
}

#[test]
fn a_registry_that_is_unavailable_as_a_whole_is_undetermined() {
    let (registry, _) = registry();
    let proxy = Proxy::start(registry.address(), |_, _, _| Action::status(503, "Retry-After: 30\r\n", "{}"));
    let began = Instant::now();
    assert_eq!(verify(&proxy, &["--timeout", "3s"]), (3, vec!["unreachable".to_owned()]));
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    let output = run(&["--addr", &proxy.url(), "probe", "--timeout", "3s"]);
    assert_eq!(output.code, Some(3));
    assert!(output.stderr.contains("503"), "it says what it waited for: {output:?}");
    let failing = Proxy::start(registry.address(), |_, _, _| Action::status(500, "", "oops"));
    assert_eq!(verify(&failing, &[]), (3, vec!["unreachable".to_owned()]));
}

#[test]
fn nobody_there_is_undetermined_never_broken() {
    let nobody = format!("http://{}", ports::free());
    let (code, kinds, json) = judged(&["--addr", &nobody, "verify", "infra/ci:latest"]);
    assert_eq!((code, kinds), (3, vec!["unreachable".to_owned()]));
    assert_eq!(json["sound"], false);
    for arguments in [["--addr", &nobody, "probe"], ["--addr", "registry.invalid", "probe"]] {
        let output = run(&arguments);
        assert_eq!(output.code, Some(3), "{output:?}");
        assert_eq!(output.stderr.trim().lines().filter(|line| line.starts_with("mcrctl:")).count(), 1, "{output:?}");
    }
}

#[test]
fn a_registry_that_goes_away_half_way_ends_the_run_without_findings() {
    let (registry, _) = registry();
    let proxy = Proxy::start(registry.address(), |_, target, _| {
        let list = target.contains("_catalog") || target.contains("/tags/");
        if list { Action::Forward } else { Action::Reset }
    });
    let output = run(&["--addr", &proxy.url(), "probe"]);
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stderr.contains("cut short"), "{output:?}");
}

#[test]
fn a_digest_is_asked_for_once_a_run_and_repository() {
    let (registry, content) = registry();
    let client = registry.client();
    // Many tags on the same index and on its first image, and the same content in a second repository.
    for tag in ["a", "b", "c"] {
        mcr_tests::push::index(&client, "infra/ci", tag, &content.index);
        mcr_tests::push::image(&client, "infra/ci", &format!("{tag}-image"), &content.images[0]);
    }
    push_index(&client, "infra/other", "latest", 7);
    let proxy = Proxy::start(registry.address(), |_, _, _| Action::Forward);
    let (code, kinds, json) = judged(&["--addr", &proxy.url(), "probe"]);
    assert_eq!((code, kinds), (0, vec![]));
    assert_eq!(json["checked"], serde_json::json!({"repositories": 2, "tags": 8, "indexes": 2}));
    let mut seen = HashMap::new();
    for request in proxy.requests().iter().filter(|request| request.contains("sha256:")) {
        *seen.entry(request.clone()).or_insert(0) += 1;
    }
    assert!(!seen.is_empty() && seen.values().all(|times| *times == 1), "{seen:#?}");
}
