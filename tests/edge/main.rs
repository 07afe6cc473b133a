//! The edge: the name a client came by, whose word on its address is taken, tokens as clients ask for them, and what one
//! client may have at once; never what a rule says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod limits;
mod names;
mod proxies;
mod proxy_protocol;
mod scene;
mod tokens;
