//! Points in time as the command line writes them: `2h` ago, `90d` from now, or RFC 3339; never a clock of its own.

use jiff::Timestamp;
use mcr_seams::{Clock, rfc3339};

/// A point in time: said itself, or by how far it is from now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// This one, in Unix milliseconds.
    At(i64),
    /// So many milliseconds from now; into which direction, the option says.
    Away(i64),
}

/// Reads `30s`, `5m`, `2h`, `90d`, `2w`, a date, or RFC 3339.
///
/// # Errors
/// What was expected.
pub(crate) fn when(text: &str) -> Result<When, String> {
    let expected = || "expected a length such as 2h or 90d, or a time such as 2026-11-21T16:00:00Z".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).unwrap_or_default();
    let unit_ms: Option<i64> = match unit {
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        "w" => Some(604_800_000),
        _ => None,
    };
    if let Some(unit_ms) = unit_ms {
        let length = number.parse::<i64>().ok().and_then(|number| number.checked_mul(unit_ms));
        return length.map(When::Away).ok_or_else(expected);
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
    {
        let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| expected())?;
        return Ok(When::At(midnight.timestamp().as_millisecond()));
    }
    text.parse::<Timestamp>().map(|time| When::At(time.as_millisecond())).map_err(|_| expected())
}

impl When {
    /// As RFC 3339, a length counted back from now.
    pub(crate) fn past(&self) -> String {
        self.text(-1)
    }

    /// As RFC 3339, a length counted from now on.
    pub(crate) fn future(&self) -> String {
        self.text(1)
    }

    fn text(&self, direction: i64) -> String {
        rfc3339(match self {
            Self::At(ms) => *ms,
            Self::Away(ms) => Clock::system().now_ms().saturating_add(ms.saturating_mul(direction)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_times_are_read() {
        assert_eq!(when("2h"), Ok(When::Away(7_200_000)));
        assert_eq!(when("90d"), Ok(When::Away(90 * 86_400_000)));
        assert_eq!(when("1970-01-01T00:00:01Z"), Ok(When::At(1000)));
        assert_eq!(when("1970-01-01T01:00:00+01:00"), Ok(When::At(0)));
        assert_eq!(when("1970-01-02"), Ok(When::At(86_400_000)));
        for bad in ["", "2", "2y", "-2h", "yesterday", "99999999999999999999d", "1970-13-01", "é"] {
            assert!(when(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lengths_go_back_or_on() {
        assert_eq!(When::At(0).past(), "1970-01-01T00:00:00.000Z");
        assert!(When::Away(3_600_000).past() < When::Away(0).future());
        assert!(When::Away(3_600_000).future() > When::Away(0).future());
    }
}
