//! Tests of snapshots as the server takes and meets them.
