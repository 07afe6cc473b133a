//! Tests of a first configuration.

use std::os::unix::fs::MetadataExt as _;

use super::*;

fn request(config: PathBuf) -> Request {
    Request { config, auth: AuthMode::None, admin: None, mcias_url: None, from_dev: None, password: None }
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
        ("token-keys.json", 0o600),
        ("audit-key.pem", 0o600),
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

fn load(config: &Path) -> config::Config {
    config::load(Sources::of_files(vec![config.to_owned()], Environment::default())).unwrap().config
}

#[test]
fn a_password_file_has_the_first_admin() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("mcr.toml");
    let password = Some("not a secret".to_owned());
    let asked =
        Request { auth: AuthMode::Htpasswd, admin: Some("ann".to_owned()), password, ..request(config.clone()) };
    run(&asked).unwrap();
    let file = dir.path().join("htpasswd");
    assert_eq!(mode(&file), 0o600);
    let before = files::read_text(&file, 999).unwrap();
    let (name, hash) = before.trim_end().split_once(':').unwrap();
    assert!(name == "ann" && bcrypt::verify("not a secret", hash).unwrap(), "{before}");
    let loaded = load(&config);
    assert_eq!((loaded.auth.mode, loaded.auth.admins.as_slice()), (AuthMode::Htpasswd, ["ann".to_owned()].as_slice()));
    assert_eq!(loaded.auth.htpasswd_file, Some(file.clone()));
    assert!(!format!("{asked:?}").contains("secret"));
    run(&asked).unwrap();
    assert_eq!(files::read_text(&file, 999).unwrap(), before, "run again it changes nothing");
    // The configuration is gone, the accounts are not: they stay, and must have the admin.
    rustix::fs::unlink(&config).unwrap();
    run(&asked).unwrap();
    assert_eq!(files::read_text(&file, 999).unwrap(), before);
    rustix::fs::unlink(&config).unwrap();
    let failure = run(&Request { admin: Some("bob".to_owned()), ..asked }).unwrap_err();
    assert!(failure.lines[0].contains("has no account bob; add it with: htpasswd -B"), "{:?}", failure.lines);
    assert!(!config.exists());
}

#[test]
fn a_password_is_drawn_where_none_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("htpasswd");
    let password = account::make(&file, "admin", None).unwrap().unwrap();
    let text = files::read_text(&file, 999).unwrap();
    let hash = text.trim_end().strip_prefix("admin:").unwrap();
    assert!(password.len() == 40 && bcrypt::verify(&password, hash).unwrap());
    assert_eq!(account::make(&file, "admin", None).unwrap(), None, "shown once");
    for bad in ["", &"x".repeat(73)] {
        assert!(account::make(&dir.path().join("other"), "admin", Some(bad)).is_err());
    }
    for bad in ["", "a:b", "a b", "*", "a\nb", "mcr-probe"] {
        assert!(account::checked(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn an_identity_service_is_named_or_to_be_filled_in() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("mcr.toml");
    let asked = Request { auth: AuthMode::Mcias, ..request(config.clone()) };
    run(&asked).unwrap();
    assert_eq!(load(&config).mcias.server_url.as_deref(), Some(MCIAS_URL));
    run(&asked).unwrap();
    let other = dir.path().join("other/mcr.toml");
    let url = Some("https://id.example/x".to_owned());
    run(&Request { mcias_url: url, config: other.clone(), ..asked.clone() }).unwrap();
    assert_eq!(load(&other).mcias.server_url.as_deref(), Some("https://id.example/x"));
    assert!(!dir.path().join("other/htpasswd").exists());
    let plain = Some("http://id.example".to_owned());
    let failure = run(&Request { mcias_url: plain, config: dir.path().join("x/y"), ..asked }).unwrap_err();
    assert!(failure.lines[0].contains("expected an https URL"), "{:?}", failure.lines);
}

#[test]
fn what_does_not_go_together_is_refused_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("new/mcr.toml");
    let ann = Some("ann".to_owned());
    for (auth, admin, mcias_url, said) in [
        (AuthMode::None, ann.clone(), None, "--admin needs accounts"),
        (AuthMode::Mcias, ann, None, "the role admin"),
        (AuthMode::Htpasswd, None, Some(MCIAS_URL.to_owned()), "--mcias-url is for --auth mcias"),
    ] {
        let failure = run(&Request { auth, admin, mcias_url, ..request(config.clone()) }).unwrap_err();
        assert!(failure.code == 1 && failure.lines[0].contains(said), "{:?}", failure.lines);
    }
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
