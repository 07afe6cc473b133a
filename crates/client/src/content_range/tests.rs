//! Tests of `Content-Range`.

use super::*;

#[test]
fn what_registries_send_is_read() {
    let part = |first, last, total| Some(ContentRange::Part { first, last, total });
    assert_eq!(parse("bytes 9-9/10"), part(9, 9, Some(10)));
    assert_eq!(parse("Bytes 0-0/*"), part(0, 0, None));
    assert_eq!(parse("bytes */400"), Some(ContentRange::Unsatisfied { total: 400 }));
}

#[test]
fn nonsense_is_none() {
    let nonsense = [
        "",
        "bytes",
        "bytes 1",
        "bytes 1-2",
        "bytes 2-1/5",
        "bytes 0-5/5",
        "bytes -1-2/5",
        "bytes +1-2/5",
        "items 0-1/5",
        "bytes */*",
        "bytes 0-1/x",
        "bytes 0-99999999999999999999/*",
    ];
    for text in nonsense {
        assert_eq!(parse(text), None, "{text}");
    }
}
