//! Tests of the form of log lines.

use std::io::Write;
use std::sync::{Arc, Mutex};

use super::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(format: LogFormat, level: &str, log: impl FnOnce()) -> String {
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::registry().with(targets(level)).with(layer(format, move || writer.clone()));
    tracing::subscriber::with_default(subscriber, log);
    String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
}

const EVIL: &str = "x\n2026-01-01T00:00:00Z ERROR forged\r\x1b[2J\u{9b}31m\u{202e}\u{2028}";

#[test]
fn a_text_line_has_time_level_span_message_and_fields() {
    let line = logged(LogFormat::Text, "info", || {
        let span = tracing::info_span!(target: "mcr_test", "request", id = "abc");
        let _entered = span.enter();
        tracing::info!(target: "mcr_test", status = 200, route = "a b", size = ?Some(1), "pushed {}", "it");
    });
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.ends_with('Z') && time.len() == 24, "{time}");
    assert_eq!(rest, "INFO  request{id=abc}: pushed it status=200 route=\"a b\" size=Some(1)\n");
}

#[test]
fn no_value_can_forge_a_line() {
    let log = || {
        let span = tracing::info_span!(target: "mcr_test", "request", path = %EVIL);
        let _entered = span.enter();
        tracing::warn!(target: "mcr_test", text = EVIL, display = %EVIL, debug = ?EVIL, "message {EVIL}");
    };
    for format in [LogFormat::Text, LogFormat::Json] {
        let out = logged(format, "info", log);
        assert_eq!(out.matches('\n').count(), 1, "{out:?}");
        let controls = out.trim_end_matches('\n').chars().filter(char::is_ascii_control).count();
        assert_eq!(controls, 0, "{out:?}");
    }
    let out = logged(LogFormat::Text, "info", log);
    assert!(!out.contains(['\u{9b}', '\u{202e}', '\u{2028}']), "{out:?}");
}

#[test]
fn a_json_line_is_one_object() {
    let line = logged(LogFormat::Json, "info", || {
        let span = tracing::info_span!(target: "mcr_test", "request", id = "abc");
        let _entered = span.enter();
        tracing::info!(target: "mcr_test", status = 200, text = EVIL, "pushed");
    });
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(object["message"], "pushed");
    assert_eq!(object["status"], 200);
    assert_eq!(object["text"], EVIL);
    assert_eq!(object["level"], "INFO");
    assert_eq!(object["span"]["id"], "abc");
    assert!(object["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn libraries_are_quieter_than_this_project() {
    let log = || {
        tracing::debug!(target: "mcr_server::serve", "ours");
        tracing::debug!(target: "h2::proto", "theirs");
        tracing::warn!(target: "h2::proto", "their warning");
    };
    let lines = |level| logged(LogFormat::Text, level, log).lines().count();
    assert_eq!(["trace", "debug", "info", "warn", "error", "off", "nonsense"].map(lines), [2, 2, 1, 1, 0, 0, 1]);
}
