//! Tests of readers.
