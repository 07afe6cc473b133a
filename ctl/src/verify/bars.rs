//! How far `verify` is, for a person who waits; never an answer.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mcr_oci::Digest;
use mcr_probe::{Level, Watch};

use crate::print::printable;

/// One bar on stderr: bytes at level full, else digests looked at.
#[derive(Debug)]
pub(crate) struct Bars {
    bar: ProgressBar,
    level: Level,
}

impl Bars {
    /// A bar, or nothing where none is wanted.
    pub(crate) fn new(wanted: bool, level: Level) -> Self {
        let target = if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let form = match level {
            Level::Full => "{spinner} {msg}  {bytes}/{total_bytes} {wide_bar} {binary_bytes_per_sec}",
            Level::Head | Level::Tail => "{spinner} {msg}  {pos} looked at, {elapsed}",
        };
        // A template that does not parse would be a defect of this file; the bar is then a plain one.
        let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: ProgressBar::with_draw_target(None, target).with_style(style), level }
    }

    /// Begins anew for one reference.
    pub(crate) fn begin(&self, reference: &str) {
        self.bar.reset();
        self.bar.set_length(0);
        self.bar.set_message(printable(reference));
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Bars {
    fn looked(&self, _digest: &Digest) {
        match self.level {
            Level::Head | Level::Tail => self.bar.inc(1),
            Level::Full => self.bar.tick(),
        }
    }

    fn expects(&self, bytes: u64) {
        self.bar.inc_length(bytes);
    }

    fn received(&self, bytes: u64) {
        self.bar.inc(bytes);
    }
}
