//! Pieces of a server's documents as words for a table; never a document's meaning.

use indicatif::BinaryBytes;
use serde_json::Value;

/// What stands where there is nothing.
pub(crate) const NOTHING: &str = "-";

/// A value as one cell: a text, a number, a list joined by commas.
pub(crate) fn cell(document: &Value, key: &str) -> String {
    match document.get(key) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Array(list)) if !list.is_empty() => {
            let words: Vec<String> = list.iter().map(word).collect();
            words.join(",")
        }
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => NOTHING.to_owned(),
    }
}

/// A number of bytes, in the unit that a reader wants.
pub(crate) fn bytes(document: &Value, key: &str) -> String {
    document.get(key).and_then(Value::as_u64).map_or_else(|| NOTHING.to_owned(), |size| BinaryBytes(size).to_string())
}

/// A time to the second: `2026-11-21T16:00:00Z`.
pub(crate) fn time(document: &Value, key: &str) -> String {
    let text = cell(document, key);
    match text.split_once('.') {
        Some((seconds, fraction)) if fraction.ends_with('Z') => format!("{seconds}Z"),
        _ => text,
    }
}

/// The entries of a list.
pub(crate) fn entries<'a>(document: &'a Value, list: &str) -> &'a [Value] {
    document.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// `1 tag`, `3 tags`.
pub(crate) fn count(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_become_words() {
        let document = json!({"a": "x", "b": ["p", 2], "c": 7, "d": null, "e": [], "f": true, "g": "",
            "at": "2026-11-21T16:00:00.123Z", "size": 1536, "day": "2026-11-21"});
        let cells: Vec<String> = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|key| cell(&document, key)).to_vec();
        assert_eq!(cells, ["x", "p,2", "7", "-", "-", "true", "-", "-"]);
        assert_eq!(time(&document, "at"), "2026-11-21T16:00:00Z");
        assert_eq!(time(&document, "day"), "2026-11-21");
        assert_eq!(bytes(&document, "size"), "1.50 KiB");
        assert_eq!(bytes(&document, "a"), "-");
    }
}
