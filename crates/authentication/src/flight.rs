//! Many who ask the same at once, asked once; never an answer kept for later.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Questions under way.
pub(crate) struct Flights<K, T> {
    under_way: Mutex<HashMap<K, Arc<OnceCell<T>>>>,
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self { under_way: Mutex::default() }
    }
}

impl<K: Hash + Eq + Clone, T: Clone> Flights<K, T> {
    /// The answer to `key`: of whoever is asking it already, else of `ask`. If the one that asks is dropped, another
    /// that waits asks in its place.
    pub(crate) async fn join<F: Future<Output = T>>(&self, key: K, ask: impl FnOnce() -> F) -> T {
        let cell = Arc::clone(self.lock().entry(key.clone()).or_default());
        let seat = Seat { flights: self, key, cell };
        seat.cell.get_or_init(ask).await.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<K, Arc<OnceCell<T>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits. The last one up clears the table, so that it holds only what is under way.
struct Seat<'a, K: Hash + Eq + Clone, T: Clone> {
    flights: &'a Flights<K, T>,
    key: K,
    cell: Arc<OnceCell<T>>,
}

impl<K: Hash + Eq + Clone, T: Clone> Drop for Seat<'_, K, T> {
    fn drop(&mut self) {
        let mut under_way = self.flights.lock();
        // Once it is answered nobody new may take that answer; unanswered, it stays for those who still wait.
        let ours = under_way.get(&self.key).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell));
        if ours && (self.cell.initialized() || Arc::strong_count(&self.cell) <= 2) {
            under_way.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn many_ask_once_and_nothing_is_kept() {
        let (flights, asked) = (Flights::<u8, u32>::default(), AtomicU32::new(0));
        let ask = || async {
            yield_now().await;
            asked.fetch_add(1, Ordering::SeqCst)
        };
        let (a, b, c) = tokio::join!(flights.join(1, ask), flights.join(1, ask), flights.join(2, ask));
        assert!(a == b && a != c && asked.load(Ordering::SeqCst) == 2);
        assert_eq!(flights.join(1, ask).await, 2);
        assert!(flights.lock().is_empty());
    }

    #[tokio::test]
    async fn when_the_one_that_asks_goes_another_asks() {
        let flights = Arc::new(Flights::<u8, u32>::default());
        let mut first = Box::pin(flights.join(1, || async {
            std::future::pending::<()>().await;
            1
        }));
        let mut second = Box::pin(flights.join(1, || async { 2 }));
        tokio::select! { biased; _ = &mut first => {}, _ = &mut second => {}, () = yield_now() => {} }
        drop(first);
        assert_eq!(second.await, 2);
        assert!(flights.lock().is_empty());
    }
}
