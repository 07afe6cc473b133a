//! The HTTP edge: from a request to a use case and back. No business here, and no HTTP anywhere below.

pub mod admin;
pub mod blobs;
pub mod body;
pub mod challenge;
pub mod clients;
pub mod connection;
pub mod cursor;
pub mod edge;
pub mod endpoint;
pub mod error;
pub mod external;
pub mod figures;
pub mod listener;
pub mod lists;
pub mod manifests;
pub mod peer;
pub mod proxy_protocol;
pub mod query;
pub mod respond;
pub mod service;
pub mod stall;
pub mod token;
pub mod uploads;
pub mod v1;
