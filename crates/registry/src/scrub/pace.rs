//! How fast the scrub may read: a token bucket without a reserve; never what is read.

use std::time::Duration;

use tokio::time::Instant;

/// Waits shorter than this are saved up: a timer is no finer.
const WORTH_WAITING: Duration = Duration::from_millis(2);

/// Reads in a second at least, so that a slow pace has small steps and a stop is met soon.
const STEPS_A_SECOND: u64 = 16;

/// The largest and the smallest step, in bytes.
const STEP_MAX: u64 = 1 << 20;
const STEP_MIN: u64 = 4096;

/// The time at which the bytes read so far are paid for.
#[derive(Debug)]
pub(super) struct Pace {
    rate: u64,
    paid: Instant,
}

impl Pace {
    /// `rate` bytes a second; at least one.
    pub(super) fn new(rate: u64) -> Self {
        Self { rate: rate.max(1), paid: Instant::now() }
    }

    /// How many bytes to read at a time.
    pub(super) fn step(&self) -> usize {
        let step = (self.rate / STEPS_A_SECOND).clamp(STEP_MIN, STEP_MAX);
        usize::try_from(step).unwrap_or(usize::MAX)
    }

    /// Notes that a read of `bytes` began at `began`, and waits until it is paid for. Time that was not used is not
    /// saved up: after a pause the disk is not read faster.
    pub(super) async fn pay(&mut self, began: Instant, bytes: u64) {
        self.paid = self.paid.max(began) + self.price(bytes);
        if self.paid > Instant::now() + WORTH_WAITING {
            tokio::time::sleep_until(self.paid).await;
        }
    }

    fn price(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_cost_their_time_and_pauses_earn_nothing() {
        let begin = Instant::now();
        let mut pace = Pace::new(100_000);
        for _ in 0..10 {
            pace.pay(Instant::now(), 1000).await;
        }
        assert!(begin.elapsed() >= Duration::from_millis(97), "{:?}", begin.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
        let begin = Instant::now();
        pace.pay(begin, 10_000).await;
        assert!(begin.elapsed() >= Duration::from_millis(97), "{:?}", begin.elapsed());
    }

    #[test]
    fn steps_are_small_where_the_pace_is_slow() {
        assert_eq!(Pace::new(0).step(), 4096);
        assert_eq!(Pace::new(1 << 20).step(), 65536);
        assert_eq!(Pace::new(1 << 40).step(), 1 << 20);
    }
}
