//! What a collection costs: its time and memory as a registry grows, and what pushes notice of it; never a comparison with
//! others, none of which collects beside pushes.

mod grow;
mod load;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use crate::error::Error;
use crate::http::{Body, Connection};
use crate::servers::{Kind, Server, Setting, Transport};
use crate::{cli, host, interrupt, tls, versions};
use load::{Latencies, Pace};

/// How often the run is asked how it goes.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longest run that is waited for.
const RUN_MAX: Duration = Duration::from_secs(3 * 3600);
/// The columns of the histogram, in milliseconds.
const BUCKETS: [f64; 11] = [2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// Options of `gc`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Images of each registry, of five blobs each; half of them are collected.
    #[arg(long, value_delimiter = ',', default_values_t = [2_000, 20_000, 200_000])]
    images: Vec<u64>,
    /// Clients that push meanwhile.
    #[arg(long, default_value_t = 8)]
    clients: u64,
    /// Images that each of them pushes in a second.
    #[arg(long, default_value_t = 5.0)]
    rate: f64,
    /// Seconds of pushing before the collection.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seconds after which a collection is no longer waited for; 0 waits for its end.
    #[arg(long, default_value_t = 0)]
    watch: u64,
    /// mcrsrv.
    #[arg(long, env = "MCR_BENCH_MCRSRV", default_value = "target/release/mcrsrv")]
    mcrsrv: PathBuf,
    /// Directory on the disk to measure; a temporary directory in it holds all data.
    #[arg(long, default_value = "target")]
    scratch: PathBuf,
}

/// One registry's run.
struct Measured {
    blobs: u64,
    removed: u64,
    /// It had not come to its end.
    cut: bool,
    seconds: f64,
    memory_mib: f64,
    before: Latencies,
    during: Latencies,
}

/// Measures and prints.
///
/// # Errors
/// What cannot be measured.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    host::make_directory(&options.scratch)?;
    let parent = host::absolute(&options.scratch)?;
    interrupt::watch().map_err(Error::file("wait for signals in", &parent))?;
    let machine = host::Machine::describe(&parent)?;
    let mut text = format!(
        "{}; {}, {} cores, {}, {}. {} clients push {} images a second each.\n\n",
        versions::today(),
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.file_system,
        options.clients,
        options.rate
    );
    text.push_str(
        "| blobs | collected | seconds | peak memory | p50 before / during | p99 before / during | p99 ratio |\n",
    );
    text.push_str("|---|---|---|---|---|---|---|\n");
    let mut histogram = String::new();
    for images in &options.images {
        let mut measured = measure(options, &parent, *images)?;
        row(&mut text, &mut measured);
        histogram = distribution(&measured);
    }
    print!("{text}\n{histogram}");
    Ok(())
}

fn measure(options: &Options, parent: &std::path::Path, images: u64) -> Result<Measured, Error> {
    let made = tempfile::Builder::new().prefix("mcr-bench-gc-").tempdir_in(parent);
    let scratch = made.map_err(Error::file("create a directory in", parent))?;
    let setting = Setting {
        transport: Transport::Plain,
        certificate: tls::Certificate::make(&scratch.path().join("certificate"))?,
        client: tls::client()?,
        directory: scratch.path().to_path_buf(),
    };
    let mcrsrv = host::absolute(&options.mcrsrv)?;
    // Once for the schema and the marker.
    let empty = Server::start(Kind::Mcr, &mcrsrv, &setting)?;
    let data = empty.data().to_path_buf();
    drop(empty);
    let sqlite = cli::find(None, "sqlite3", "PATH (Debian: sqlite3)")?;
    eprintln!("gc: growing a registry of {} blobs", images * grow::BLOBS_OF_IMAGE);
    grow::grow(&sqlite, &data.join("mcr.db"), &data.join("layers"), images)?;
    host::settle(scratch.path())?;
    let server = Server::start(Kind::Mcr, &mcrsrv, &setting)?;
    let pace = Pace { clients: options.clients, rate: options.rate };
    let seconds = Duration::from_secs(options.seconds);
    // The first pushes warm what is cold; they are not counted.
    load::beside(&server, pace, 0, || wait(seconds / 3))?;
    let ((), before) = load::beside(&server, pace, 1, || wait(seconds))?;
    let begun = Instant::now();
    let watch = if options.watch == 0 { RUN_MAX } else { Duration::from_secs(options.watch) };
    let ((removed, cut), during) = load::beside(&server, pace, 2, || collect(&mut server.connect()?, watch))?;
    let taken = begun.elapsed().as_secs_f64();
    let memory_mib = server.peak_memory_mib()?.unwrap_or_default();
    Ok(Measured { blobs: images * grow::BLOBS_OF_IMAGE, removed, cut, seconds: taken, memory_mib, before, during })
}

fn wait(time: Duration) -> Result<(), Error> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        interrupt::check()?;
        thread::sleep(LOOK_EVERY.min(time));
    }
    Ok(())
}

/// Starts a collection of all that can go, and waits for its end as long as `watch`; the blobs it removed, and whether
/// it still runs.
fn collect(admin: &mut Connection, watch: Duration) -> Result<(u64, bool), Error> {
    let wanted = br#"{"grace":"0s","undo":"0s","yes":true}"#;
    let headers = [("Content-Type", "application/json")];
    admin.send("POST", "/v1/gc", &headers, Body::Bytes(wanted))?.require(202, || "POST /v1/gc".to_owned())?;
    let until = Instant::now() + watch;
    loop {
        interrupt::check()?;
        let answer = admin.send("GET", "/v1/gc/status", &[], Body::Empty)?;
        let answer = answer.require(200, || "GET /v1/gc/status".to_owned())?;
        let status: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let removed = |at: &str| status.pointer(at).and_then(Value::as_u64).ok_or_else(|| wrong(&status.to_string()));
        if status.get("running").and_then(Value::as_bool) == Some(false) {
            return Ok((removed("/last_run/blobs_removed")?, false));
        }
        if Instant::now() > until {
            return Ok((removed("/current/progress/blobs_removed")?, true));
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn wrong(problem: &str) -> Error {
    Error::Wrong { what: "GET /v1/gc/status".to_owned(), problem: problem.to_owned() }
}

fn row(text: &mut String, measured: &mut Measured) {
    let quantiles = |latencies: &mut Latencies| {
        latencies.sort_by(f64::total_cmp);
        (quantile(latencies, 0.5) * 1e3, quantile(latencies, 0.99) * 1e3)
    };
    let (before, during) = (quantiles(&mut measured.before), quantiles(&mut measured.during));
    // Writing into a String cannot fail.
    let _ = writeln!(
        text,
        "| {} | {}{} | {:.1} | {:.0} MiB | {:.1} / {:.1} ms | {:.1} / {:.1} ms | **{:.2}** |",
        measured.blobs,
        measured.removed,
        if measured.cut { ", and going on" } else { "" },
        measured.seconds,
        measured.memory_mib,
        before.0,
        during.0,
        before.1,
        during.1,
        during.1 / before.1.max(f64::EPSILON)
    );
}

/// Of sorted values the one that this part of them does not exceed.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).round() as usize).copied().unwrap_or_default()
}

/// Pushes by how long they took, of the largest registry.
fn distribution(measured: &Measured) -> String {
    let mut text = format!(
        "Pushes of the largest one by how long they took ({} before, {} during):\n\n| up to | before | during |\n|---|---|---|\n",
        measured.before.len(),
        measured.during.len()
    );
    for (position, bucket) in BUCKETS.iter().copied().chain([f64::INFINITY]).enumerate() {
        let low = position.checked_sub(1).and_then(|below| BUCKETS.get(below)).copied().unwrap_or_default();
        let share = |latencies: &Latencies| {
            let within = latencies.iter().filter(|seconds| **seconds * 1e3 > low && **seconds * 1e3 <= bucket).count();
            within as f64 * 100.0 / latencies.len().max(1) as f64
        };
        let _ = writeln!(text, "| {bucket} ms | {:.2} % | {:.2} % |", share(&measured.before), share(&measured.during));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_sorted_values() {
        let sorted: Vec<f64> = (1..=101).map(f64::from).collect();
        assert!((quantile(&sorted, 0.5) - 51.0).abs() < 1e-9);
        assert!((quantile(&sorted, 0.99) - 100.0).abs() < 1e-9);
        assert!(quantile(&[], 0.99).abs() < 1e-9);
    }

    #[test]
    fn every_push_is_in_one_bucket() {
        let measured = Measured {
            blobs: 5,
            removed: 0,
            cut: false,
            seconds: 0.0,
            memory_mib: 0.0,
            before: vec![0.001, 0.012, 3.0],
            during: vec![0.002],
        };
        let text = distribution(&measured);
        assert!(text.contains("| 2 ms | 33.33 % | 100.00 % |"), "{text}");
        assert!(text.contains("| inf ms | 33.33 % | 0.00 % |"), "{text}");
    }
}
