//! `IntegrityService`: messages to arguments and back; no business.

use mcr_rpc::v1;
use mcr_rpc::v1::integrity_service_server::IntegrityService;
use tonic::{Request, Response, Status};

use super::convert::{self, at_most};
use super::{Services, taken};
use crate::api::integrity::{self as api, Selection};
use crate::api::verify::{self, VerifyRequest};

#[tonic::async_trait]
impl IntegrityService for Services {
    async fn get_integrity(
        &self,
        request: Request<v1::GetIntegrityRequest>,
    ) -> Result<Response<v1::GetIntegrityResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let selection = Selection { n: asked.n, last: asked.last, state: asked.state, repository: asked.repository };
        let found = api::integrity(&caller, &selection).await?;
        let probe = v1::ProbeSummary {
            schedule: found.probe.schedule,
            level: found.probe.level,
            next_run: at_most(found.probe.next_run),
            last_run: found.probe.last_run.map(convert::run),
            last_attempt: found.probe.last_attempt.map(convert::run),
            history: found.probe.history.into_iter().map(convert::run).collect(),
        };
        Ok(Response::new(v1::GetIntegrityResponse {
            sound: found.sound,
            probe: Some(probe),
            findings: found.findings.into_iter().map(convert::open_finding).collect(),
            tags: found.tags.into_iter().map(convert::state).collect(),
            next: found.next,
            scrub: Some(convert::scrub(found.scrub)),
        }))
    }

    async fn verify(&self, request: Request<v1::VerifyRequest>) -> Result<Response<v1::VerifyResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let request = VerifyRequest { repository: asked.repository, reference: asked.reference };
        let found = verify::verify(&caller, &request).await?;
        let references = found.references.into_iter().map(convert::report).collect();
        Ok(Response::new(v1::VerifyResponse { references, sound: found.sound }))
    }
}
