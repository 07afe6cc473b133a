//! How far a run is, for a person who waits; never an answer.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mcr_probe::{TagOutcome, Watch};

/// A bar over repositories, with the tags looked at so far.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    tags: AtomicU64,
}

impl Bar {
    pub(crate) fn new() -> Self {
        let form = "{spinner} {pos}/{len} repositories {wide_bar} {msg} {elapsed}";
        // A template that does not parse would be a defect of this file; the bar is then a plain one.
        let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style);
        Self { bar, tags: AtomicU64::new(0) }
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Bar {
    fn repositories(&self, repositories: u64) {
        self.bar.set_length(repositories);
    }

    fn repository_done(&self, _repository: &str, _tags: u64) {
        self.bar.inc(1);
    }

    fn tag(&self, _outcome: &TagOutcome<'_>) {
        let tags = self.tags.fetch_add(1, Ordering::Relaxed) + 1;
        self.bar.set_message(format!("{tags} tag{}", if tags == 1 { "" } else { "s" }));
    }
}
