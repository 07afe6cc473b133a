//! Tests of `error_code`.
