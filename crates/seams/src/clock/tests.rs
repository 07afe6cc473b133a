//! Tests of the clock; never the real time, except that it moves.

use super::*;

#[test]
fn a_fixed_clock_stands_still_and_is_shared_by_its_clones() {
    let clock = Clock::fixed(1_000);
    let other = clock.clone();
    assert_eq!(other.now_ms(), 1_000);
    clock.advance(5);
    assert_eq!(other.now_ms(), 1_005);
    other.set(7);
    assert_eq!(clock.now_ms(), 7);
}

#[test]
fn the_system_clock_cannot_be_set() {
    let clock = Clock::system();
    clock.set(5);
    // 2020-01-01: whatever the machine believes, it is later than that.
    assert!(clock.now_ms() > 1_577_836_800_000);
}

#[test]
fn times_are_written_in_utc_with_milliseconds() {
    assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
    assert_eq!(rfc3339(1_767_323_045_678), "2026-01-02T03:04:05.678Z");
    assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999Z");
    assert!(rfc3339(i64::MAX).starts_with("9999-12-"));
    assert!(rfc3339(i64::MIN).starts_with("-009999-01-"));
}
