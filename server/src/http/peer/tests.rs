//! Tests of whose word on the client's address is taken.

use http::HeaderValue;

use super::*;

fn names() -> Arc<Names> {
    let trusted_proxies = ["10.0.0.0/8", "2001:db8::/32"].map(|network| network.parse().unwrap()).to_vec();
    Arc::new(Names { trusted_proxies, ..Names::default() })
}

fn link(address: &str) -> Link {
    Link::new(address.parse().unwrap(), &names())
}

fn headers(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    headers
}

fn caller(link: &Link, lines: &[&str]) -> (String, bool) {
    let peer = link.peer(&headers(lines));
    (peer.address.unwrap().to_string(), peer.is_shared)
}

#[test]
fn a_stranger_is_who_its_connection_says() {
    for lines in [&[][..], &["10.0.0.1"], &["127.0.0.1", "192.0.2.9"]] {
        assert_eq!(caller(&link("192.0.2.1"), lines), ("192.0.2.1".to_owned(), false), "{lines:?}");
    }
    assert_eq!(caller(&Link::direct("10.0.0.1".parse().unwrap()), &["192.0.2.9"]), ("10.0.0.1".to_owned(), false));
}

#[test]
fn behind_trusted_proxies_it_is_the_last_one_they_saw() {
    for (lines, expected) in [
        (&["192.0.2.1"][..], "192.0.2.1"),
        (&["192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        (&["6.6.6.6, 192.0.2.1,10.0.0.2 , 10.0.0.3"], "192.0.2.1"),
        (&["6.6.6.6", "192.0.2.1"], "192.0.2.1"),
        (&["127.0.0.1, 192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        (&["garbage, 192.0.2.1"], "192.0.2.1"),
        (&["192.0.2.1:4711"], "192.0.2.1"),
        (&["[2001:db9::1]:4711"], "2001:db9::1"),
        (&["[2001:db9::1]"], "2001:db9::1"),
        (&["::ffff:192.0.2.1"], "192.0.2.1"),
        // All of them are trusted: the farthest is the client.
        (&["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
    ] {
        assert_eq!(caller(&link("10.0.0.1"), lines), (expected.to_owned(), false), "{lines:?}");
        assert_eq!(caller(&link("::ffff:10.0.0.1"), lines), (expected.to_owned(), false), "{lines:?}");
    }
}

#[test]
fn a_proxy_that_names_nobody_stands_for_nobody() {
    for lines in [&[][..], &[""], &["unknown"], &["192.0.2.1, unknown"], &["192.0.2.1,"], &["localhost"], &["\u{e4}"]] {
        assert_eq!(caller(&link("10.0.0.1"), lines), ("10.0.0.1".to_owned(), true), "{lines:?}");
    }
}

#[test]
fn a_list_without_end_is_read_to_a_bound() {
    let many = vec!["10.0.0.2"; 100_000].join(",");
    assert_eq!(caller(&link("10.0.0.1"), &[&many]), ("10.0.0.2".to_owned(), false));
}

#[test]
fn figures_are_for_this_machine_and_trusted_networks_only() {
    let near = |address: &str, lines: &[&str]| link(address).is_near(&headers(lines));
    assert!(near("127.0.0.1", &[]) && near("::1", &[]) && near("10.1.2.3", &[]));
    assert!(near("10.0.0.1", &["10.4.5.6"]) && near("10.0.0.1", &["127.0.0.1"]));
    assert!(!near("192.0.2.1", &[]) && !near("192.0.2.1", &["127.0.0.1"]));
    assert!(!near("10.0.0.1", &["192.0.2.1"]), "a proxy does not show them to the world");
    assert!(!near("10.0.0.1", &["unknown"]));
    assert!(!near("127.0.0.1", &["127.0.0.1"]), "a proxy on this machine that nobody called trusted");
    for name in [REAL_IP, FORWARDED, VIA] {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_static("1.1 x"))]);
        assert!(!link("127.0.0.1").is_near(&headers));
        assert!(!link("10.0.0.1").is_near(&headers));
    }
    let shared = Link { is_shared: true, ..link("127.0.0.1") };
    assert!(!shared.is_near(&HeaderMap::new()));
}

proptest::proptest! {
    #[test]
    fn no_header_makes_a_stranger_another(line in "[ -~]{0,60}") {
        proptest::prop_assert_eq!(caller(&link("192.0.2.1"), &[&line]).0, "192.0.2.1");
        let (address, shared) = caller(&link("10.0.0.1"), &[&format!("{line}, 192.0.2.7")]);
        proptest::prop_assert_eq!((address.as_str(), shared), ("192.0.2.7", false));
    }
}
