//! Milliseconds and `google.protobuf.Timestamp`; never a clock.

use prost_types::Timestamp;

/// A timestamp that milliseconds cannot hold, or that is not in its normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange;

impl std::fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a time must be between the years 1 and 9999, its nanos between 0 and 999999999")
    }
}

impl std::error::Error for OutOfRange {}

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z in Unix seconds: what the message's definition allows.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Unix milliseconds as the message.
#[must_use]
pub fn timestamp(ms: i64) -> Timestamp {
    let nanos = i32::try_from(ms.rem_euclid(1000) * 1_000_000).unwrap_or(0);
    Timestamp { seconds: ms.div_euclid(1000), nanos }
}

/// The message as Unix milliseconds, rounded down.
///
/// # Errors
/// [`OutOfRange`].
pub fn from_timestamp(time: &Timestamp) -> Result<i64, OutOfRange> {
    if !SECONDS.contains(&time.seconds) || !(0..1_000_000_000).contains(&time.nanos) {
        return Err(OutOfRange);
    }
    Ok(time.seconds * 1000 + i64::from(time.nanos / 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_come_back_as_they_went() {
        for ms in [0, 1, -1, -1500, 1_700_000_000_123, 253_402_300_799_999] {
            assert_eq!(from_timestamp(&timestamp(ms)), Ok(ms), "{ms}");
        }
    }

    #[test]
    fn times_that_are_none_are_refused() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
            assert_eq!(from_timestamp(&Timestamp { seconds, nanos }), Err(OutOfRange), "{seconds} {nanos}");
        }
    }
}
