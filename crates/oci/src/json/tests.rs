//! Tests of reading JSON: depth, and keys that some clients would take for others.

use super::*;

#[test]
fn depth_counts_brackets_outside_of_texts() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(is_shallow(&nested(DEPTH_MAX)));
    assert!(!is_shallow(&nested(DEPTH_MAX + 1)));
    assert!(!is_shallow(&"{\"a\":".repeat(DEPTH_MAX + 1)));
    assert!(is_shallow(&format!("\"{}\"", "[".repeat(DEPTH_MAX + 1))));
    assert!(is_shallow(&format!("\"\\\"{}\"", "[".repeat(DEPTH_MAX + 1))));
    assert!(!is_shallow(&format!("\"\\\\\"{}", "[".repeat(DEPTH_MAX + 1))));
    assert!(is_shallow(&"[],{},".repeat(1_000)));
}

#[test]
fn serde_json_reads_as_deep_as_is_let_through() {
    let deepest = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    assert!(serde_json::from_str::<serde_json::Value>(&deepest).is_ok());
}

#[test]
fn keys_are_alike_as_go_folds_them() {
    for key in ["layers", "Layers", "LAYERS", "layer\u{17f}"] {
        assert!(looks_like(key, "layers"), "{key}");
    }
    assert!(looks_like("\u{212a}ey", "key"));
    for key in ["layer", "layerss", "layers ", "läyers", ""] {
        assert!(!looks_like(key, "layers"), "{key}");
    }
}
