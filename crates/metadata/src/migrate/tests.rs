//! Tests of migrate.
