//! Tests of the pauses, on a clock that stands still between them.

use super::*;

fn tries(attempts: u32) -> Tries {
    Tries::new("GET it".to_owned(), attempts, Duration::from_secs(10))
}

fn broken() -> Failure {
    Failure::Broken { status: Some(502), reason: "502".to_owned() }
}

fn unreachable(again: bool) -> Failure {
    let text = |text: &str| text.to_owned();
    Failure::Unconnected {
        error: Error::Unreachable { registry: text("r"), reason: text("refused"), advice: text("look") },
        again,
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_spread_over_the_time_that_was_asked_for() {
    for attempts in [2, 3, 5] {
        let (mut tries, start) = (tries(attempts), Instant::now());
        for _ in 1..attempts {
            tries.again(broken()).await.unwrap();
        }
        let error = tries.again(broken()).await.unwrap_err();
        let Error::Failing { status, attempts: told, over, .. } = error else { panic!("{error}") };
        assert_eq!((status, told), (Some(502), attempts));
        assert!(over >= Duration::from_secs(10), "{over:?}");
        assert!(start.elapsed() <= Duration::from_millis(10_100), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn two_resets_do_not_count() {
    let (mut tries, reset) = (tries(3), || Failure::Reset { reason: "reset".to_owned() });
    for _ in 0..4 {
        tries.again(reset()).await.unwrap();
    }
    let error = tries.again(reset()).await.unwrap_err();
    assert!(matches!(error, Error::Failing { status: None, attempts: 3, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_first_pause_is_short() {
    let (mut tries, start) = (tries(3), Instant::now());
    tries.again(broken()).await.unwrap();
    assert!(start.elapsed() <= Duration::from_millis(1_002), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_tried_thrice_and_a_certificate_once() {
    let (mut tries, start) = (tries(1), Instant::now());
    tries.again(unreachable(true)).await.unwrap();
    tries.again(unreachable(true)).await.unwrap();
    assert!(matches!(tries.again(unreachable(true)).await, Err(Error::Unreachable { .. })));
    assert!(start.elapsed() >= Duration::from_millis(1_200));
    let mut tries = Tries::new(String::new(), 3, Duration::ZERO);
    assert!(matches!(tries.again(unreachable(false)).await, Err(Error::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn what_the_registry_asks_for_is_waited_for_within_bounds() {
    let cases = [(Some(7), 7_000), (Some(0), 200), (Some(86_400), 60_000), (None, 8_000)];
    let (mut tries, mut start) = (tries(1), Instant::now());
    for (told, expected) in cases {
        let wait = told.map(Duration::from_secs);
        tries.again(Failure::Busy { status: 429, wait, said: None }).await.unwrap();
        let waited = start.elapsed().as_millis();
        assert!((expected..=expected + 5).contains(&waited), "{told:?}: {waited}");
        start = Instant::now();
    }
}

#[tokio::test(start_paused = true)]
async fn ten_waits_are_enough() {
    let mut tries = tries(3);
    for _ in 0..10 {
        tries.again(Failure::Busy { status: 503, wait: None, said: None }).await.unwrap();
    }
    let error = {
        let said = Some("not mounted".to_owned());
        tries.again(Failure::Busy { status: 503, wait: None, said }).await.unwrap_err()
    };
    assert_eq!(
        error,
        Error::Busy { status: 503, what: "GET it".to_owned(), waits: 10, said: " (not mounted)".to_owned() }
    );
}

#[tokio::test(start_paused = true)]
async fn an_early_end_is_asked_for_again_at_once() {
    let (mut tries, start) = (tries(3), Instant::now());
    assert!(tries.once_more().await);
    assert!(tries.once_more().await);
    assert!(!tries.once_more().await);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn two_resets_are_forgiven_and_then_count() {
    let reset = || Failure::Reset { reason: "reset".to_owned() };
    let (mut tries, start) = (tries(3), Instant::now());
    for _ in 0..4 {
        tries.again(reset()).await.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(11_200), "{:?}", start.elapsed());
    assert!(matches!(tries.again(reset()).await, Err(Error::Failing { status: None, attempts: 3, .. })));
}
