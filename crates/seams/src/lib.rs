//! The seams that tests reach through: the wall clock, randomness and named fault points; never a rule of the registry.

mod clock;
pub mod fault;
mod random;

pub use clock::{Clock, rfc3339};
pub use random::{random_bytes, random_hex};
