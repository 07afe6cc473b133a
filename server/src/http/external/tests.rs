//! Tests of the name a client came by.

use std::sync::Arc;

use super::*;

fn head(target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::builder().uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn names(urls: &[&str]) -> Names {
    Names { external_url: urls.iter().map(|url| (*url).to_owned()).collect(), ..Names::default() }
}

fn direct(tls: bool) -> Link {
    Link { tls, ..Link::direct("192.0.2.1".parse().unwrap()) }
}

fn proxied() -> Link {
    let trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    let names = Arc::new(Names { trusted_proxies, ..Names::default() });
    Link::new("10.0.0.1".parse().unwrap(), &names)
}

fn asked(link: &Link, headers: &[(&str, &str)], urls: &[&str]) -> Result<String, BadHost> {
    base_url(link, &head("/v2/", headers), &names(urls), false)
}

#[test]
fn a_client_is_sent_to_the_name_it_came_by() {
    let public = "https://reg.example";
    for (host, tls, expected) in [
        ("reg.example", true, "https://reg.example"),
        ("REG.example", true, "https://reg.example"),
        ("reg.example:443", true, "https://reg.example"),
        ("reg.example", false, "https://reg.example"),
        ("reg.example:8443", true, "https://reg.example:8443"),
        ("reg.internal:5000", true, "https://reg.internal:5000"),
        ("reg.internal:5000", false, "http://reg.internal:5000"),
        ("10.0.0.7:8443", true, "https://10.0.0.7:8443"),
        ("[2001:DB8::1]:8443", true, "https://[2001:db8::1]:8443"),
        ("[::1]", false, "http://[::1]"),
        ("my_service", false, "http://my_service"),
    ] {
        assert_eq!(asked(&direct(tls), &[("host", host)], &[public]).as_deref(), Ok(expected), "{host}");
    }
}

#[test]
fn each_of_several_names_is_itself() {
    let urls = ["https://reg.example", "http://reg.internal:5000"];
    let by = |host: &str| asked(&direct(false), &[("host", host)], &urls).unwrap();
    assert_eq!(by("reg.internal:5000"), "http://reg.internal:5000");
    assert_eq!(by("reg.example"), "https://reg.example");
    assert_eq!(by("other"), "http://other");
}

#[test]
fn a_request_without_a_host_gets_the_first_name_or_the_connections_address() {
    assert_eq!(asked(&direct(true), &[], &["https://a", "https://b"]).as_deref(), Ok("https://a"));
    let link = Link { local: "192.0.2.9:8443".parse().ok(), ..direct(true) };
    assert_eq!(asked(&link, &[], &[]).as_deref(), Ok("https://192.0.2.9:8443"));
    assert_eq!(asked(&link, &[("host", "")], &[]).as_deref(), Ok("https://192.0.2.9:8443"));
    assert_eq!(asked(&direct(true), &[], &[]), Err(BadHost));
}

#[test]
fn what_is_no_host_goes_into_no_answer() {
    let long = "a".repeat(254);
    for host in [
        "a b", "a\"b", "a/b", "u@a", "a:", "a:1:2", "a:99999", "a:-1", "a,b", "[::1", "[zz]", "[::1]x", "a\\b", "%41",
        "é", &long,
    ] {
        assert_eq!(asked(&direct(true), &[("host", host)], &["https://a"]), Err(BadHost), "{host}");
    }
    assert_eq!(asked(&direct(true), &[("host", "a"), ("host", "b")], &[]), Err(BadHost));
    assert!(asked(&direct(true), &[("host", "a"), ("host", "a")], &[]).is_ok());
}

#[test]
fn http_2_says_it_in_its_own_way() {
    let url = |headers: &[(&str, &str)]| base_url(&direct(true), &head("https://a:1/v2/", headers), &names(&[]), false);
    assert_eq!(url(&[]).as_deref(), Ok("https://a:1"));
    assert_eq!(url(&[("host", "A:1")]).as_deref(), Ok("https://a:1"));
    assert_eq!(url(&[("host", "b")]), Err(BadHost));
}

#[test]
fn only_a_trusted_proxy_says_what_the_client_asked_for() {
    let said = [("host", "backend:5000"), ("x-forwarded-host", "reg.example:8443"), ("x-forwarded-proto", "https")];
    assert_eq!(asked(&proxied(), &said, &[]).as_deref(), Ok("https://reg.example:8443"));
    assert_eq!(asked(&direct(false), &said, &[]).as_deref(), Ok("http://backend:5000"));
    assert_eq!(asked(&proxied(), &[("host", "backend:5000")], &[]).as_deref(), Ok("http://backend:5000"));
    let chain = [("x-forwarded-host", "reg.example, inner:1"), ("x-forwarded-proto", "https, http")];
    assert_eq!(asked(&proxied(), &chain, &[]).as_deref(), Ok("https://reg.example"));
    assert_eq!(asked(&proxied(), &[("host", "a"), ("x-forwarded-host", "a b")], &[]), Err(BadHost));
    assert_eq!(asked(&proxied(), &[("host", "a"), ("x-forwarded-proto", "gopher")], &[]).as_deref(), Ok("http://a"));
}

#[test]
fn a_proxy_that_ends_tls_and_says_nothing_ended_tls() {
    let asked = base_url(&direct(false), &head("/v2/", &[("host", "a")]), &names(&[]), true);
    assert_eq!(asked.as_deref(), Ok("https://a"));
}

proptest::proptest! {
    #[test]
    fn whatever_is_accepted_is_a_safe_header(host in "\\PC{0,40}|[a-z0-9.:\\[\\]_-]{0,40}") {
        if let Some(authority) = Authority::parse(&host) {
            let text = authority.to_string();
            proptest::prop_assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'/' && b != b'@'));
            proptest::prop_assert_eq!(Authority::parse(&text), Some(authority));
        }
    }
}
