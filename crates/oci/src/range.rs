//! The `Range` of a download and the `Content-Range` of an upload chunk; never the bytes they speak of.

/// The largest offset that is understood, so that lengths and sums stay within 64 bits.
const OFFSET_MAX: u64 = i64::MAX as u64;

/// What a `Range` header asks of content of a known length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeAnswer {
    /// Answer 200 with all of it: the header is to be ignored (RFC 9110, section 14.2).
    Whole,
    /// Answer 206 with these bytes; both ends included, `start <= end_inclusive < len`.
    Single {
        /// The first byte.
        start: u64,
        /// The last byte.
        end_inclusive: u64,
    },
    /// Answer 416 with `Content-Range: bytes */len`.
    Unsatisfiable,
}

/// Reads a `Range` header for content of `len` bytes.
///
/// One range of unit `bytes` is understood. Several ranges, another unit and what is malformed are ignored, as RFC
/// 9110 allows; a range beyond the end or reversed is unsatisfiable, as clients expect.
#[must_use]
pub fn parse_range(header: &str, len: u64) -> RangeAnswer {
    let Some((unit, set)) = header.split_once('=') else {
        return RangeAnswer::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return RangeAnswer::Whole;
    }
    let Some((first, last)) = set.trim().split_once('-') else {
        return RangeAnswer::Whole;
    };
    match (first.is_empty(), saturating(first), last.is_empty(), saturating(last)) {
        (true, _, false, Some(suffix)) => last_bytes(suffix, len),
        (false, Some(start), true, _) => from_to(start, u64::MAX, len),
        (false, Some(start), false, Some(end)) => from_to(start, end, len),
        _ => RangeAnswer::Whole,
    }
}

fn from_to(start: u64, end: u64, len: u64) -> RangeAnswer {
    match len.checked_sub(1) {
        Some(last) if start <= last && start <= end => RangeAnswer::Single { start, end_inclusive: end.min(last) },
        _ => RangeAnswer::Unsatisfiable,
    }
}

fn last_bytes(suffix: u64, len: u64) -> RangeAnswer {
    match (suffix, len.checked_sub(1)) {
        (0, _) => RangeAnswer::Unsatisfiable,
        // Satisfiable, says RFC 9110, but there is no byte that a Content-Range could name.
        (_, None) => RangeAnswer::Whole,
        (_, Some(last)) => RangeAnswer::Single { start: len.saturating_sub(suffix), end_inclusive: last },
    }
}

/// A run of digits; more than 64 bits can hold is more than any content has.
fn saturating(digits: &str) -> Option<u64> {
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Why the `Content-Range` of an upload chunk cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentRangeError {
    /// Not of a form that is understood.
    #[error("the Content-Range is malformed; expected FIRST-LAST, such as 0-1023")]
    Malformed,
    /// The last byte lies before the first.
    #[error("the Content-Range ends at {end}, before its start at {start}")]
    Reversed {
        /// The first byte.
        start: u64,
        /// The last byte.
        end: u64,
    },
    /// The last byte lies beyond the length it announces.
    #[error("the Content-Range ends at {end}, beyond the {total} bytes it announces")]
    BeyondTotal {
        /// The last byte.
        end: u64,
        /// The announced length, in bytes.
        total: u64,
    },
}

impl ContentRangeError {
    /// The code to answer with.
    #[must_use]
    pub const fn code(self) -> crate::ErrorCode {
        crate::ErrorCode::BlobUploadInvalid
    }
}

/// Reads the `Content-Range` of an upload chunk as first and last byte, `first <= last`.
///
/// distribution-spec writes `0-99`; HTTP's own `bytes 0-99/*` and `bytes 0-99/200` are understood as well.
///
/// # Errors
/// [`ContentRangeError`] where it is malformed (offsets above 2⁶³−1 included), reversed, or beyond its own total.
pub fn parse_content_range(header: &str) -> Result<(u64, u64), ContentRangeError> {
    let header = header.trim();
    let http = header.split_once(' ').filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"));
    let (range, total) = match http.map_or(header, |(_, rest)| rest.trim_start()).split_once('/') {
        Some((range, "*")) => (range, None),
        Some((range, total)) => (range, Some(offset(total)?)),
        None => (http.map_or(header, |(_, rest)| rest.trim_start()), None),
    };
    let (start, end) = range.split_once('-').ok_or(ContentRangeError::Malformed)?;
    let (start, end) = (offset(start)?, offset(end)?);
    match total {
        _ if end < start => Err(ContentRangeError::Reversed { start, end }),
        Some(total) if end >= total => Err(ContentRangeError::BeyondTotal { end, total }),
        _ => Ok((start, end)),
    }
}

fn offset(digits: &str) -> Result<u64, ContentRangeError> {
    saturating(digits).filter(|offset| *offset <= OFFSET_MAX).ok_or(ContentRangeError::Malformed)
}

#[cfg(test)]
mod tests;
