//! How far an import is, on a terminal's stderr; never a result.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mcr_transfer::Watch;

/// A bar over tags, with the bytes that came so far.
pub(super) struct Shown {
    bar: ProgressBar,
    bytes: AtomicU64,
}

impl Shown {
    /// A bar; none where nobody looks.
    pub(super) fn new(quiet: bool) -> Self {
        let looked_at = !quiet && std::io::stderr().is_terminal();
        let target = if looked_at { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let form = "{spinner} {pos}/{len} tags {wide_bar} {msg}";
        // A template that does not parse would be a defect of this file; the bar is then a plain one.
        let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
        Self { bar, bytes: AtomicU64::new(0) }
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
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
            self.bar.set_message(format!("{} hashed", BinaryBytes(bytes)));
        }
    }

    fn note(&self, line: &str) {
        self.bar.suspend(|| crate::cli::complain(&format!("mcrsrv: {line}")));
    }
}
