//! mcrsrv as a library, so that tests can reach its parts.
