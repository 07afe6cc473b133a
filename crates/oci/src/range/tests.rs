//! Tests of ranges: every form by example, and random headers against the rules they must keep.

use proptest::prelude::*;

use super::*;

fn single(start: u64, end_inclusive: u64) -> RangeAnswer {
    RangeAnswer::Single { start, end_inclusive }
}

#[test]
fn one_range_is_answered_with_its_bytes() {
    for (header, expected) in [
        ("bytes=0-0", single(0, 0)),
        ("bytes=0-9", single(0, 9)),
        ("bytes=0-99", single(0, 9)),
        ("bytes=3-", single(3, 9)),
        ("bytes=9-9", single(9, 9)),
        ("bytes=-1", single(9, 9)),
        ("bytes=-10", single(0, 9)),
        ("bytes=-999", single(0, 9)),
        ("BYTES = 2-3 ", single(2, 3)),
        ("bytes=2-99999999999999999999999", single(2, 9)),
        ("bytes=-99999999999999999999999", single(0, 9)),
    ] {
        assert_eq!(parse_range(header, 10), expected, "{header}");
    }
}

#[test]
fn beyond_the_end_or_reversed_is_unsatisfiable() {
    for header in ["bytes=10-", "bytes=10-20", "bytes=5-4", "bytes=-0", "bytes=99999999999999999999999-"] {
        assert_eq!(parse_range(header, 10), RangeAnswer::Unsatisfiable, "{header}");
    }
    assert_eq!(parse_range("bytes=0-", 0), RangeAnswer::Unsatisfiable);
    assert_eq!(parse_range("bytes=0-0", 0), RangeAnswer::Unsatisfiable);
}

#[test]
fn what_is_not_understood_is_ignored() {
    for header in [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=0-1,3-4",
        "bytes=0-1,",
        "bytes=+1-2",
        "bytes=1--2",
        "bytes=--2",
        "bytes=1 - 2",
        "bytes=0x1-2",
        "lines=0-1",
        "bytes=0-1=",
        "0-1",
        "bytes=١-٢",
    ] {
        assert_eq!(parse_range(header, 10), RangeAnswer::Whole, "{header}");
    }
    assert_eq!(parse_range("bytes=-5", 0), RangeAnswer::Whole);
}

#[test]
fn upload_ranges_are_read_in_every_known_form() {
    for header in ["0-99", " 0-99 ", "bytes 0-99/*", "bytes 0-99/200", "bytes 0-99", "Bytes 0-99/100", "0-99/100"] {
        assert_eq!(parse_content_range(header), Ok((0, 99)), "{header}");
    }
    assert_eq!(parse_content_range("5-5"), Ok((5, 5)));
    assert_eq!(parse_content_range("0-9223372036854775807"), Ok((0, 9_223_372_036_854_775_807)));
}

#[test]
fn upload_ranges_that_cannot_be_are_refused() {
    assert_eq!(parse_content_range("9-8"), Err(ContentRangeError::Reversed { start: 9, end: 8 }));
    assert_eq!(parse_content_range("bytes 0-99/99"), Err(ContentRangeError::BeyondTotal { end: 99, total: 99 }));
    for header in [
        "",
        "-",
        "0",
        "0-",
        "-9",
        "a-b",
        "0-9-",
        "0--9",
        "bytes=0-9",
        "lines 0-9/*",
        "bytes */200",
        "bytes 0-9/",
        "bytes 0-9/x",
        "0-9223372036854775808",
        "0-99999999999999999999999",
        "+0-9",
        "0 - 9",
    ] {
        assert_eq!(parse_content_range(header), Err(ContentRangeError::Malformed), "{header}");
    }
    assert_eq!(ContentRangeError::Malformed.code(), crate::ErrorCode::BlobUploadInvalid);
}

proptest! {
    #[test]
    fn an_answer_lies_within_the_content(header in "bytes=[0-9]{0,20}-[0-9]{0,20}|\\PC*", len: u64) {
        if let RangeAnswer::Single { start, end_inclusive } = parse_range(&header, len) {
            prop_assert!(start <= end_inclusive && end_inclusive < len);
        }
    }

    #[test]
    fn a_range_within_the_content_is_answered_as_asked(len in 1_u64.., one: u64, two: u64) {
        let (start, end) = ((one % len).min(two % len), (one % len).max(two % len));
        prop_assert_eq!(parse_range(&format!("bytes={start}-{end}"), len), single(start, end));
        prop_assert_eq!(parse_range(&format!("bytes={start}-"), len), single(start, len - 1));
        prop_assert_eq!(parse_range(&format!("bytes=-{}", len - start), len), single(start, len - 1));
    }

    #[test]
    fn an_upload_range_is_read_back(start in 0..=OFFSET_MAX, more: u64) {
        let end = start.saturating_add(more).min(OFFSET_MAX);
        prop_assert_eq!(parse_content_range(&format!("{start}-{end}")), Ok((start, end)));
        prop_assert_eq!(parse_content_range(&format!("bytes {start}-{end}/*")), Ok((start, end)));
    }

    #[test]
    fn no_upload_range_makes_it_panic(header in "(bytes )?[0-9]{0,20}-[0-9]{0,20}(/[0-9*]{0,20})?|\\PC*") {
        if let Ok((start, end)) = parse_content_range(&header) {
            prop_assert!(start <= end && end <= OFFSET_MAX);
        }
    }
}
