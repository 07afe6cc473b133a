//! A small pool of read buffers, so that a large blob costs no allocation per chunk; never what is read into them.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Bytes of one buffer: large enough that system calls cost little, small enough to stay in cache.
pub(crate) const BUFFER: usize = 256 * 1024;
/// Buffers kept for reuse: 2 MiB.
const KEPT: usize = 8;

/// The pool.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffers {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Buffers {
    /// A buffer of [`BUFFER`] bytes, its content undefined.
    pub(crate) fn take(&self) -> Buffer {
        let bytes = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_else(|| vec![0; BUFFER]);
        Buffer { bytes, filled: 0, pool: Arc::clone(&self.free) }
    }
}

/// One buffer, given back to the pool when dropped. It is read into at once, or appended to.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    pool: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Buffer {
    /// The first `length` bytes to read into; at most [`BUFFER`].
    pub(crate) fn space(&mut self, length: usize) -> &mut [u8] {
        let end = length.min(self.bytes.len());
        self.bytes.get_mut(..end).unwrap_or_default()
    }

    /// Copies as much of `bytes` behind what is there as fits; says how much that was.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> usize {
        let space = self.bytes.get_mut(self.filled..).unwrap_or_default();
        let fits = bytes.len().min(space.len());
        if let (Some(to), Some(from)) = (space.get_mut(..fits), bytes.get(..fits)) {
            to.copy_from_slice(from);
        }
        self.filled += fits;
        fits
    }

    /// True while nothing was appended.
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// What was appended, without a copy.
    pub(crate) fn into_filled(self) -> Bytes {
        if self.is_empty() { Bytes::new() } else { Bytes::from_owner(self) }
    }

    /// True when [`Buffer::append`] has no more room.
    pub(crate) fn is_full(&self) -> bool {
        self.filled == self.bytes.len()
    }

    /// The buffer's first `filled` bytes, without a copy.
    pub(crate) fn into_bytes(mut self, filled: usize) -> Bytes {
        self.filled = filled.min(self.bytes.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_to_the_caller() {
        let mut buffer = Buffers::default().take();
        assert_eq!(buffer.append(&vec![1; BUFFER - 1]), BUFFER - 1);
        assert!(!buffer.is_full());
        assert_eq!(buffer.append(&[2, 3]), 1);
        assert!(buffer.is_full());
        assert_eq!(buffer.append(&[3]), 0);
        assert_eq!(buffer.as_ref().last(), Some(&2));
    }

    #[test]
    fn a_dropped_buffer_is_used_again() {
        let pool = Buffers::default();
        drop(pool.take().into_bytes(10));
        assert_eq!(pool.free.lock().unwrap().len(), 1);
        assert_eq!(pool.take().as_ref(), b"");
    }
}
