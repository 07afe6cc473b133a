//! The admin API over gRPC (`mcr.v1`): accepting connections, and the services over the functions of `crate::api`;
//! never what a function does.
//!
//! Every call passes the log, the login and the permission that its method needs, in this order (`call.rs`). `Health`,
//! `Login` and reflection need no login: what they tell, `/v1/health` and `/v1/openapi.json` tell anybody too.

mod admin;
mod audit;
mod body;
mod call;
mod convert;
mod integrity;
mod keeping;
mod listen;
pub mod method;
mod policy;
mod registry;
mod status;

use std::sync::Arc;

use mcr_rpc::v1::admin_service_server::AdminServiceServer;
use mcr_rpc::v1::audit_service_server::AuditServiceServer;
use mcr_rpc::v1::integrity_service_server::IntegrityServiceServer;
use mcr_rpc::v1::policy_service_server::PolicyServiceServer;
use mcr_rpc::v1::registry_service_server::RegistryServiceServer;
use tonic::service::Routes;
use tonic::{Request, Status};
use tonic_reflection::server::Builder;

pub use listen::accept;

use crate::api::{ApiError, Caller};

/// Bytes of a request message at most, as of a body over REST.
const MAX_MESSAGE: usize = 64 * 1024;

/// Implements every service of `mcr.v1`: who calls comes with the request.
#[derive(Debug, Clone, Copy)]
struct Services;

/// Every service, and reflection in the two versions that clients speak.
///
/// # Errors
/// The descriptors cannot be read, which would be a defect.
fn routes() -> Result<Routes, String> {
    let services = Arc::new(Services);
    let mut routes = Routes::builder();
    routes.add_service(AdminServiceServer::from_arc(Arc::clone(&services)).max_decoding_message_size(MAX_MESSAGE));
    routes.add_service(AuditServiceServer::from_arc(Arc::clone(&services)).max_decoding_message_size(MAX_MESSAGE));
    routes.add_service(IntegrityServiceServer::from_arc(Arc::clone(&services)).max_decoding_message_size(MAX_MESSAGE));
    routes.add_service(PolicyServiceServer::from_arc(Arc::clone(&services)).max_decoding_message_size(MAX_MESSAGE));
    routes.add_service(RegistryServiceServer::from_arc(services).max_decoding_message_size(MAX_MESSAGE));
    let reflection = || Builder::configure().register_encoded_file_descriptor_set(mcr_rpc::FILE_DESCRIPTOR_SET);
    let told = |error: tonic_reflection::server::Error| error.to_string();
    routes.add_service(reflection().build_v1().map_err(told)?.max_decoding_message_size(MAX_MESSAGE));
    routes.add_service(reflection().build_v1alpha().map_err(told)?.max_decoding_message_size(MAX_MESSAGE));
    Ok(routes.routes().prepare())
}

/// The caller, whom `call.rs` put beside the message, and the message.
fn taken<T>(request: Request<T>) -> Result<(Caller, T), Status> {
    let (_, extensions, message) = request.into_parts();
    let caller = extensions.get::<Caller>().cloned().ok_or_else(|| status::of(&ApiError::login_needed()))?;
    Ok((caller, message))
}

#[cfg(test)]
mod tests;
