//! Tests of referrers.
