//! Log lines of commands that run long, on stderr; never an answer.

use tracing_subscriber::filter::LevelFilter;

use crate::global::{Global, LogFormat};

/// Starts logging: one line for what is worth waking somebody, or nothing where `silent`.
pub(crate) fn start(global: &Global, silent: bool) {
    let most = if silent { LevelFilter::OFF } else { LevelFilter::INFO };
    let lines = tracing_subscriber::fmt().with_max_level(most).with_writer(std::io::stderr).with_target(false);
    let started = match global.log_format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        crate::print::tell(global.log_format, &format!("logging cannot be started: {error}"));
    }
}
