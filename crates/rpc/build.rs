//! Compiles the `.proto` files to Rust, without `protoc`; never anything that is not generated from them.

use std::path::PathBuf;

use prost::Message as _;

const PROTOS: [&str; 7] = [
    "mcr/v1/admin.proto",
    "mcr/v1/audit.proto",
    "mcr/v1/common.proto",
    "mcr/v1/integrity.proto",
    "mcr/v1/plans.proto",
    "mcr/v1/policy.proto",
    "mcr/v1/registry.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // For reflection.
    #[expect(clippy::disallowed_methods, reason = "a build script writes where cargo tells it to")]
    std::fs::write(out.join("mcr.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().build_transport(false).compile_fds(descriptors)?;
    Ok(())
}
