//! Registries that lie or never end: findings or exit 3, never a panic, never a hang beyond `--timeout`.

use std::time::{Duration, Instant};

use mcr_tests::Random;
use mcr_tests::ports;
use mcr_tests::proxy::{Action, Proxy};
use serde_json::{Value, json};

use crate::said::run;

/// A server without a registry behind it.
fn liar(plan: impl Fn(&str, &str, usize) -> Action + Send + Sync + 'static) -> Proxy {
    Proxy::start(ports::free(), plan)
}

fn ok(body: &str) -> Action {
    Action::status(200, "Content-Type: application/json\r\n", body)
}

/// Tries many liars at once: most of the time is spent waiting for them.
fn all_at_once(lies: &[(String, Proxy)]) {
    std::thread::scope(|scope| {
        for (what, proxy) in lies {
            scope.spawn(move || ends(what, proxy));
        }
    });
}

/// Runs verify and probe; each must end in time, with a finding or undetermined, and say so in words.
#[track_caller]
fn ends(what: &str, proxy: &Proxy) {
    for command in [&["verify", "infra/ci:latest"][..], &["probe"]] {
        let began = Instant::now();
        let output = run(&[&["--addr", &proxy.url(), "--timeout", "4s"], command].concat());
        assert!(matches!(output.code, Some(1 | 3)), "{what}, {command:?}: {output:?}");
        assert!(began.elapsed() < Duration::from_secs(9), "{what}, {command:?} took {:?}", began.elapsed());
        assert!(!output.all().contains("panicked"), "{what}, {command:?}: {output:?}");
        assert!(!output.all().is_empty(), "{what}, {command:?} said nothing");
        assert!(!output.all().contains('\u{1b}'), "{what}, {command:?} passes escapes on: {output:?}");
    }
}

#[test]
fn catalogs_that_never_end() {
    let page = |target: &str, n: usize, name: &str| {
        let link = format!("Content-Type: application/json\r\nLink: </v2/_catalog?last={n}>; rel=\"next\"\r\n");
        match target {
            "/v2/" => ok("{}"),
            _ => Action::status(200, &link, &format!("{{\"repositories\":[\"{name}\"],\"tags\":[\"{name}\"]}}")),
        }
    };
    ends("new names for ever", &liar(move |_, target, n| page(target, n, &format!("r{n}"))));
    ends("the same name for ever", &liar(move |_, target, n| page(target, n, "again")));
}

/// A registry that lists one tag and answers everything about it with `answer`.
fn about_its_manifests(target: &str, answer: Action) -> Action {
    match target {
        "/v2/" => ok("{}"),
        target if target.contains("_catalog") => ok("{\"repositories\":[\"infra/ci\"]}"),
        target if target.contains("/tags/") => ok("{\"tags\":[\"latest\"]}"),
        _ => answer,
    }
}

#[test]
fn bodies_that_never_end() {
    let huge = b"HTTP/1.1 200 OK\r\nContent-Length: 5368709120\r\n\r\n{".to_vec();
    let manifests = [
        ("an endless manifest", Action::Endless),
        ("a dripping manifest", Action::Drip(50)),
        ("a manifest of 5 GiB", Action::Answer(huge)),
    ];
    let manifests = manifests
        .map(|(what, action)| (what.to_owned(), liar(move |_, target, _| about_its_manifests(target, action.clone()))));
    let registries = [("a silent registry", Action::Stall), ("an endless registry", Action::Endless)];
    let registries = registries.map(|(what, action)| (what.to_owned(), liar(move |_, _, _| action.clone())));
    let lies: Vec<(String, Proxy)> = manifests.into_iter().chain(registries).collect();
    all_at_once(&lies);
}

#[test]
fn answers_that_are_no_answers() {
    let lies = [
        ("a login page", ok("<html><body>log in \u{1b}[31m</body></html>")),
        ("nothing", ok("")),
        ("null", ok("null")),
        ("other types", ok("{\"repositories\":5,\"tags\":{},\"schemaVersion\":\"x\"}")),
        ("names that are none", ok("{\"repositories\":[\"../../etc\",\"\",\"UP\"],\"tags\":[\"a/b\",\"\u{7}\"]}")),
        ("deep JSON", ok(&"[".repeat(100_000))),
        ("a redirect to itself", Action::status(302, "Location: /v2/\r\n", "")),
        ("a redirect to nowhere", Action::status(307, "Location: gopher://x/\r\n", "")),
        ("a redirect to a file", Action::status(307, "Location: file:///etc/passwd\r\n", "")),
        ("no HTTP", Action::Answer(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())),
        ("half a head", Action::Answer(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec())),
        ("a challenge without a realm", Action::status(401, "WWW-Authenticate: Bearer\r\n", "")),
        ("a realm that is no address", Action::status(401, "WWW-Authenticate: Bearer realm=\"%%%\"\r\n", "")),
        ("forbidden", Action::status(403, "", "{}")),
        ("a teapot", Action::status(418, "", "")),
    ];
    let lies = lies.map(|(what, answer)| (what.to_owned(), liar(move |_, _, _| answer.clone())));
    all_at_once(&lies);
}

#[test]
fn random_bytes_for_manifests() {
    let lies = (0..20).map(|seed| {
        let mut random = Random::new(seed);
        let mut body = random.bytes(200);
        if seed % 2 == 0 {
            let nested = "[{\"digest\":".repeat(usize::try_from(seed).unwrap());
            body = format!("{{\"schemaVersion\":2,\"layers\":{nested}").into_bytes();
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let answer = Action::Answer([head.into_bytes(), body].concat());
        let proxy = liar(move |_, target, _| about_its_manifests(target, answer.clone()));
        (format!("random bytes {seed}"), proxy)
    });
    let lies: Vec<(String, Proxy)> = lies.collect();
    all_at_once(&lies);
}

#[test]
fn an_index_of_thousands_of_itself() {
    let index = "application/vnd.oci.image.index.v1+json";
    let child = |n: u32| json!({"mediaType": index, "digest": format!("sha256:{n:064x}"), "size": 5});
    let children: Vec<Value> = (0..5_000).map(child).collect();
    let body = json!({"schemaVersion": 2, "mediaType": index, "manifests": children}).to_string();
    let answer = Action::status(200, &format!("Content-Type: {index}\r\n"), &body);
    ends("an index of thousands", &liar(move |_, target, _| about_its_manifests(target, answer.clone())));
}
