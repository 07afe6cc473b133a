//! From a command to its futures and back, on one thread or several; never what they do.

use std::future::Future;
use std::time::Duration;

use reqwest::Url;

use crate::address::shown;
use crate::failure::Failure;

/// Runs `work` to its end.
///
/// # Errors
/// What `work` fails with, or that no runtime can be had.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Undetermined(format!("the runtime cannot be started: {error}")))?;
    let answer = runtime.block_on(work);
    // A name lookup that hangs must not hold the process beyond its time.
    runtime.shutdown_background();
    answer
}

/// Bounds what asks `base`.
///
/// # Errors
/// What `work` fails with, or that it took longer.
pub(crate) async fn within<T>(
    patience: Duration,
    base: &Url,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| {
        let (registry, seconds) = (shown(base), patience.as_secs_f64());
        Err(Failure::Undetermined(format!("{registry} did not answer within {seconds} s; try a longer --timeout")))
    })
}
