//! How much a run does at once: little, and with pauses, while others write; never what it does.
//!
//! Every removal is part of a transaction that pushes may share, and dirties pages all over the database. So while
//! somebody else waits for writes, chunks are small and the run sleeps most of the time.

use std::time::{Duration, Instant};

use crate::ask::Writes;

/// Steps of one write while nobody else writes.
pub(crate) const FULL_CHUNK: usize = 128;
/// Steps of one write while others do.
const SMALL_CHUNK: usize = 8;
/// How long after the last write of somebody else they are believed to go on.
const BUSY_FOR: Duration = Duration::from_secs(2);
/// So many times as long as a chunk took, the run pauses after it while others write.
const PAUSES: u32 = 4;
/// The shortest and the longest pause.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// The pace of one run.
#[derive(Debug)]
pub(crate) struct Pace {
    writes: Writes,
    /// Writes that this run itself waited for.
    own: u64,
    others: u64,
    busy_until: Option<Instant>,
    began: Instant,
}

impl Pace {
    pub(crate) fn new(writes: &Writes) -> Self {
        let others = writes.waited_for();
        Self { writes: writes.clone(), own: 0, others, busy_until: None, began: Instant::now() }
    }

    /// Begins a chunk, and says how many steps it may have.
    pub(crate) fn chunk(&mut self) -> usize {
        self.began = Instant::now();
        let others = self.writes.waited_for().saturating_sub(self.own);
        if others > self.others {
            self.others = others;
            self.busy_until = Some(self.began + BUSY_FOR);
        }
        if self.is_busy() { SMALL_CHUNK } else { FULL_CHUNK }
    }

    /// Notes a write of this run.
    pub(crate) fn wrote(&mut self) {
        self.own += 1;
    }

    /// How long to pause after the chunk.
    pub(crate) fn pause(&self) -> Option<Duration> {
        self.is_busy().then(|| (self.began.elapsed() * PAUSES).clamp(PAUSE_MIN, PAUSE_MAX))
    }

    fn is_busy(&self) -> bool {
        self.busy_until.is_some_and(|until| until > self.began)
    }
}
