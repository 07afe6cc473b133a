//! How far a long command is, on a terminal's stderr; never a result.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcr_registry::Progress;

/// How often the line is drawn anew.
const EVERY: Duration = Duration::from_millis(200);

/// Runs `work` while its progress is shown, unless `quiet` or nobody looks.
pub fn shown<T>(verb: &str, quiet: bool, work: impl FnOnce(&Progress) -> T) -> T {
    let progress = Progress::default();
    if quiet || !io::stderr().is_terminal() {
        return work(&progress);
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let drawing = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                draw(&line(verb, &progress));
                std::thread::park_timeout(EVERY);
            }
            draw("");
        });
        let result = work(&progress);
        done.store(true, Ordering::Release);
        drawing.thread().unpark();
        result
    })
}

fn line(verb: &str, progress: &Progress) -> String {
    let read = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
    let (blobs, total) = (read(&progress.blobs), read(&progress.total_blobs));
    let (done, all) = (read(&progress.bytes), read(&progress.total_bytes));
    format!("{verb} {blobs} of {total} blobs, {} of {}", bytes(done), bytes(all))
}

/// Writes over what stood there.
fn draw(text: &str) {
    // Where it cannot be written there is nobody to look.
    let _ = write!(io::stderr(), "\r\x1b[2K{text}").and_then(|()| io::stderr().flush());
}

/// A number of bytes for a reader.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS.get(unit).copied().unwrap_or_default())
}

/// A count with its noun.
#[must_use]
pub fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        let shown: Vec<String> = [0, 1023, 1024, 1536, 5 << 30].into_iter().map(bytes).collect();
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 GiB"]);
        assert_eq!((plural(1, "tag"), plural(0, "tag")), ("1 tag".to_owned(), "0 tags".to_owned()));
    }

    #[test]
    fn work_is_done_where_nobody_looks() {
        assert_eq!(shown("copying", true, |progress| progress.blobs.load(Ordering::Relaxed)), 0);
    }
}
