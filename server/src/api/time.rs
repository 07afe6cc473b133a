//! A moment as both APIs show it; never a clock.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A moment in Unix milliseconds; as JSON RFC 3339 in UTC, such as `2026-01-02T03:04:05.678Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-01-02T03:04:05.678Z")]
pub struct Time(pub i64);

impl Time {
    /// Reads RFC 3339, with any offset.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.parse::<jiff::Timestamp>()
            .map(|time| Self(time.as_millisecond()))
            .map_err(|_| format!("{} is no time as in RFC 3339, such as 2026-01-02T03:04:05Z", super::shown(text)))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&mcr_seams::rfc3339(self.0))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_any_offset_and_written_in_utc() {
        let time = Time::parse("2026-01-02T04:04:05.678+01:00").unwrap();
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-01-02T03:04:05.678Z\"");
    }

    #[test]
    fn what_is_no_time_is_said_to_be_none() {
        for text in ["", "now", "2026-01-02", "2026-13-02T00:00:00Z", "99999999999-01-01T00:00:00Z"] {
            assert!(Time::parse(text).unwrap_err().contains("RFC 3339"), "{text}");
        }
    }
}
