//! What those do who want in: tokens that are forged, borders that are crossed, names that lead elsewhere, guesses,
//! lines smuggled into logs and requests. None gets in, and none learns anything.

mod borders;
mod forged;
mod guessing;
mod logs;
mod minted;
mod names;
mod presented;
mod smuggling;
