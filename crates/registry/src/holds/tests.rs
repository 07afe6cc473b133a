//! Tests of holds.
