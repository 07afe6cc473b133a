//! Tests of lib.
