//! Tests of pieces: what is right comes whole, and what is not never comes to its end.
