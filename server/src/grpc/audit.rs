//! `AuditService`: messages to arguments and back; no business.

use mcr_rpc::v1;
use mcr_rpc::v1::audit_service_server::AuditService;
use tonic::{Request, Response, Status};

use super::convert::{event, time};
use super::{Services, taken};
use crate::api::audit::{self as api, Listing, Selection};

#[tonic::async_trait]
impl AuditService for Services {
    async fn list_audit_events(
        &self,
        request: Request<v1::ListAuditEventsRequest>,
    ) -> Result<Response<v1::ListAuditEventsResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let selection = Selection {
            event: asked.event,
            actor: asked.actor,
            repository: asked.repository,
            since: time("since", asked.since)?,
            until: time("until", asked.until)?,
        };
        let listing = Listing { n: asked.n, last: asked.last, offset: asked.offset, order: asked.order };
        let found = api::list(&caller, selection, &listing).await?;
        let events = found.events.into_iter().map(event).collect();
        Ok(Response::new(v1::ListAuditEventsResponse { events, next: found.next }))
    }

    async fn verify_audit(
        &self,
        request: Request<v1::VerifyAuditRequest>,
    ) -> Result<Response<v1::VerifyAuditResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let found = api::verify(&caller, api::VerifyAudit { expect_head: asked.expect_head }).await?;
        Ok(Response::new(v1::VerifyAuditResponse {
            rows: found.rows,
            head: found.head,
            broken_at: found.broken_at,
            sound: found.sound,
            expected_found: found.expected_found,
            expected_at: found.expected_at,
            head_seq: found.head_seq,
            cut_up_to: found.cut_up_to,
            anchor_signed: found.anchor_signed,
        }))
    }
}
