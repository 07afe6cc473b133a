//! The gRPC services of `mcr.v1`: generated code and times; never what a service does.

mod time;

pub use time::{OutOfRange, from_timestamp, timestamp};

/// Package `mcr.v1`: messages, `…_server` for who serves, `…_client` for who asks. The comments stand in `proto/`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated"
)]
pub mod v1 {
    tonic::include_proto!("mcr.v1");
}

/// The compiled `.proto` files as a `google.protobuf.FileDescriptorSet`, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mcr.v1.bin"));
