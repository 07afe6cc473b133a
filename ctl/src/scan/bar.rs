//! How far `--deep` is, for a person who waits, and what a scan has to say meanwhile; never an answer.

use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mcr_scanner::Watch;

use crate::global::{Global, LogFormat};
use crate::print;

/// A bar over bytes where somebody sees it, and notes on stderr.
#[derive(Debug)]
pub(crate) struct Watcher {
    wanted: bool,
    quiet: bool,
    log_format: LogFormat,
    bar: Mutex<Option<ProgressBar>>,
}

impl Watcher {
    pub(crate) fn new(global: &Global) -> Self {
        let wanted = print::bars_wanted(global);
        Self { wanted, quiet: global.quiet, log_format: global.log_format, bar: Mutex::new(None) }
    }

    pub(crate) fn clear(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Watcher {
    fn note(&self, line: &str) {
        if self.quiet {
            return;
        }
        let line = print::printable(line);
        match &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(|| print::tell(self.log_format, &line)),
            None => print::tell(self.log_format, &line),
        }
    }

    fn hashing(&self, files: u64, bytes: u64, done: u64) {
        if !self.wanted {
            return;
        }
        self.clear();
        let form = "hashing {msg} {bytes}/{total_bytes} {wide_bar} {bytes_per_sec} {eta}";
        // A template that does not parse would be a defect of this file; the bar is then a plain one.
        let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr()).with_style(style);
        bar.set_message(format!("{files} blobs"));
        bar.set_position(done);
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    fn hashed(&self, bytes: u64) {
        if self.wanted
            && let Some(bar) = &*self.bar.lock().unwrap_or_else(PoisonError::into_inner)
        {
            bar.inc(bytes);
        }
    }
}
