//! `AdminService`: messages to arguments and back; no business.

use mcr_rpc::v1;
use mcr_rpc::v1::admin_service_server::AdminService;
use tonic::{Request, Response, Status};

use super::convert::{self, at, page, time};
use super::{Services, keeping, taken};
use crate::api::health::health;
use crate::api::plans::{self, Selection};
use crate::api::read_only::{self, SetReadOnly};
use crate::api::session::{self, LoginRequest};
use crate::api::snapshots;
use crate::api::tokens::{self, NewToken};

#[tonic::async_trait]
impl AdminService for Services {
    async fn health(&self, request: Request<v1::HealthRequest>) -> Result<Response<v1::HealthResponse>, Status> {
        let (caller, _) = taken(request)?;
        let found = health(&caller.edge.registry, &caller.edge.gate).await;
        Ok(Response::new(v1::HealthResponse { status: found.status, reasons: found.reasons }))
    }

    async fn login(&self, request: Request<v1::LoginRequest>) -> Result<Response<v1::LoginResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let request = LoginRequest { username: asked.username, password: asked.password };
        let made = session::login(&caller, &request).await?;
        let (token, account) = (made.token, made.account);
        Ok(Response::new(v1::LoginResponse { token, expires_at: at(made.expires_at), account }))
    }

    async fn logout(&self, request: Request<v1::LogoutRequest>) -> Result<Response<v1::LogoutResponse>, Status> {
        let (caller, _) = taken(request)?;
        session::logout(&caller).await?;
        Ok(Response::new(v1::LogoutResponse {}))
    }

    async fn who_am_i(&self, request: Request<v1::WhoAmIRequest>) -> Result<Response<v1::WhoAmIResponse>, Status> {
        let (caller, _) = taken(request)?;
        let found = session::who_am_i(&caller)?;
        Ok(Response::new(v1::WhoAmIResponse {
            account: found.account,
            subject: found.subject,
            account_type: found.account_type,
            roles: found.roles,
            admin: found.admin,
            scope: found.scope,
        }))
    }

    async fn get_read_only(
        &self,
        request: Request<v1::GetReadOnlyRequest>,
    ) -> Result<Response<v1::GetReadOnlyResponse>, Status> {
        let (caller, _) = taken(request)?;
        let found = read_only::get(&caller)?;
        Ok(Response::new(v1::GetReadOnlyResponse { read_only: found.read_only, reason: found.reason }))
    }

    async fn set_read_only(
        &self,
        request: Request<v1::SetReadOnlyRequest>,
    ) -> Result<Response<v1::SetReadOnlyResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let wanted = SetReadOnly { read_only: asked.read_only, reason: asked.reason };
        let found = read_only::set(&caller, wanted).await?;
        Ok(Response::new(v1::SetReadOnlyResponse { read_only: found.read_only, reason: found.reason }))
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let expires_at = time("expires_at", asked.expires_at)?;
        let new = NewToken { name: asked.name, actions: asked.actions, repositories: asked.repositories, expires_at };
        let made = tokens::create(&caller, new).await?;
        let record = Some(convert::token(made.record));
        Ok(Response::new(v1::CreateTokenResponse { record, token: made.token }))
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let found = tokens::list(&caller, &page(asked.n, asked.last))?;
        let tokens = found.tokens.into_iter().map(convert::token).collect();
        Ok(Response::new(v1::ListTokensResponse { tokens, next: found.next }))
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let (caller, asked) = taken(request)?;
        tokens::revoke(&caller, &asked.id).await?;
        Ok(Response::new(v1::RevokeTokenResponse {}))
    }

    async fn snapshot(&self, request: Request<v1::SnapshotRequest>) -> Result<Response<v1::SnapshotResponse>, Status> {
        let (caller, _) = taken(request)?;
        let snapshot = Some(keeping::snapshot(snapshots::take(&caller).await?));
        Ok(Response::new(v1::SnapshotResponse { snapshot }))
    }

    async fn list_snapshots(
        &self,
        request: Request<v1::ListSnapshotsRequest>,
    ) -> Result<Response<v1::ListSnapshotsResponse>, Status> {
        let (caller, _) = taken(request)?;
        let snapshots = snapshots::list(&caller).await?.snapshots.into_iter().map(keeping::snapshot).collect();
        Ok(Response::new(v1::ListSnapshotsResponse { snapshots }))
    }

    async fn list_plans(
        &self,
        request: Request<v1::ListPlansRequest>,
    ) -> Result<Response<v1::ListPlansResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let selection = Selection { job: asked.job, state: asked.state };
        let found = plans::list(&caller, &page(asked.n, asked.last), &selection).await?;
        let plans = found.plans.into_iter().map(keeping::plan).collect();
        Ok(Response::new(v1::ListPlansResponse { plans, next: found.next }))
    }

    async fn get_plan(&self, request: Request<v1::GetPlanRequest>) -> Result<Response<v1::GetPlanResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let found = plans::get(&caller, &asked.id, &page(asked.n, asked.last)).await?;
        Ok(Response::new(keeping::detail(found)))
    }

    async fn confirm_plan(
        &self,
        request: Request<v1::ConfirmPlanRequest>,
    ) -> Result<Response<v1::ConfirmPlanResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let plan = Some(keeping::plan(plans::confirm(&caller, &asked.id).await?));
        Ok(Response::new(v1::ConfirmPlanResponse { plan }))
    }

    async fn discard_plan(
        &self,
        request: Request<v1::DiscardPlanRequest>,
    ) -> Result<Response<v1::DiscardPlanResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let plan = Some(keeping::plan(plans::discard(&caller, &asked.id).await?));
        Ok(Response::new(v1::DiscardPlanResponse { plan }))
    }
}
