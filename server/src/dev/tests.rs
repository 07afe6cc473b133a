//! Tests of the configuration of `--dev`.

use super::*;
use crate::config::{Config, load};

fn options() -> Options {
    Options { listen: None, grpc_listen: None, plain_http: false, anonymous: false }
}

fn config(options: &Options, variables: &[(&str, &str)]) -> Config {
    let layout = Layout::of(Path::new("/data")).unwrap();
    load(sources(&layout, options, Environment::of(variables))).unwrap().config
}

#[test]
fn it_needs_nothing() {
    let config = config(&options(), &[]);
    assert_eq!(config.server.listen_addr.to_string(), LISTEN);
    assert_eq!(config.server.grpc_addr.unwrap().to_string(), GRPC_LISTEN);
    assert_eq!(config.database.path, Path::new("/data/mcr.db"));
    assert_eq!(config.storage.layers_path, Path::new("/data/layers"));
    assert_eq!(config.storage.uploads_path, Path::new("/data/uploads"));
    assert_eq!(config.server.tls_cert.as_deref(), Some(Path::new("/data/tls/cert.pem")));
    assert!(!config.server.plain_http);
}

#[test]
fn the_environment_changes_what_the_flags_leave_open() {
    let variables = [
        ("MCR_STORAGE_RESERVE", "5B"),
        ("MCR_SERVER_LISTEN_ADDR", "127.0.0.1:1"),
        ("MCR_DATABASE_PATH", "/elsewhere"),
        ("PORT", "3000"),
    ];
    let config_of = |options| config(&options, &variables);
    let config = config_of(options());
    assert_eq!(config.storage.reserve, 5);
    assert_eq!(config.server.listen_addr.to_string(), "127.0.0.1:1", "and a shell's PORT does nothing");
    assert_eq!(config.database.path, Path::new("/data/mcr.db"));
    let config = config_of(Options { listen: "127.0.0.1:2".parse().ok(), ..options() });
    assert_eq!(config.server.listen_addr.to_string(), "127.0.0.1:2");
}

#[test]
fn plain_http_has_no_certificate_even_if_the_environment_names_one() {
    let options = Options { plain_http: true, ..options() };
    let config = config(&options, &[("MCR_SERVER_TLS_CERT", "/c"), ("MCR_SERVER_TLS_KEY", "/k")]);
    assert!(config.server.plain_http && config.server.tls_key.is_none());
}

#[test]
fn a_relative_directory_starts_at_the_working_directory() {
    let layout = Layout::of(Path::new("./srv")).unwrap();
    assert!(layout.database.is_absolute() && layout.database.ends_with("srv/mcr.db"));
}
