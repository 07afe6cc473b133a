//! A loop on several threads; never what its turns do.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that look at once; more than this wait for each other in the kernel.
pub(crate) const JOBS_MAX: usize = 256;

/// Calls `work` for every item, on up to `jobs` threads, each with a state of its own that `begin` makes.
pub(crate) fn each<T: Sync, S>(
    jobs: usize,
    items: &[T],
    begin: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) + Sync,
) {
    let threads = jobs.clamp(1, JOBS_MAX).min(items.len());
    let next = AtomicUsize::new(0);
    let turn = || {
        let mut state = begin();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(&mut state, item);
        }
    };
    if threads <= 1 {
        turn();
        return;
    }
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Where no further thread can be had, those that are there do the work.
            let _ = std::thread::Builder::new().name("scan".to_owned()).spawn_scoped(scope, turn);
        }
        turn();
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::each;

    #[test]
    fn every_item_has_one_turn() {
        let items: Vec<u32> = (0..1000).collect();
        for jobs in [0, 1, 4, 1_000_000] {
            let done = Mutex::new(Vec::new());
            each(jobs, &items, || (), |(), item| done.lock().unwrap().push(*item));
            let mut done = done.into_inner().unwrap();
            done.sort_unstable();
            assert_eq!(done, items);
        }
        each(4, &[] as &[u32], || (), |(), _| panic!("there is none"));
    }
}
