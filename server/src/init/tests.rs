//! Tests of a first configuration.

use std::os::unix::fs::MetadataExt as _;

use super::*;

fn request(config: PathBuf) -> Request {
    Request { config, auth: "none".to_owned(), admin: None, from_dev: None }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o777
}

#[test]
fn what_is_written_is_a_good_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("srv/mcr");
    let config = home.join("mcr.toml");
    run(&request(config.clone())).unwrap();
    for (path, expected) in [
        ("mcr.toml", 0o640),
        ("", 0o700),
        ("layers", 0o700),
        ("uploads", 0o700),
        ("certs", 0o700),
        ("certs/key.pem", 0o600),
        ("mcr.db", 0o600),
    ] {
        assert_eq!(mode(&home.join(path)), expected, "{path}");
    }
    let loaded = config::load(Sources::of_files(vec![config], Environment::default())).unwrap();
    assert!(config::is_loopback(&loaded.config.server.listen_addr));
    assert_eq!(loaded.config.database.path, home.join("mcr.db"));
    assert!(!loaded.config.server.plain_http);
}

#[test]
fn run_again_it_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("mcr.toml");
    run(&request(config.clone())).unwrap();
    let signatures = || {
        ["mcr.toml", "certs/cert.pem", "certs/key.pem"].map(|name| files::signature(&dir.path().join(name)).unwrap())
    };
    let before = signatures();
    run(&request(config.clone())).unwrap();
    assert_eq!(signatures(), before);
    files::replace(&config, b"[serve]\n", 0o640).unwrap();
    let failure = run(&request(config.clone())).unwrap_err();
    assert!(failure.lines[0].contains("did you mean [server]?"), "{:?}", failure.lines);
    assert_eq!(files::read_text(&config, 99).unwrap(), "[serve]\n");
}

#[test]
fn accounts_are_refused_until_there_are_some() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("new/mcr.toml");
    for auth in ["htpasswd", "mcias"] {
        let failure = run(&Request { auth: auth.to_owned(), ..request(config.clone()) }).unwrap_err();
        assert_eq!(failure.code, 1);
        assert!(failure.lines[0].contains("this version does not have yet"), "{:?}", failure.lines);
    }
    let failure = run(&Request { admin: Some("ann".to_owned()), ..request(config.clone()) }).unwrap_err();
    assert!(failure.lines[0].starts_with("--admin needs accounts"), "{:?}", failure.lines);
    assert!(!dir.path().join("new").exists());
}

#[test]
fn an_operators_certificate_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("certs/cert.pem"), dir.path().join("certs/key.pem"));
    let ended = Clock::fixed(1_500_000_000_000);
    dev::ensure_certificate(&cert, &key, None, &ended).unwrap();
    let before = [&cert, &key].map(|path| files::signature(path).unwrap());
    run(&request(dir.path().join("mcr.toml"))).unwrap();
    assert_eq!([&cert, &key].map(|path| files::signature(path).unwrap()), before);
    rustix::fs::unlink(&cert).unwrap();
    let failure = run(&request(dir.path().join("other.toml"))).unwrap_err();
    assert!(failure.lines[0].contains("cert.pem: cannot be read"), "{:?}", failure.lines);
    assert!(!dir.path().join("other.toml").exists());
}

#[test]
fn a_database_that_is_not_ours_or_in_use_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("mcr.toml");
    let held = DataLock::acquire("mcrsrv server", &dir.path().join("mcr.db"), &dir.path().join("layers")).unwrap();
    let failure = run(&request(config.clone())).unwrap_err();
    assert!(failure.lines[0].contains("is in use by mcrsrv server"), "{:?}", failure.lines);
    drop(held);
    files::replace(&dir.path().join("mcr.db"), b"something else", 0o600).unwrap();
    let failure = run(&request(config.clone())).unwrap_err();
    assert!(failure.lines[0].contains("mcr.db"), "{:?}", failure.lines);
    assert_eq!(files::read_text(&dir.path().join("mcr.db"), 99).unwrap(), "something else");
    assert!(!config.exists());
}

#[test]
fn a_development_registry_is_taken_over_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("srv");
    let config = dir.path().join("etc/mcr.toml");
    let asked = Request { from_dev: Some(data.clone()), ..request(config.clone()) };
    let failure = run(&asked).unwrap_err();
    assert!(failure.lines[0].contains("holds no mcr.db"), "{:?}", failure.lines);
    assert!(!data.exists() && !config.exists());
    files::create_private_dir(&data).unwrap();
    files::replace(&data.join("mcr.db"), b"", 0o600).unwrap();
    run(&asked).unwrap();
    let loaded = config::load(Sources::of_files(vec![config], Environment::default())).unwrap().config;
    assert_eq!(loaded.database.path, data.join("mcr.db"));
    assert_eq!(loaded.storage.layers_path, data.join("layers"));
    assert_eq!(loaded.server.tls_cert, Some(data.join("tls/cert.pem")));
}
