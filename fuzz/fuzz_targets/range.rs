//! Fuzzes the `Range` of downloads and the `Content-Range` of uploads; never the bytes they speak of.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcr_oci::range::{RangeAnswer, parse_content_range, parse_range};

/// Content of no, one, some, many and impossibly many bytes.
const LENGTHS: [u64; 6] = [0, 1, 10, 1 << 32, i64::MAX as u64, u64::MAX];

fuzz_target!(|data: &[u8]| {
    let Ok(header) = std::str::from_utf8(data) else { return };
    for len in LENGTHS {
        if let RangeAnswer::Single { start, end_inclusive } = parse_range(header, len) {
            assert!(start <= end_inclusive && end_inclusive < len);
            let again = parse_range(&format!("bytes={start}-{end_inclusive}"), len);
            assert_eq!(again, RangeAnswer::Single { start, end_inclusive });
        }
    }
    match parse_content_range(header) {
        Ok((start, end)) => {
            assert!(start <= end && end <= i64::MAX as u64);
            assert_eq!(parse_content_range(&format!("{start}-{end}")), Ok((start, end)));
            assert_eq!(parse_content_range(&format!("bytes {start}-{end}/*")), Ok((start, end)));
        }
        Err(error) => assert!(error.to_string().len() < 200),
    }
});
