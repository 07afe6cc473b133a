//! How far a run is, on a terminal's stderr; never a result.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::options::Watch;

/// A bar: over the tags of a run, with the bytes that came so far, or over the bytes of a tar.
#[derive(Debug)]
pub struct Shown {
    bar: ProgressBar,
    bytes: AtomicU64,
}

impl Shown {
    /// A bar over tags, whose number a run tells; none where it is not `wanted`.
    #[must_use]
    pub fn of_tags(wanted: bool) -> Self {
        Self::new(wanted, 0, "{spinner} {pos}/{len} tags {wide_bar} {msg} {elapsed}")
    }

    /// A bar over so many bytes; none where it is not `wanted`.
    #[must_use]
    pub fn of_bytes(wanted: bool, total: u64) -> Self {
        Self::new(wanted, total, "{spinner} {bytes}/{total_bytes} {wide_bar} {binary_bytes_per_sec} {eta}")
    }

    fn new(wanted: bool, length: u64, form: &str) -> Self {
        let target = if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        // A template that does not parse would be a defect of this file; the bar is then a plain one.
        let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(length), target).with_style(style);
        Self { bar, bytes: AtomicU64::new(0) }
    }

    /// So much more of it is done.
    pub fn more(&self, count: u64) {
        self.bar.inc(count);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Shown {
    fn tags(&self, count: u64) {
        self.bar.inc_length(count);
    }

    fn tags_done(&self, count: u64) {
        self.bar.inc(count);
    }

    fn bytes(&self, more: u64) {
        let bytes = self.bytes.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        if !self.bar.is_hidden() {
            self.bar.set_message(BinaryBytes(bytes).to_string());
        }
    }
}
