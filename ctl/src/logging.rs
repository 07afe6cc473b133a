//! Log lines of commands that run long, on stderr; never an answer.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::global::{Global, LogFormat};

/// Starts logging: one line for what is worth waking somebody, or nothing where `silent`.
pub(crate) fn start(global: &Global, silent: bool) {
    let most = if silent { LevelFilter::OFF } else { LevelFilter::INFO };
    // Libraries tell of their insides; what they have to say about ours comes as an error.
    let ours = Targets::new().with_target("mcr", most);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let subscriber = tracing_subscriber::registry().with(ours);
    let started = match global.log_format {
        LogFormat::Text => subscriber.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => subscriber.with(lines.json().flatten_event(true)).try_init(),
    };
    if let Err(error) = started {
        crate::print::tell(global.log_format, &format!("logging cannot be started: {error}"));
    }
}
