//! Tests of foreign text in messages.

use super::*;

#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Layer {
    text: &'static str,
    source: Option<Box<Layer>>,
}

fn layers(texts: &[&'static str]) -> Option<Box<Layer>> {
    let (text, rest) = texts.split_first()?;
    Some(Box::new(Layer { text, source: layers(rest) }))
}

#[test]
fn foreign_text_is_one_short_line() {
    assert_eq!(line(" a\r\nb\u{1b}[2J\u{202e}c "), "a  b [2J c");
    let long = line(&"é".repeat(1_000));
    assert!(long.len() <= LINE_MAX + '…'.len_utf8(), "{}", long.len());
    assert!(long.ends_with('…'));
}

#[test]
fn the_inner_cause_is_told() {
    let error = layers(&["error sending request", "client error (Connect)", "tcp connect error", "Connection refused"]);
    assert_eq!(causes(&*error.unwrap()), "tcp connect error: Connection refused");
    let error = layers(&["outer", "reset by peer (os error 104)", "reset by peer"]);
    assert_eq!(causes(&*error.unwrap()), "reset by peer");
    assert_eq!(causes(&*layers(&["alone"]).unwrap()), "alone");
}
