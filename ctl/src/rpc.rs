//! gRPC over the HTTP client that everything else uses, so that trust and time limits are the same; never a command.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt as _;
use mcr_rpc::v1::HealthRequest;
use mcr_rpc::v1::admin_service_client::AdminServiceClient;
use reqwest::Url;
use tonic::client::GrpcService;

use crate::address::shown;
use crate::failure::Failure;
use crate::global::Global;

/// What carries calls.
#[derive(Clone)]
struct Transport(reqwest::Client);

type Response = http::Response<reqwest::Body>;

impl GrpcService<tonic::body::Body> for Transport {
    type ResponseBody = reqwest::Body;
    type Error = tonic::Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response, tonic::Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), tonic::Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            // What is asked is short: it is sent as a whole.
            let body = body.collect().await?.to_bytes();
            let request = http::Request::from_parts(parts, reqwest::Body::from(body));
            let unavailable = |error: reqwest::Error| tonic::Status::unavailable(innermost(&error));
            let request = reqwest::Request::try_from(request).map_err(unavailable)?;
            Ok(Response::from(client.execute(request).await.map_err(unavailable)?))
        })
    }
}

/// The reason below the layers that only say that something failed.
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// What `AdminService.Health` answers: the status and its reasons.
///
/// # Errors
/// [`Failure::Undetermined`] where there is no answer.
pub(crate) async fn health(global: &Global, base: &Url) -> Result<(String, Vec<String>), Failure> {
    let client = mcr_client::http2(&global.settings(base.clone())?);
    let transport = Transport(client.map_err(|error| Failure::Usage(error.to_string()))?);
    let origin = shown(base).parse::<http::Uri>().map_err(|error| Failure::Usage(format!("--grpc: {error}")))?;
    let mut service = AdminServiceClient::with_origin(transport, origin);
    let answer = service.health(HealthRequest {}).await.map_err(|status| {
        let (registry, said) = (shown(base), crate::print::printable(status.message()));
        let advice = "check --grpc, --ca-cert, and that the port is the one for gRPC";
        Failure::Undetermined(format!("{registry} does not answer as a gRPC server: {said}; {advice}"))
    })?;
    let health = answer.into_inner();
    Ok((health.status, health.reasons))
}
