//! mcrsrv as a library, so that tests can reach its parts.
#![allow(rustdoc::broken_intra_doc_links, reason = "doc comments of arguments are help texts: HOST[:PORT]")]
#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests look at files behind the program's back"))]

pub mod anchor_key;
pub mod api;
pub mod bar;
pub mod check_config;
pub mod cli;
pub mod config;
pub mod dev;
pub mod files;
pub mod gate;
pub mod grpc;
pub mod http;
pub mod import;
pub mod init;
pub mod lock;
pub mod logging;
pub mod metrics;
pub mod place;
pub mod probe;
pub mod process;
pub mod ready;
pub mod restore;
pub mod save;
pub mod schedule;
pub mod serve;
pub mod snapshot;
pub mod startup;
pub mod tls;
