//! What a stranger chooses and we write down: names, paths, headers. A line of the log stays one record, and a row of
//! the audit holds no control characters.

use mcr_tests::accounts::{ADMIN, Mode, Registry, Setup, USER};
use mcr_tests::{Client, clock};

/// What somebody puts where a name belongs.
const EVIL: [&str; 9] = [
    "eve\n2026-11-21T00:00:00Z  INFO mcr: forged line, forged=true",
    "eve\r\nforged=true",
    "eve\u{1b}[2J\u{1b}[31mforged",
    "eve\",\"forged\":\"true",
    "{\"forged\":true}",
    "eve\u{2028}forged\u{85}line",
    "eve\u{202e}forged",
    "eve\0forged",
    "eve\tforged forged=true",
];

fn basic(name: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}")))
}

fn attack(registry: &Registry, client: &Client) {
    for name in EVIL.iter().copied().chain([&*"e".repeat(5000)]) {
        let ask = client.request("GET", "/v2/").header("Authorization", &basic(name, "secret-of-eve-123"));
        let status = ask.call().status;
        assert!(matches!(status, 400 | 401 | 429 | 431), "{name:?}: {status}");
        let body = serde_json::json!({"username": name, "password": "secret-of-eve-123"}).to_string();
        let post = client.request("POST", "/v1/auth/login").header("Content-Type", "application/json");
        let status = post.body(body.as_bytes()).call().status;
        assert!(matches!(status, 400 | 401 | 429), "{name:?}: {status}");
    }
    registry.is_secret("secret-of-eve-123");
    let admin = registry.admin();
    for path in [
        "/v2/a%0aforged%20line/manifests/v1",
        "/v2/a%0d%0aforged/tags/list",
        "/v2/%1b[2Jforged/manifests/v1",
        "/v2/a/manifests/%0aforged",
        "/v2/%e2%80%a8forged/manifests/v1",
        "/v2/a\"forged\"/tags/list",
        "/v2/_catalog?last=%0aforged",
        "/v2/token?service=%0aforged&scope=repository:%0aforged:pull&account=%0aforged",
    ] {
        for client in [client, &admin] {
            let ask = client.request("GET", path).header("User-Agent", "eve\u{1b}[31m forged=true \"level\":\"x\"");
            let ask = ask.header("X-Request-Id", "forged\" level=error");
            if let Ok(answer) = ask.send() {
                assert!(answer.status < 500, "{path}: {}", answer.status);
            }
        }
    }
    // A credential where none belongs.
    let password = registry.password(USER);
    for path in [format!("/v2/?password={password}"), format!("/v2/token?password={password}&username={USER}")] {
        let _ = client.get(&path);
    }
}

fn begins_a_record(line: &str) -> bool {
    let mut start = line.chars().take(11);
    let year = start.by_ref().take(4).all(|letter| letter.is_ascii_digit());
    year && start.next() == Some('-') && line.contains('T')
}

#[test]
fn a_line_of_the_log_is_one_record() {
    for format in ["text", "json"] {
        let setup = Setup::default().set("log", &format!("format = \"{format}\"\nlevel = \"debug\""));
        let registry = Registry::with(Mode::Htpasswd, &setup);
        attack(&registry, &registry.nobody());
        clock::wait_until("the refusals are logged", || registry.server().log().contains("forged"));
        let log = registry.server().log();
        for line in log.lines() {
            if format == "json" {
                let record: serde_json::Value =
                    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
                assert!(record.get("forged").is_none(), "{line}");
                assert!(record.get("level").is_some(), "{line}");
            } else {
                assert!(begins_a_record(line), "not the begin of a record: {line:?}");
            }
            // DEL, C0 and C1 control characters, and what turns the direction of text round.
            let strange = |letter: char| letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202e}');
            assert!(!line.chars().any(strange), "{line:?}");
        }
        registry.assert_nothing_secret_logged();
    }
}

#[test]
fn a_row_of_the_audit_holds_what_was_said_and_no_control_characters() {
    for mode in Mode::ALL {
        let registry = Registry::with(mode, &Setup::default());
        attack(&registry, &registry.nobody());
        clock::wait_until("the refusals are written", || !registry.events("login_failed").is_empty());
        let answer = registry.admin().get("/v1/audit?n=1000").expect(200);
        let text = answer.text();
        let events = answer.json()["events"].as_array().cloned().unwrap();
        assert!(events.iter().any(|event| event["event"] == "login_failed"), "{text}");
        for event in &events {
            for (key, value) in event.as_object().unwrap() {
                let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                assert!(!written.chars().any(char::is_control), "{key}: {written:?}");
                assert!(written.len() < 4096, "{key} is bounded: {} bytes", written.len());
            }
        }
        assert!(!text.contains("secret-of-eve-123"), "a password stands in the audit");
        let export = registry.admin().get("/v1/audit/export?format=csv").expect(200).text();
        for line in export.lines() {
            // A sheet takes what begins so for a formula.
            let cells = line.split(',').map(|cell| cell.trim_matches('"'));
            let formula = |cell: &str| cell.starts_with(['=', '@']) || cell.starts_with("+cmd");
            assert!(!cells.clone().any(formula), "{line}");
        }
        registry.assert_audit_sound();
        registry.assert_nothing_secret_logged();
        let _ = registry.account(ADMIN).get("/v2/").expect(200);
    }
}
