//! Tests of backups: placeholder until the scenes below are filled.
