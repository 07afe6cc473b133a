//! Whose word on a client's address is taken: of trusted proxies, from the right, and of nobody else.

use mcr_tests::accounts::{Registry, USER};

use crate::scene::{behind, check};

/// The address that a wrong password with these headers is laid to.
#[track_caller]
fn laid_to(registry: &Registry, headers: &[(&str, &str)]) -> String {
    let before = registry.server().log().len();
    let pair = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{USER}:wrong"));
    let basic = format!("Basic {pair}");
    let mut all = vec![("Host", "reg.example"), ("Authorization", basic.as_str())];
    all.extend(headers);
    let answer = check(&registry.nobody(), &all).expect("an answer");
    assert!(matches!(answer.status, 401 | 429), "{answer:?}");
    let began = std::time::Instant::now();
    loop {
        let log = registry.server().log();
        let line = log[before..].lines().find(|line| line.contains("a login failed") || line.contains("status=429"));
        let address =
            line.and_then(|line| line.split(['=', ' ']).skip_while(|word| !matches!(*word, "address" | "peer")).nth(1));
        if let Some(address) = address {
            return address.to_owned();
        }
        assert!(began.elapsed().as_secs() < 10, "{log}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn nobody_else_makes_itself_another() {
    let registry = behind(&["trusted_proxies = [\"192.0.2.0/24\"]"]);
    for headers in [
        &[][..],
        &[("X-Forwarded-For", "198.51.100.7")],
        &[("X-Forwarded-For", "192.0.2.1, 192.0.2.2")],
        &[("X-Real-IP", "198.51.100.7"), ("Forwarded", "for=198.51.100.7")],
        &[("x-forwarded-for", "127.0.0.1"), ("X-FORWARDED-FOR", "198.51.100.7")],
    ] {
        assert_eq!(laid_to(&registry, headers), "127.0.0.1", "{headers:?}");
    }
}

#[test]
fn behind_trusted_proxies_the_last_address_they_saw_counts() {
    let registry = behind(&["trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]"]);
    for (headers, expected) in [
        (&[("X-Forwarded-For", "198.51.100.7")][..], "198.51.100.7"),
        (&[("X-Forwarded-For", "6.6.6.6, 198.51.100.8, 10.0.0.2")], "198.51.100.8"),
        (&[("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "198.51.100.9")], "198.51.100.9"),
        (&[("X-Forwarded-For", "garbage, 2001:db8::7")], "2001:db8::7"),
        (&[("X-Forwarded-For", "198.51.100.10"), ("Forwarded", "for=6.6.6.6")], "198.51.100.10"),
        // What it cannot have written it has not said.
        (&[("X-Forwarded-For", "198.51.100.11, unknown")], "127.0.0.1"),
        (&[("X-Real-IP", "198.51.100.12")], "127.0.0.1"),
    ] {
        assert_eq!(laid_to(&registry, headers), expected, "{headers:?}");
    }
}

#[test]
fn a_proxy_does_not_show_the_figures_to_the_world() {
    let status = |registry: &Registry, headers: &[(&str, &str)]| {
        let client = registry.nobody();
        let request = client.request("GET", "/metrics");
        headers.iter().fold(request, |request, (name, value)| request.header(name, value)).call().status
    };
    let registry = behind(&["trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]"]);
    assert_eq!(status(&registry, &[]), 200);
    assert_eq!(status(&registry, &[("X-Forwarded-For", "10.0.0.9")]), 200);
    for headers in [("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-For", "unknown"), ("Via", "1.1 proxy")] {
        assert_eq!(status(&registry, &[headers]), 404, "{headers:?}");
    }
    // A proxy on this machine that nobody called trusted.
    let registry = behind(&[]);
    assert_eq!(status(&registry, &[]), 200);
    assert_eq!(status(&registry, &[("X-Forwarded-For", "127.0.0.1")]), 404);
}
