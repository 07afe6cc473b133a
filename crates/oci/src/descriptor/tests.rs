//! Tests of `descriptor`.
