//! Clients that push small images at a set pace and note how long each push took; never what happens meanwhile.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::content::{Image, Random};
use crate::error::Error;
use crate::http::Connection;
use crate::servers::Server;
use crate::{interrupt, push};

/// Seeds far from those of other rows.
const SEED: u64 = 11 << 40;

/// How hard is pushed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Clients, each with a connection of its own.
    pub(crate) clients: u64,
    /// Images that each begins to push in a second.
    pub(crate) rate: f64,
}

/// What the clients met: seconds of every push, in no order.
pub(crate) type Latencies = Vec<f64>;

/// Pushes while `work` runs; gives its answer, and how long each push took.
pub(crate) fn beside<T: Send>(
    server: &Server,
    pace: Pace,
    round: u64,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<(T, Latencies), Error> {
    let connections = (0..pace.clients).map(|_| server.connect()).collect::<Result<Vec<_>, _>>()?;
    let (stop, met) = (AtomicBool::new(false), Mutex::new(Latencies::new()));
    let done = thread::scope(|scope| {
        let (stop, met) = (&stop, &met);
        let clients: Vec<_> = (0..)
            .zip(connections)
            .map(|(number, connection)| scope.spawn(move || client(connection, pace, (round, number), stop, met)))
            .collect();
        let done = work();
        stop.store(true, Ordering::Relaxed);
        let mut outcome = Ok(());
        for client in clients {
            let ended = client.join().unwrap_or(Err(Error::Interrupted));
            outcome = outcome.and(ended);
        }
        outcome.and(done)
    })?;
    Ok((done, met.into_inner().unwrap_or_default()))
}

fn client(
    mut connection: Connection,
    pace: Pace,
    (round, number): (u64, u64),
    stop: &AtomicBool,
    met: &Mutex<Latencies>,
) -> Result<(), Error> {
    let mut random = Random::new(SEED + round * 1000 + number);
    let every = Duration::from_secs_f64(1.0 / pace.rate.max(0.01));
    // Not all at once.
    let mut next = Instant::now() + every.mul_f64(number as f64 / pace.clients.max(1) as f64);
    let mut count = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        interrupt::check()?;
        let image = Image::random(&mut random, 2, 4 << 10, 64 << 10);
        thread::sleep(next.saturating_duration_since(Instant::now()));
        let begun = Instant::now();
        push::image(&mut connection, &format!("bench/beside-{number}"), &format!("r{round}-{count}"), &image)?;
        if let Ok(mut met) = met.lock() {
            met.push(begun.elapsed().as_secs_f64());
        }
        count += 1;
        // A push that took longer than its turn is not made up for: the next begins at once.
        next = (next + every).max(Instant::now());
    }
    Ok(())
}
