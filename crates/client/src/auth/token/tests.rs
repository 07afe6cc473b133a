//! Tests of what is sent to whom, and of the life of tokens.

use super::*;

fn urls(realm: &str, registry: &str) -> Result<(), Failure> {
    guard(&super::realm(realm, None).unwrap(), &Url::parse(registry).unwrap())
}

#[test]
fn a_login_is_sent_in_the_clear_only_where_the_registry_is() {
    for (realm, registry) in [
        ("https://auth.example/t", "https://r.example/"),
        ("https://auth.example/t", "http://r.example/"),
        ("http://auth.example/t", "http://r.example/"),
        ("http://127.0.0.1:1/t", "https://localhost/"),
        ("http://localhost:1/t", "https://r.example/"),
    ] {
        assert!(urls(realm, registry).is_ok(), "{realm} {registry}");
    }
    for (realm, registry) in [
        ("http://auth.example/t", "https://r.example/"),
        ("http://r.example/t", "https://r.example/"),
        // That the registry is near says nothing of where it sends us.
        ("http://auth.example/t", "https://127.0.0.1:5000/"),
    ] {
        let Err(Failure::Said(error)) = urls(realm, registry) else { panic!("{realm} {registry}") };
        assert!(error.to_string().contains("in the clear"), "{error}");
    }
}

#[test]
fn a_token_is_used_for_nine_tenths_of_its_life() {
    assert_eq!(life(Some(300.0)), Duration::from_secs(270));
    for short in [None, Some(0.0), Some(-5.0), Some(30.0), Some(f64::NAN), Some(f64::INFINITY)] {
        assert_eq!(life(short), Duration::from_secs(54), "{short:?}");
    }
    assert_eq!(life(Some(1e300)), Duration::from_secs(77_760));
}

#[test]
fn a_realm_is_an_absolute_url_and_brings_no_user() {
    let realm = realm("https://user:pass@auth.example/token?a=b#c", Some("s")).unwrap();
    assert_eq!(realm.url.as_str(), "https://auth.example/token?a=b");
    for wrong in ["", "/token", "auth.example/token", "file:///etc/passwd", "https://"] {
        assert!(super::realm(wrong, None).is_err(), "{wrong}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?} {:?}", bearer("secret"), basic("ada", "secret"));
    assert!(!shown.contains("secret") && !shown.contains("YWRh"), "{shown}");
    assert!(bearer("a\nb").is_none());
}
