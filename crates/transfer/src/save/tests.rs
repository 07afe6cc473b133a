//! Tests of saving: what stands in a tar, and what makes none.
