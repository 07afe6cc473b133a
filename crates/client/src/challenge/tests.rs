//! Tests of challenges as registries send them, and as nobody should.

use proptest::prelude::*;
use reqwest::header::HeaderValue;

use super::*;

fn one(text: &str) -> Challenge {
    let mut found = parse(text);
    assert_eq!(found.len(), 1, "{text}: {found:?}");
    found.remove(0)
}

#[test]
fn what_registries_send_is_read() {
    let bearer = one(
        r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
    );
    assert_eq!(bearer.scheme, "bearer");
    assert_eq!(bearer.get("realm"), Some("https://auth.docker.io/token"));
    assert_eq!(bearer.get("service"), Some("registry.docker.io"));
    assert_eq!(bearer.get("scope"), Some("repository:a/b:pull,push"));
    assert_eq!(bearer.get("error"), None);
    let basic = one(r#"Basic realm="Registry Realm""#);
    assert_eq!((basic.scheme.as_str(), basic.get("realm")), ("basic", Some("Registry Realm")));
}

#[test]
fn several_challenges_in_one_header_are_told_apart() {
    let found = parse(
        r#"Negotiate, NTLM abc==, Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple""#,
    );
    let schemes: Vec<_> = found.iter().map(|challenge| challenge.scheme.as_str()).collect();
    assert_eq!(schemes, ["negotiate", "ntlm", "newauth", "basic"]);
    assert_eq!(found[2].get("title"), Some(r#"Login to "apps""#));
    assert_eq!(found[2].get("type"), Some("1"));
    assert_eq!(found[3].get("realm"), Some("simple"));
}

#[test]
fn case_spaces_and_missing_quotes_do_not_matter() {
    let bearer = one("bEaReR  REALM = https://auth.example/token?a=b ,\tSerVice=x,,scope=\"\"");
    assert_eq!(bearer.scheme, "bearer");
    assert_eq!(bearer.get("realm"), Some("https://auth.example/token?a=b"));
    assert_eq!(bearer.get("service"), Some("x"));
    assert_eq!(bearer.get("scope"), Some(""));
}

#[test]
fn commas_and_schemes_inside_quotes_are_text() {
    let bearer = one(r#"Bearer realm="https://a/?x=1, Basic realm=y",service="s""#);
    assert_eq!(bearer.get("realm"), Some("https://a/?x=1, Basic realm=y"));
    assert_eq!(bearer.get("service"), Some("s"));
}

#[test]
fn what_cannot_be_read_is_skipped() {
    assert_eq!(parse(""), []);
    assert_eq!(parse(" ,, , "), []);
    assert_eq!(parse("=\"x\", Basic realm=\"r\"").len(), 1);
    assert_eq!(one(r#"Bearer realm="never ends"#).get("realm"), Some("never ends"));
    assert_eq!(one("Bearer").get("realm"), None);
    assert!(parse(&"a,".repeat(1_000)).len() <= CHALLENGES_MAX);
}

#[test]
fn several_headers_count_and_foreign_bytes_do_no_harm() {
    let mut headers = HeaderMap::new();
    headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(b"Bearer realm=\"\xff\xfe\"").unwrap());
    headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"r\""));
    let schemes: Vec<_> = challenges(&headers).into_iter().map(|challenge| challenge.scheme).collect();
    assert_eq!(schemes, ["bearer", "basic"]);
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_grow(text in ".{0,300}") {
        let found = parse(&text);
        prop_assert!(found.len() <= CHALLENGES_MAX);
        let kept: usize = found.iter().flat_map(|one| &one.parameters).map(|(name, value)| name.len() + value.len()).sum();
        prop_assert!(kept <= text.len());
    }

    #[test]
    fn sloppy_text_does_no_harm_either(text in r#"([A-Za-z]{1,6}|[ ,="\\]|=="|Bearer realm=){0,40}"#) {
        prop_assert!(parse(&text).len() <= CHALLENGES_MAX);
    }

    #[test]
    fn what_was_written_is_read(
        written in prop::collection::vec(
            ("[A-Za-z][A-Za-z0-9-]{0,8}", prop::collection::vec(("[a-z_]{1,8}", "[ -~äé]{0,20}"), 1..5)),
            1..5,
        )
    ) {
        let text: Vec<String> = written.iter().map(|(scheme, parameters)| {
            let parameters: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
            format!("{scheme} {}", parameters.join(", "))
        }).collect();
        let expected: Vec<Challenge> = written.iter().map(|(scheme, parameters)| Challenge {
            scheme: scheme.to_ascii_lowercase(),
            parameters: parameters.clone(),
        }).collect();
        prop_assert_eq!(parse(&text.join(", ")), expected);
    }
}
