//! Tests of repeats.
