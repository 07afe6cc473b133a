//! Tests of wal.
