//! Tests of `finding`.
