//! Going over all blobs of a database with some threads, a page at a time; never what is done with one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use mcr_metadata::{Judge, KeptBlob};

use super::BackupError;

/// Rows of one page: so many results are kept at most.
const PAGE: usize = 1_000;

/// Threads that read and hash.
const THREADS: usize = 4;

/// Shows every blob to `work`, on some threads, and what came of it to `take`, on this one, in no order.
///
/// # Errors
/// The first of `work` or `take`, and those of the database.
pub(crate) fn each_blob<T: Send>(
    judged: &impl Judge,
    work: &(dyn Fn(&KeptBlob) -> Result<T, BackupError> + Sync),
    take: &mut dyn FnMut(&KeptBlob, T) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    let mut after = i64::MIN;
    loop {
        let page = judged.kept_blobs(after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for (at, result) in over(&page, work)? {
            if let Some(blob) = page.get(at) {
                take(blob, result)?;
            }
        }
    }
}

fn over<T: Send>(
    page: &[KeptBlob],
    work: &(dyn Fn(&KeptBlob) -> Result<T, BackupError> + Sync),
) -> Result<Vec<(usize, T)>, BackupError> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(page.len()));
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..THREADS.min(page.len()) {
            scope.spawn(|| {
                while let Some((at, blob)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    page.get(at).map(|blob| (at, blob))
                } {
                    match work(blob) {
                        Ok(result) => done.lock().unwrap_or_else(PoisonError::into_inner).push((at, result)),
                        Err(error) => {
                            // The others end after the blob they are at.
                            next.store(page.len(), Ordering::Relaxed);
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                            return;
                        }
                    }
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}
