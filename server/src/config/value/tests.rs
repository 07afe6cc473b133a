//! Tests of reading and writing values.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Raw {
    Raw::Text(text.to_owned())
}

#[test]
fn durations_are_numbers_with_units() {
    let cases = [
        ("30s", 30_000),
        ("24h", 86_400_000),
        ("7d", 604_800_000),
        ("500ms", 500),
        ("1h30m", 5_400_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("0", 0),
        ("0s", 0),
    ];
    for (written, ms) in cases {
        assert_eq!(duration(written), Some(Duration::from_millis(ms)), "{written}");
    }
    for bad in
        ["", "30", "s", "-1s", "1.5h", "1m1h", "1s1s", "1 s", "99999999999d", "18446744073709551615d", "1w", "٣s"]
    {
        assert_eq!(duration(bad), None, "{bad}");
    }
}

#[test]
fn sizes_are_numbers_with_units() {
    let cases = [("1GiB", 1 << 30), ("50MB", 50_000_000), ("0", 0), ("17", 17), ("4 KiB", 4096), ("3B", 3)];
    for (written, bytes) in cases {
        assert_eq!(size(written), Some(bytes), "{written}");
    }
    for bad in ["", "GiB", "1gib", "1.5GiB", "-1", "1  GiB", "16777216TiB", "99999999999999999999"] {
        assert_eq!(size(bad), None, "{bad}");
    }
}

#[test]
fn a_bare_port_means_all_addresses() {
    let all = address(":8443").unwrap();
    assert!(all.ip().is_unspecified());
    assert_eq!(all.port(), 8443);
    assert_eq!(address("127.0.0.1:1"), Some("127.0.0.1:1".parse().unwrap()));
    assert_eq!(address("[::1]:1"), Some("[::1]:1".parse().unwrap()));
    for bad in ["", ":", "8443", "localhost:1", ":99999", "127.0.0.1"] {
        assert_eq!(address(bad), None, "{bad}");
    }
}

#[test]
fn only_what_the_kind_says_is_accepted() {
    let at_least = Kind::Duration { min: Duration::from_secs(10), max: None, zero: false };
    let or_zero = Kind::Duration { min: Duration::from_secs(10), max: None, zero: true };
    assert!(read(at_least, &text("10s")).is_ok());
    assert!(read(at_least, &text("9s")).is_err());
    assert!(read(at_least, &Raw::Integer(0)).is_err());
    assert_eq!(read(or_zero, &Raw::Integer(0)), Ok(Value::Duration(Duration::ZERO)));
    assert!(read(or_zero, &Raw::Integer(30)).is_err(), "a number without a unit is ambiguous");
    assert_eq!(read(Kind::Flag, &Raw::Flag(true)), Ok(Value::Flag(true)));
    assert_eq!(read(Kind::Flag, &Raw::Bare("false".to_owned())), Ok(Value::Flag(false)));
    assert!(read(Kind::Flag, &text("true")).is_err(), "a file has true without quotes");
    assert_eq!(read(Kind::Size, &Raw::Integer(5)), Ok(Value::Size(5)));
    assert!(read(Kind::Size, &Raw::Integer(-5)).is_err());
    assert!(read(Kind::Path, &text("")).is_err());
}

#[test]
fn globs_are_what_repository_names_can_match() {
    let list = |items: &[&str]| Raw::List(items.iter().map(|item| text(item)).collect());
    assert!(read(Kind::Globs, &list(&["infra/**", "a-b_c.d/*"])).is_ok());
    assert!(read(Kind::Globs, &list(&[])).is_err());
    assert!(read(Kind::Globs, &list(&["Upper"])).is_err());
    assert!(read(Kind::Globs, &list(&[""])).is_err());
    assert_eq!(read(Kind::Globs, &text("infra/**")), read(Kind::Globs, &list(&["infra/**"])));
    assert!(read(Kind::Globs, &text("Upper")).is_err());
    assert!(read(Kind::Globs, &Raw::Integer(1)).is_err());
}

#[test]
fn patterns_are_regular_expressions() {
    assert_eq!(read(Kind::Pattern, &text("v[0-9.]+|\\d+")), Ok(Value::Text("v[0-9.]+|\\d+".to_owned())));
    let message = read(Kind::Pattern, &text("v(")).unwrap_err();
    assert_eq!(message, "expected a regular expression such as \"v[0-9.]+\", found \"v(\": unclosed group");
    assert!(read(Kind::Pattern, &text("")).is_err());
    assert!(read(Kind::Pattern, &text("(a{1000}){1000}")).is_err(), "its size is bounded");
}

#[test]
fn messages_say_what_was_expected_and_found() {
    let message = read(Kind::Choice(&["1.3", "1.2"]), &text("1.1")).unwrap_err();
    assert_eq!(message, "expected \"1.3\" or \"1.2\", found \"1.1\"");
    let message = read(Kind::Flag, &Raw::Integer(1)).unwrap_err();
    assert_eq!(message, "expected true or false, found the number 1");
}

#[test]
fn relative_paths_become_absolute() {
    let Ok(Value::Path(path)) = read(Kind::Path, &text("data/mcr.db")) else { panic!("a path") };
    assert!(path.is_absolute() && path.ends_with("data/mcr.db"));
}

proptest! {
    #[test]
    fn a_written_duration_reads_back(ms in 0_u64..=3_153_600_000_000) {
        let length = Duration::from_millis(ms);
        prop_assert_eq!(duration(&write_duration(length)), Some(length));
    }

    #[test]
    fn a_written_size_reads_back(bytes: u64) {
        prop_assert_eq!(size(&write_size(bytes)), Some(bytes));
    }

    #[test]
    fn quoted_text_reads_back(text: String) {
        let document = format!("key = {}", quoted(&text));
        let table: toml::Table = document.parse().unwrap();
        prop_assert_eq!(table["key"].as_str(), Some(text.as_str()));
    }

    #[test]
    fn nothing_written_panics(text in "\\PC*") {
        let raw = Raw::Bare(text);
        for key in crate::config::table::KEYS {
            let _ = read(key.kind, &raw);
        }
    }
}
