//! Tests of what variables set.

use super::*;

fn entries(variables: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let mut problems = Problems::default();
    let entries = Environment::of(variables).entries(&mut problems);
    let entries = entries.iter().map(|entry| format!("{} = {} {}", entry.key.full, entry.raw, entry.origin)).collect();
    (entries, problems.0.iter().map(ToString::to_string).collect())
}

#[test]
fn section_and_key_are_found_in_the_name() {
    let (entries, problems) = entries(&[
        ("MCR_SERVER_LISTEN_ADDR", "127.0.0.1:1"),
        ("MCR_DATABASE_ALLOW_NETWORK_FILESYSTEM", "true"),
        ("HOME", "/root"),
        ("MCR_ADDR", "https://x"),
        ("MCR_FAULTS", "x=kill"),
    ]);
    assert_eq!(
        entries,
        [
            "database.allow_network_filesystem = \"true\" $MCR_DATABASE_ALLOW_NETWORK_FILESYSTEM",
            "server.listen_addr = \"127.0.0.1:1\" $MCR_SERVER_LISTEN_ADDR",
        ]
    );
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn a_misspelt_variable_is_told() {
    let (_, problems) = entries(&[("MCR_SERVER_LISTEN_ADR", "x"), ("MCR_WEB_LISTEN_ADDR", "x")]);
    assert_eq!(problems[0], "$MCR_SERVER_LISTEN_ADR: [server] listen_adr: unknown key; did you mean listen_addr?");
    assert!(problems[1].contains("does not know it yet"), "{problems:?}");
}

#[test]
fn what_kubernetes_announces_is_not_ours() {
    let (entries, problems) = entries(&[
        ("MCR_SERVER_SERVICE_HOST", "10.0.0.1"),
        ("MCR_SERVER_SERVICE_PORT", "8443"),
        ("MCR_SERVER_SERVICE_PORT_HTTPS", "8443"),
        ("MCR_SERVER_PORT", "tcp://10.0.0.1:8443"),
        ("MCR_SERVER_PORT_8443_TCP_ADDR", "10.0.0.1"),
        ("MCR_WEB_SERVICE_HOST", "10.0.0.1"),
    ]);
    assert_eq!((entries, problems), (Vec::new(), Vec::new()));
}

#[test]
fn ports_listen_on_all_addresses() {
    let mut problems = Problems::default();
    let environment = Environment::of(&[("PORT", "1"), ("PORT_REST", "2"), ("PORT_GRPC", "3"), ("PORT_METRICS", "no")]);
    let entries = environment.ports(&mut problems);
    let all = all_addresses();
    let raws: Vec<(&str, Raw)> = entries.into_iter().map(|entry| (entry.key.full, entry.raw)).collect();
    let port = |port| Raw::Bare(SocketAddr::new(all, port).to_string());
    assert_eq!(raws, [("server.listen_addr", port(1)), ("server.listen_addr", port(2)), ("server.grpc_addr", port(3))]);
    assert_eq!(problems.to_string(), "$PORT_METRICS: [metrics] listen_addr: expected a port number, found \"no\"");
}
