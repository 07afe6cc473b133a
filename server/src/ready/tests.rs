//! Tests of what is printed when the registry serves.

use super::*;

fn bound(http: &str) -> Bound {
    Bound { http: http.parse().unwrap(), grpc: "127.0.0.1:9443".parse().ok(), metrics: None }
}

fn dev(credentials: Credentials) -> Option<DevReady> {
    Some(DevReady { cert: "/my data/tls/cert.pem".into(), credentials })
}

#[test]
fn production_prints_one_line() {
    let ready = Ready { plain_http: false, dev: None };
    assert_eq!(ready.text(&bound("127.0.0.1:8443")), "mcrsrv ready https://127.0.0.1:8443 grpc 127.0.0.1:9443\n");
    let ready = Ready { plain_http: true, dev: None };
    let bound = Bound { grpc: None, metrics: "[::]:9100".parse().ok(), ..bound("[::1]:80") };
    assert_eq!(ready.text(&bound), "mcrsrv ready http://[::1]:80 metrics http://127.0.0.1:9100/metrics\n");
}

#[test]
fn all_addresses_are_reached_on_loopback() {
    let ready = Ready { plain_http: false, dev: None };
    for all in ["0.0.0.0:1", "[::]:1"] {
        assert!(ready.text(&bound(all)).starts_with("mcrsrv ready https://127.0.0.1:1 "));
    }
}

#[test]
fn a_new_password_is_in_the_first_line_and_the_commands() {
    let ready = Ready { plain_http: false, dev: dev(Credentials::New("SECRET".to_owned())) };
    let text = ready.text(&bound("127.0.0.1:8443"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "mcrsrv ready https://127.0.0.1:8443 grpc 127.0.0.1:9443 user: admin password: SECRET (shown this once)",
            "skopeo copy --dest-tls-verify=false --dest-creds \"admin:SECRET\" docker://docker.io/library/busybox:latest docker://127.0.0.1:8443/busybox:latest",
            "skopeo copy --src-tls-verify=false --src-creds \"admin:SECRET\" docker://127.0.0.1:8443/busybox:latest oci:busybox:latest",
            "curl --cacert '/my data/tls/cert.pem' -u \"admin:SECRET\" https://127.0.0.1:8443/v2/_catalog",
        ]
    );
}

#[test]
fn debugging_output_keeps_the_password() {
    let ready = Ready { plain_http: false, dev: dev(Credentials::New("SECRET".to_owned())) };
    assert!(!format!("{ready:?}").contains("SECRET"));
}

#[test]
fn a_password_shown_earlier_is_left_to_the_shell() {
    let ready = Ready { plain_http: false, dev: dev(Credentials::Known) };
    let text = ready.text(&bound("127.0.0.1:8443"));
    assert_eq!(text.lines().count(), 4);
    assert_eq!(text.matches("\"admin:$MCR_PASSWORD\"").count(), 3);
    assert!(!text.contains("password: "));
}

#[test]
fn everybody_needs_no_credentials() {
    let ready = Ready { plain_http: true, dev: dev(Credentials::Anonymous) };
    let text = ready.text(&bound("127.0.0.1:5000"));
    assert!(text.ends_with("\ncurl http://127.0.0.1:5000/v2/_catalog\n"), "{text}");
    assert!(!text.contains("admin"));
}

#[test]
fn words_of_a_shell_are_quoted_where_they_must_be() {
    assert_eq!(shell_word("/srv/mcr.toml"), "/srv/mcr.toml");
    assert_eq!(shell_word("a b"), "'a b'");
    assert_eq!(shell_word("it's"), "'it'\\''s'");
    assert_eq!(shell_word("$(x)"), "'$(x)'");
    assert_eq!(shell_word(""), "''");
}
