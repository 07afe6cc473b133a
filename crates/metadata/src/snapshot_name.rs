//! What a snapshot's name says: `mcr-YYYYMMDD-HHMMSS.db`, in UTC; never the file.

use mcr_seams::rfc3339;

/// Ends the name of a snapshot that is being written.
pub(crate) const PARTIAL: &str = ".partial";

/// The name of a snapshot taken at `ms`, and that moment as the name can say it. None outside the years that fit.
pub(crate) fn of(ms: i64) -> Option<(String, i64)> {
    let stamp = stamp(ms);
    let name = format!("mcr-{stamp}.db");
    let taken_at_ms = taken_at_ms(&name)?;
    Some((name, taken_at_ms))
}

/// `YYYYMMDD-HHMMSS` of a moment.
pub(crate) fn stamp(ms: i64) -> String {
    // 2026-01-02T03:04:05.678Z
    let text = rfc3339(ms);
    let seconds = text.split('.').next().unwrap_or_default();
    seconds.chars().filter(|c| c.is_ascii_digit() || *c == 'T').map(|c| if c == 'T' { '-' } else { c }).collect()
}

/// When a snapshot of this name was taken, in Unix milliseconds; none for a name that is no snapshot's.
pub(crate) fn taken_at_ms(name: &str) -> Option<i64> {
    let stamp = name.strip_prefix("mcr-")?.strip_suffix(".db")?;
    let (date, time) = stamp.split_once('-')?;
    let number = |text: &str, from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    if date.len() != 8 || time.len() != 6 {
        return None;
    }
    let (year, month, day) = (number(date, 0, 4)?, number(date, 4, 6)?, number(date, 6, 8)?);
    let (hour, minute, second) = (number(time, 0, 2)?, number(time, 2, 4)?, number(time, 4, 6)?);
    let real = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    real.then(|| (((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. The year begins in March here, so that the day that
/// some years have more is the last one.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_the_second_it_was_taken_in() {
        for ms in [0, 951_782_399_000, 951_782_400_000, 1_795_267_496_000, 4_107_542_400_000] {
            let (name, at) = of(ms + 678).unwrap();
            assert_eq!(at, ms, "{name}");
        }
        assert_eq!(of(1_795_267_496_000).unwrap().0, "mcr-20261121-132456.db");
    }

    #[test]
    fn other_names_are_no_snapshots() {
        for name in [
            "mcr.db",
            "mcr-20261121-132456.db.partial",
            "mcr-20261121-132456",
            "mcr-20261321-132456.db",
            "mcr-2026112-1132456.db",
            "mcr-20261121-+32456.db",
            "mcr-20261121-132460.db",
            "mcr-2026é121-132456.db",
        ] {
            assert_eq!(taken_at_ms(name), None, "{name}");
        }
    }
}
