//! Tests of a whole configuration: layers, every key's way into it, what is refused.

use std::path::Path;

use super::*;

mod access;

struct Site {
    dir: tempfile::TempDir,
    files: Vec<PathBuf>,
}

impl Site {
    fn new(files: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let files = files
            .iter()
            .enumerate()
            .map(|(number, text)| {
                let path = dir.path().join(format!("{number}.toml"));
                files::replace(&path, text.as_bytes(), 0o600).unwrap();
                path
            })
            .collect();
        Self { dir, files }
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
        load(Sources::of_files(self.files.clone(), Environment::of(variables)))
    }

    /// Problems without the temporary directory's name.
    fn problems(&self, variables: &[(&str, &str)]) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        let problems = self.load(variables).unwrap_err();
        problems.0.iter().map(|problem| problem.to_string().replace(&dir, "")).collect()
    }
}

const BASE: &str = "[server]\nlisten_addr = \"127.0.0.1:8443\"\n[database]\npath = \"/d/mcr.db\"\n[storage]\nlayers_path = \"/d/layers\"\n[auth]\nmode = \"none\"\n";

#[test]
fn defaults_are_those_of_the_contract() {
    let config = Site::new(&[BASE]).load(&[]).unwrap().config;
    let server = &config.server;
    assert_eq!(server.read_timeout, Duration::from_secs(30));
    assert_eq!(server.write_timeout, Duration::ZERO);
    assert_eq!(server.idle_timeout, Duration::from_secs(120));
    assert_eq!(server.shutdown_timeout, Duration::from_secs(60));
    assert_eq!(server.min_tls, MinTls::V1_3);
    assert!(server.plain_http && !server.read_only && !server.behind_tls_proxy);
    assert_eq!(server.grpc_addr, None);
    assert_eq!(config.storage.uploads_path, Path::new("/d/uploads"));
    assert_eq!(config.storage.reserve, 1 << 30);
    assert_eq!(config.storage.upload_ttl, Duration::from_secs(7 * 24 * 3600));
    assert_eq!(config.integrity.verify_on_read, VerifyOnRead::Stale);
    assert_eq!(config.integrity.fresh_for, Duration::from_secs(3600));
    assert_eq!(config.integrity.broken_index, BrokenIndex::Serve);
    assert_eq!(config.integrity.quarantine_keep, Duration::from_secs(30 * 24 * 3600));
    assert_eq!(config.probe.schedule.as_deref(), Some("*/15 * * * *"));
    assert_eq!(config.probe.level, Level::Tail);
    assert_eq!(config.gc.grace, Duration::from_secs(24 * 3600));
    assert_eq!(config.gc.lease, Duration::from_secs(3600));
    assert_eq!(config.gc.undo, Duration::from_secs(7 * 24 * 3600));
    assert_eq!((config.gc.schedule.as_deref(), config.gc.max_delete_percent), (Some("30 3 * * *"), 10));
    assert_eq!(config.scrub, Scrub { rate: 50 << 20, full_pass: Duration::from_secs(30 * 24 * 3600) });
    let hold = Duration::from_secs(48 * 3600);
    assert_eq!(config.backup, Backup { schedule: None, keep: 14, hold, blobs: None });
    assert_eq!(config.retention, []);
    assert_eq!((config.log.level.as_str(), config.log.format), ("info", LogFormat::Text));
}

const EVERYTHING: &str = r#"
[server]
listen_addr = "127.0.0.2:1"
grpc_addr = "127.0.0.2:2"
tls_cert = "/c.pem"
tls_key = "/k.pem"
min_tls = "1.2"
behind_tls_proxy = true
external_url = ["https://Reg.example:8443/", "http://b"]
trusted_proxies = ["10.1.2.3/8"]
proxy_protocol = "required"
read_timeout = "1s"
write_timeout = "2s"
idle_timeout = "3s"
shutdown_timeout = "4s"
read_only = true
timezone = "Europe/Vienna"
[database]
path = "/x/y.db"
allow_network_filesystem = true
[storage]
layers_path = "/x/l"
uploads_path = "/x/u"
reserve = "5B"
upload_ttl = "61s"
[auth]
mode = "htpasswd"
htpasswd_file = "/x/h"
admins = ["ann", "root-*"]
guests = "eve"
system = ["ci-*"]
token_ttl = "61s"
[mcias]
server_url = "https://id.example/"
ca_cert = "/x/ca"
service_name = "reg"
tags = ["env:a"]
[policy]
user_default = ["registry:pull"]
[audit]
keep = "90d"
[integrity]
verify_on_read = "always"
fresh_for = "7s"
broken_index = "hide"
quarantine_keep = "8s"
[[integrity.rule]]
repositories = ["a/*"]
commit = "sparse"
immutable_tags = "v.*"
[probe]
schedule = "30 1 * * * *"
level = "full"
[scrub]
rate = "12KiB/s"
full_pass = "13s"
[gc]
schedule = "5 4 * * *"
max_delete_percent = 14
grace = "9s"
lease = "10s"
undo = "11s"
[[retention.rule]]
repositories = ["b/**"]
keep_last = 15
keep_within = "16s"
keep_pulled_within = "17s"
keep_tags = "v.*"
delete_untagged_after = "18s"
[backup]
schedule = "0 2 * * *"
keep = 19
hold = "20s"
blobs = "/x/b"
[metrics]
listen_addr = "127.0.0.2:3"
[log]
level = "trace"
format = "json"
"#;

#[test]
fn every_key_finds_its_place() {
    let site = Site::new(&[EVERYTHING]);
    let loaded = site.load(&[]).unwrap();
    for key in table::KEYS {
        let origin = loaded.settings.origin(key.full);
        assert!(matches!(origin, Origin::File { .. }), "{} is not in EVERYTHING", key.full);
    }
    let seconds = Duration::from_secs;
    let expected = Config {
        server: Server {
            listen_addr: "127.0.0.2:1".parse().unwrap(),
            grpc_addr: "127.0.0.2:2".parse().ok(),
            tls_cert: Some("/c.pem".into()),
            tls_key: Some("/k.pem".into()),
            min_tls: MinTls::V1_2,
            behind_tls_proxy: true,
            plain_http: false,
            external_url: vec!["https://reg.example:8443".to_owned(), "http://b".to_owned()],
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            proxy_protocol: ProxyProtocol::Required,
            read_timeout: seconds(1),
            write_timeout: seconds(2),
            idle_timeout: seconds(3),
            shutdown_timeout: seconds(4),
            read_only: true,
            timezone: Zone::named("Europe/Vienna").unwrap(),
        },
        database: Database { path: "/x/y.db".into(), allow_network_filesystem: true },
        storage: Storage {
            layers_path: "/x/l".into(),
            uploads_path: "/x/u".into(),
            reserve: 5,
            upload_ttl: seconds(61),
        },
        auth: Auth {
            mode: AuthMode::Htpasswd,
            htpasswd_file: Some("/x/h".into()),
            admins: vec!["ann".to_owned(), "root-*".to_owned()],
            guests: vec!["eve".to_owned()],
            system: vec!["ci-*".to_owned()],
            token_ttl: seconds(61),
        },
        mcias: Mcias {
            server_url: Some("https://id.example".to_owned()),
            ca_cert: Some("/x/ca".into()),
            service_name: "reg".to_owned(),
            tags: vec!["env:a".to_owned()],
        },
        policy: Policy { user_default: vec![mcr_access::Kind::Pull] },
        audit: Audit { keep: seconds(90 * 24 * 3600) },
        integrity: Integrity {
            verify_on_read: VerifyOnRead::Always,
            fresh_for: seconds(7),
            broken_index: BrokenIndex::Hide,
            quarantine_keep: seconds(8),
            rules: vec![IntegrityRule {
                repositories: vec!["a/*".to_owned()],
                commit: Commit::Sparse,
                immutable_tags: Some("v.*".to_owned()),
            }],
        },
        probe: Probe { schedule: Some("30 1 * * * *".to_owned()), level: Level::Full },
        scrub: Scrub { rate: 12 << 10, full_pass: seconds(13) },
        gc: Gc {
            schedule: Some("5 4 * * *".to_owned()),
            max_delete_percent: 14,
            grace: seconds(9),
            lease: seconds(10),
            undo: seconds(11),
        },
        retention: vec![RetentionRule {
            repositories: vec!["b/**".to_owned()],
            keep_last: Some(15),
            keep_within: Some(seconds(16)),
            keep_pulled_within: Some(seconds(17)),
            keep_tags: Some("v.*".to_owned()),
            delete_untagged_after: Some(seconds(18)),
        }],
        backup: Backup {
            schedule: Some("0 2 * * *".to_owned()),
            keep: 19,
            hold: seconds(20),
            blobs: Some("/x/b".into()),
        },
        metrics: Metrics { listen_addr: "127.0.0.2:3".parse().ok() },
        log: Log { level: "trace".to_owned(), format: LogFormat::Json },
    };
    assert_eq!(loaded.config, expected);
}

#[test]
fn later_layers_win() {
    let first = format!(
        "{BASE}[gc]\nundo = \"1d\"\ngrace = \"1d\"\nlease = \"1d\"\n[[integrity.rule]]\nrepositories = [\"a\"]\n"
    );
    let second = "[gc]\ngrace = \"2d\"\nlease = \"2d\"\n";
    let site = Site::new(&[&first, second]);
    let loaded = site.load(&[("MCR_GC_LEASE", "3d")]).unwrap();
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    assert_eq!((loaded.config.gc.undo, loaded.config.gc.grace, loaded.config.gc.lease), (days(1), days(2), days(3)));
    assert_eq!(loaded.settings.origin("gc.lease").to_string(), "$MCR_GC_LEASE");
    assert!(loaded.settings.origin("gc.grace").to_string().ends_with("1.toml:2"));
    assert_eq!(loaded.settings.origin("server.read_timeout"), &Origin::Default);
    assert_eq!(loaded.config.integrity.rules.len(), 1, "a file without rules keeps those before it");
    let third = "[[integrity.rule]]\nrepositories = [\"b\"]\n";
    let loaded = Site::new(&[&first, third]).load(&[]).unwrap();
    assert_eq!(loaded.config.integrity.rules[0].repositories, ["b"]);
}

#[test]
fn an_empty_text_takes_an_optional_key_back() {
    let text = BASE.replace("[database]", "grpc_addr = \"127.0.0.1:1\"\ntls_cert = \"\"\n[database]");
    let site = Site::new(&[&text]);
    assert_eq!(site.load(&[("MCR_SERVER_GRPC_ADDR", "")]).unwrap().config.server.grpc_addr, None);
    let problems = site.problems(&[("MCR_DATABASE_PATH", "")]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("$MCR_DATABASE_PATH: [database] path: expected a path"), "{problems:?}");
}

#[test]
fn a_time_zone_has_a_name_of_the_database() {
    let site = Site::new(&[BASE]);
    assert_eq!(site.load(&[]).unwrap().config.server.timezone.name(), "UTC");
    let vienna = site.load(&[("MCR_SERVER_TIMEZONE", "Europe/Vienna")]).unwrap();
    assert_eq!(vienna.config.server.timezone.name(), "Europe/Vienna");
    assert_eq!(
        site.problems(&[("MCR_SERVER_TIMEZONE", "Vienna")]),
        [
            "$MCR_SERVER_TIMEZONE: [server] timezone: \"Vienna\" is no time zone; expected a name of the IANA database, such as \"UTC\" or \"Europe/Vienna\""
        ]
    );
}

#[test]
fn a_schedule_is_checked_when_it_is_read_and_may_be_off() {
    let site = Site::new(&[&format!("{BASE}[probe]\nschedule = \"*/5 * * * *\"\n")]);
    assert_eq!(site.load(&[]).unwrap().config.probe.schedule.as_deref(), Some("*/5 * * * *"));
    for off in ["off", "", "  "] {
        assert_eq!(site.load(&[("MCR_PROBE_SCHEDULE", off)]).unwrap().config.probe.schedule, None, "{off:?}");
    }
    for bad in ["* * * *", "61 * * * *", "* * * * * * *", "@daily", "0 0 30 2 *", "every day"] {
        let problems = site.problems(&[("MCR_PROBE_SCHEDULE", bad)]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        let start = format!("$MCR_PROBE_SCHEDULE: [probe] schedule: {bad:?} is no schedule: ");
        assert!(problems[0].starts_with(&start), "{problems:?}");
    }
    let problems = Site::new(&[&format!("{BASE}[probe]\nschedule = 15\nlevel = \"deep\"\n")]).problems(&[]);
    let expected = [
        "0.toml:10: [probe] schedule: expected a schedule such as \"*/15 * * * *\" (six fields: seconds first), or \"off\", found the number 15",
        "0.toml:11: [probe] level: expected \"head\", \"tail\" or \"full\", found \"deep\"",
    ];
    let problems: std::collections::BTreeSet<String> = problems.into_iter().collect();
    assert_eq!(problems.iter().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
}

#[test]
fn everything_missing_is_told_at_once() {
    let problems = Site::new(&["[log]\nlevel = \"loud\"\n"]).problems(&[]);
    assert_eq!(
        problems,
        [
            "0.toml:2: [log] level: expected \"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\", found \"loud\"",
            "[server] listen_addr: missing; set it, for example listen_addr = \"127.0.0.1:8443\"",
            "[database] path: missing; set it, for example path = \"/srv/mcr/mcr.db\"",
            "[storage] layers_path: missing; set it, for example layers_path = \"/srv/mcr/layers\"",
            "[auth] mode: missing; set it, for example mode = \"htpasswd\", or name an identity service with [mcias] server_url",
        ]
    );
}

#[test]
fn a_bad_value_is_not_also_missing() {
    let problems = Site::new(&[&BASE.replace("\"127.0.0.1:8443\"", "8443")]).problems(&[]);
    assert_eq!(
        problems,
        [
            "0.toml:2: [server] listen_addr: expected IP:PORT such as \"127.0.0.1:8443\", or \":8443\" for all addresses, found the number 8443"
        ]
    );
}

#[test]
fn without_logins_only_loopback_listens() {
    let tls = "tls_cert = \"/c.pem\"\ntls_key = \"/k.pem\"\n";
    for address in ["0.0.0.0:8443", "[::]:8443", "10.0.0.1:8443", ":8443"] {
        let text = BASE.replace("127.0.0.1:8443", address).replace("[database]", &format!("{tls}[database]"));
        let problems = Site::new(&[&text]).problems(&[]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("only loopback may listen"), "{problems:?}");
    }
    for address in ["127.0.0.9:8443", "[::1]:8443", "[::ffff:127.0.0.1]:8443"] {
        assert!(Site::new(&[&BASE.replace("127.0.0.1:8443", address)]).load(&[]).is_ok(), "{address}");
    }
    let problems = Site::new(&[BASE]).problems(&[("PORT", "8080")]);
    assert!(problems.iter().all(|problem| problem.starts_with("$PORT: [server] listen_addr: ")), "{problems:?}");
    let problems = Site::new(&[BASE]).problems(&[("PORT_GRPC", "8080")]);
    assert!(problems.iter().all(|problem| problem.starts_with("$PORT_GRPC: [server] grpc_addr: ")), "{problems:?}");
}

#[test]
fn plain_http_needs_loopback_or_a_proxy() {
    let text = format!("{BASE}[metrics]\nlisten_addr = \":9100\"\n");
    let site = Site::new(&[&text]);
    let problems = site.problems(&[]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("0.toml:10: [metrics] listen_addr: plain HTTP is served only on loopback"));
    assert!(site.load(&[("MCR_SERVER_BEHIND_TLS_PROXY", "true")]).is_ok());
    assert!(site.load(&[("MCR_SERVER_TLS_CERT", "/c"), ("MCR_SERVER_TLS_KEY", "/k")]).is_ok());
}

#[test]
fn certificate_and_key_come_together() {
    for (present, missing) in [("TLS_CERT", "tls_key"), ("TLS_KEY", "tls_cert")] {
        let problems = Site::new(&[BASE]).problems(&[(&format!("MCR_SERVER_{present}"), "/c.pem")]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(&format!("[server] {missing}: missing, while")), "{problems:?}");
    }
}

#[test]
fn directories_are_not_inside_each_other() {
    let cases =
        [("/d/layers/up", "/d/mcr.db"), ("/d", "/e/mcr.db"), ("/d/layers", "/e/mcr.db"), ("/d/u", "/d/u/mcr.db")];
    for (uploads, database) in cases {
        let site = Site::new(&[BASE]);
        let problems = site.load(&[("MCR_STORAGE_UPLOADS_PATH", uploads), ("MCR_DATABASE_PATH", database)]);
        assert!(problems.is_err(), "{uploads} {database}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_the_only_complaint() {
    let mut site = Site::new(&[]);
    site.files = vec![site.dir.path().join("none.toml")];
    let problems = site.problems(&[]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("cannot be read: No such file"), "{problems:?}");
    assert!(problems[0].contains("mcrsrv init --config"), "{problems:?}");
    site.files = vec![site.dir.path().to_owned()];
    assert!(site.problems(&[])[0].contains("cannot be read: is a directory"), "{:?}", site.problems(&[]));
}

#[test]
fn retention_rules_are_a_list_of_their_own() {
    let first = format!(
        "{BASE}[[retention.rule]]\nrepositories = [\"a\"]\n[[retention.rule]]\nrepositories = [\"**\"]\nkeep_last = 3\n"
    );
    let second = "[[integrity.rule]]\nrepositories = [\"b\"]\n";
    let loaded = Site::new(&[&first, second]).load(&[]).unwrap();
    let said: Vec<_> =
        loaded.config.retention.iter().map(|rule| (rule.repositories.concat(), rule.keep_last)).collect();
    assert_eq!(said, [("a".to_owned(), None), ("**".to_owned(), Some(3))]);
    assert_eq!(loaded.config.integrity.rules.len(), 1);
    for (key, found) in [
        ("keep_last = 0", "expected a whole number from 1 to 1000000, found the number 0"),
        ("keep_last = \"3\"", "expected a whole number from 1 to 1000000, found \"3\""),
        ("keep_within = \"0\"", "expected a duration such as \"30s\", \"24h\" or \"7d\", at least 1s, found \"0\""),
        ("delete_untagged_after = -1", "such as \"30s\", \"24h\" or \"7d\", found the number -1"),
        ("keep_tags = \"(\"", "unclosed group"),
        ("keep_lasts = 3", "unknown key; did you mean keep_last?"),
    ] {
        let text = format!("{BASE}[[retention.rule]]\nrepositories = [\"a\"]\n{key}\n");
        let problems = Site::new(&[&text]).problems(&[]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("0.toml:11: [[retention.rule]] "), "{problems:?}");
        assert!(problems[0].contains(found), "{problems:?}");
    }
    // As soon as no promise holds it.
    let text = format!("{BASE}[[retention.rule]]\nrepositories = \"a/**\"\ndelete_untagged_after = \"0s\"\n");
    let loaded = Site::new(&[&text]).load(&[]).unwrap();
    let rule = &loaded.config.retention[0];
    assert_eq!((rule.repositories.concat(), rule.delete_untagged_after), ("a/**".to_owned(), Some(Duration::ZERO)));
    let problems = Site::new(&[&format!("{BASE}[retention]\nkeep_last = 3\n")]).problems(&[]);
    assert_eq!(problems, ["0.toml:10: [retention] keep_last: unknown key here; it belongs under [[retention.rule]]"]);
}

#[test]
fn a_rule_says_which_repositories() {
    let problems = Site::new(&[&format!("{BASE}[[integrity.rule]]\ncommit = \"sparse\"\n")]).problems(&[]);
    assert_eq!(problems, ["0.toml:9: [[integrity.rule]] repositories: missing; set it"]);
}
