//! `RegistryService`: messages to arguments and back; no business.

use mcr_rpc::v1;
use mcr_rpc::v1::registry_service_server::RegistryService;
use tonic::{Request, Response, Status};

use super::convert::{self, page, time};
use super::{Services, keeping, taken};
use crate::api::gc::{self, GcRequest};
use crate::api::repositories::{self as api, Filter};
use crate::api::retention::{self, RetentionRequest};
use crate::api::undo::{self, RestoreRunRequest, RestoreTagRequest};
use crate::api::{digest, repository_name, tag_name};

#[tonic::async_trait]
impl RegistryService for Services {
    async fn list_repositories(
        &self,
        request: Request<v1::ListRepositoriesRequest>,
    ) -> Result<Response<v1::ListRepositoriesResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let filter = Filter { filter: asked.filter };
        let found = api::list(&caller, &page(asked.n, asked.last), &filter).await?;
        let repositories = found.repositories.into_iter().map(convert::repository).collect();
        Ok(Response::new(v1::ListRepositoriesResponse { repositories, next: found.next }))
    }

    async fn get_repository(
        &self,
        request: Request<v1::GetRepositoryRequest>,
    ) -> Result<Response<v1::GetRepositoryResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let found = api::get(&caller, &repository_name(&caller, &asked.name)?, &page(asked.n, asked.last)).await?;
        let summary = convert::repository(found.summary);
        Ok(Response::new(v1::GetRepositoryResponse {
            name: summary.name,
            tag_count: summary.tag_count,
            manifest_count: summary.manifest_count,
            total_size: summary.total_size,
            created_at: summary.created_at,
            updated_at: summary.updated_at,
            tags: found.tags.into_iter().map(convert::tag).collect(),
            manifests: found.manifests.into_iter().map(convert::manifest).collect(),
            next: found.next,
        }))
    }

    async fn delete_repository(
        &self,
        request: Request<v1::DeleteRepositoryRequest>,
    ) -> Result<Response<v1::DeleteRepositoryResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let gone = api::delete(&caller, &repository_name(&caller, &asked.name)?).await?.deleted;
        let deleted = v1::DeletedCounts { tags: gone.tags, manifests: gone.manifests, blobs: gone.blobs };
        Ok(Response::new(v1::DeleteRepositoryResponse { deleted: Some(deleted) }))
    }

    async fn list_tags(&self, request: Request<v1::ListTagsRequest>) -> Result<Response<v1::ListTagsResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let found = api::tags(&caller, &repository_name(&caller, &asked.name)?, &page(asked.n, asked.last)).await?;
        Ok(Response::new(v1::ListTagsResponse { name: found.name, tags: found.tags, next: found.next }))
    }

    async fn delete_tag(
        &self,
        request: Request<v1::DeleteTagRequest>,
    ) -> Result<Response<v1::DeleteTagResponse>, Status> {
        let (caller, asked) = taken(request)?;
        api::delete_tag(&caller, &repository_name(&caller, &asked.name)?, &tag_name(&caller, &asked.tag)?).await?;
        Ok(Response::new(v1::DeleteTagResponse {}))
    }

    async fn tag_history(
        &self,
        request: Request<v1::TagHistoryRequest>,
    ) -> Result<Response<v1::TagHistoryResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let (name, tag) = (repository_name(&caller, &asked.name)?, tag_name(&caller, &asked.tag)?);
        let found = api::history(&caller, &name, &tag, &page(asked.n, asked.last)).await?;
        let history = found.history.into_iter().map(convert::change).collect();
        Ok(Response::new(v1::TagHistoryResponse { history, next: found.next }))
    }

    async fn restore_tag(
        &self,
        request: Request<v1::RestoreTagRequest>,
    ) -> Result<Response<v1::RestoreTagResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let (name, tag) = (repository_name(&caller, &asked.name)?, tag_name(&caller, &asked.tag)?);
        let back = undo::tag(&caller, &name, &tag, &RestoreTagRequest { to: asked.to }).await?;
        Ok(Response::new(v1::RestoreTagResponse {
            repository: back.repository,
            tag: back.tag,
            digest: back.digest,
            previous: back.previous,
        }))
    }

    async fn restore_manifest(
        &self,
        request: Request<v1::RestoreManifestRequest>,
    ) -> Result<Response<v1::RestoreManifestResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let (name, digest) = (repository_name(&caller, &asked.name)?, digest(&caller, &asked.digest)?);
        let back = undo::manifest(&caller, &name, &digest).await?;
        Ok(Response::new(v1::RestoreManifestResponse {
            repository: back.repository,
            digest: back.digest,
            manifests_restored: back.manifests_restored,
        }))
    }

    async fn restore_run(
        &self,
        request: Request<v1::RestoreRunRequest>,
    ) -> Result<Response<v1::RestoreRunResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let since = time("since", asked.since)?;
        let wanted = RestoreRunRequest { run: asked.run, since, by: asked.by, dry_run: asked.dry_run };
        Ok(Response::new(keeping::restored(undo::run(&caller, wanted).await?)))
    }

    async fn restore_repository(
        &self,
        request: Request<v1::RestoreRepositoryRequest>,
    ) -> Result<Response<v1::RestoreRepositoryResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let back = undo::repository(&caller, &repository_name(&caller, &asked.name)?).await?;
        let counts = back.restored;
        let restored = v1::RestoredCounts { tags: counts.tags, manifests: counts.manifests, blobs: counts.blobs };
        let refused = back.refused.into_iter().map(keeping::not_restored).collect();
        Ok(Response::new(v1::RestoreRepositoryResponse { restored: Some(restored), refused }))
    }

    async fn garbage_collect(
        &self,
        request: Request<v1::GarbageCollectRequest>,
    ) -> Result<Response<v1::GarbageCollectResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let v1::GarbageCollectRequest { grace, undo, reconcile, dry_run, yes } = asked;
        let started = gc::start(&caller, &GcRequest { grace, undo, reconcile, dry_run, yes }).await?;
        Ok(Response::new(v1::GarbageCollectResponse { id: started.id }))
    }

    async fn get_gc_status(
        &self,
        request: Request<v1::GetGcStatusRequest>,
    ) -> Result<Response<v1::GetGcStatusResponse>, Status> {
        let (caller, _) = taken(request)?;
        Ok(Response::new(keeping::gc_status(gc::status(&caller).await?)))
    }

    async fn run_retention(
        &self,
        request: Request<v1::RunRetentionRequest>,
    ) -> Result<Response<v1::RunRetentionResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let v1::RunRetentionRequest { dry_run, yes, repositories } = asked;
        let started = retention::start(&caller, RetentionRequest { dry_run, yes, repositories }).await?;
        Ok(Response::new(v1::RunRetentionResponse { id: started.id }))
    }
}
