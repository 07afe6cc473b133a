//! Parts of the probe that need no registry; those that do are in the suite `tests/tools`.

use mcr_oci::{Finding, FindingKind};

use crate::{Level, Run, Schedule, TagState, Zone};

fn run() -> Run {
    Run {
        started_at_ms: 1_000,
        duration: std::time::Duration::from_millis(3_100),
        repositories: 14,
        tags: 120,
        indexes: 37,
        findings: Vec::new(),
        failures: 0,
        undetermined: 0,
    }
}

fn finding(kind: FindingKind, tag: &str) -> Finding {
    Finding { repository: Some("infra/ci".into()), tag: Some(tag.into()), ..Finding::new(kind) }
}

#[test]
fn the_summary_counts_findings_and_tags() {
    let mut some = run();
    assert_eq!(some.summary(), "no findings; 14 repositories, 120 tags, 37 indexes in 3.1 s");
    some.push(finding(FindingKind::BlobMissing, "a"));
    some.push(finding(FindingKind::ManifestMissing, "a"));
    assert_eq!(some.summary(), "2 findings in 1 tag; 14 repositories, 120 tags, 37 indexes in 3.1 s");
    some.push(finding(FindingKind::Unreachable, "b"));
    assert!(some.summary().starts_with("3 findings (1 could not be looked at) in 2 tags; "), "{}", some.summary());
    assert_eq!((some.failures, some.undetermined, some.broken_tags().len()), (2, 1, 2));
    assert_eq!(some.gauges().ended_at_ms, 4_100);
}

#[test]
fn findings_are_counted_beyond_those_kept() {
    let mut many = run();
    (0..=crate::MAX_FINDINGS).for_each(|_| many.push(finding(FindingKind::BlobMissing, "a")));
    assert_eq!((many.findings.len(), many.failures), (crate::MAX_FINDINGS, crate::MAX_FINDINGS as u64 + 1));
}

#[test]
fn what_could_not_be_looked_at_is_not_broken() {
    let unreachable = finding(FindingKind::Unreachable, "a");
    assert_eq!(TagState::of(&[]), TagState::Sound);
    assert_eq!(TagState::of(std::slice::from_ref(&unreachable)), TagState::Undetermined);
    assert_eq!(TagState::of(&[unreachable, finding(FindingKind::BlobCorrupt, "a")]), TagState::Broken);
}

#[test]
fn levels_have_words() {
    for level in Level::ALL {
        assert_eq!(level.as_str().parse(), Ok(level));
    }
    assert!("deep".parse::<Level>().is_err());
}

#[test]
fn schedules_have_five_fields_or_six() {
    let quarter = Schedule::parse("*/15 * * * *").unwrap();
    assert_eq!(quarter.next_after(0), Some(15 * 60_000));
    assert_eq!(quarter.next_after(15 * 60_000), Some(30 * 60_000));
    assert_eq!(Schedule::parse("*/2 * * * * *").unwrap().next_after(1_000), Some(2_000));
    // Sunday is 0 and 7, as in crontab; 1970-01-04 was one.
    for sunday in ["0 0 * * 0", "0 0 * * 7", "0 0 * * SUN"] {
        assert_eq!(Schedule::parse(sunday).unwrap().next_after(0), Some(3 * 86_400_000), "{sunday}");
    }
    for bad in ["", "* * * *", "* * * * * * *", "61 * * * *", "a * * * *", "0 0 31 2 *", "@hourly"] {
        let error = Schedule::parse(bad).unwrap_err().to_string();
        assert!(error.contains("five fields"), "{bad}: {error}");
    }
}

#[test]
fn schedules_follow_the_clock_of_their_zone() {
    let at = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_millis();
    let vienna = Zone::named("Europe/Vienna").unwrap();
    let nightly = Schedule::parse("30 3 * * *").unwrap();
    assert_eq!(nightly.next_after(at("2026-07-01T00:00:00Z")), Some(at("2026-07-01T03:30:00Z")));
    let nightly = nightly.within(vienna);
    assert_eq!(nightly.next_after(at("2026-07-01T00:00:00Z")), Some(at("2026-07-01T01:30:00Z")));
    assert_eq!(nightly.next_after(at("2026-12-01T00:00:00Z")), Some(at("2026-12-01T02:30:00Z")));
    // On 2026-03-29 there is no half past two, on 2026-10-25 there are two.
    let early = Schedule::parse("30 2 * * *").unwrap().within(vienna);
    assert_eq!(early.next_after(at("2026-03-28T12:00:00Z")), Some(at("2026-03-29T01:00:00Z")));
    assert_eq!(early.next_after(at("2026-10-24T12:00:00Z")), Some(at("2026-10-25T00:30:00Z")));
    assert_eq!(early.next_after(at("2026-10-25T00:30:00Z")), Some(at("2026-10-26T01:30:00Z")));
    assert_eq!(vienna.rfc3339(at("2026-07-01T01:30:00Z")), "2026-07-01T03:30:00.000+02:00");
    assert_eq!(Zone::default().rfc3339(at("2026-07-01T01:30:00Z")), "2026-07-01T01:30:00.000Z");
    for bad in ["", "Vienna", "Europe/Atlantis", "+02:00", "../etc/passwd"] {
        let error = Zone::named(bad).unwrap_err().to_string();
        assert!(error.contains("Europe/Vienna"), "{bad}: {error}");
    }
}

#[tokio::test]
async fn a_tick_that_nobody_waited_for_to_the_end_comes_once() {
    let mut ticks = crate::Ticks::start(&Schedule::parse("* * * * * *").unwrap()).await.unwrap();
    let began = std::time::Instant::now();
    while began.elapsed() < std::time::Duration::from_secs(3) {
        let _ = tokio::time::timeout(std::time::Duration::from_millis(70), ticks.next()).await;
    }
    let mut came = 0;
    let began = std::time::Instant::now();
    while began.elapsed() < std::time::Duration::from_secs(3) {
        came += usize::from(tokio::time::timeout(std::time::Duration::from_millis(700), ticks.next()).await.is_ok());
    }
    assert!((1..=4).contains(&came), "{came} ticks in three seconds");
    ticks.stop().await;
}

#[tokio::test]
async fn ticks_that_come_while_nobody_waits_are_dropped() {
    let mut ticks = crate::Ticks::start(&Schedule::parse("* * * * * *").unwrap()).await.unwrap();
    ticks.next().await;
    tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;
    let waited = std::time::Instant::now();
    ticks.next().await;
    assert!(waited.elapsed() > std::time::Duration::from_millis(100), "an old tick was waiting");
    ticks.stop().await;
}
