//! Lengths of time as the command line writes them: `30s`, `2m`, `500ms`; never what waits for them.

use std::time::Duration;

/// Reads a length of time that is more than nothing.
///
/// # Errors
/// What was expected.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).unwrap_or_default();
    let unit_ms: Option<u64> = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    number
        .parse::<u32>()
        .ok()
        .zip(unit_ms)
        .and_then(|(number, unit)| u64::from(number).checked_mul(unit))
        .filter(|ms| *ms > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a duration such as 30s, 2m or 500ms".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_a_number_and_a_unit() {
        assert_eq!(length("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(length("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(length("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["", "0s", "30", "s", "-1s", "1.5s", "1d", "99999999999s", "1sec", "é"] {
            assert!(length(bad).is_err(), "{bad}");
        }
    }
}
