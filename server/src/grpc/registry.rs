//! `RegistryService`: messages to arguments and back; no business.

use mcr_rpc::v1;
use mcr_rpc::v1::registry_service_server::RegistryService;
use tonic::{Request, Response, Status};

use super::convert::{self, page};
use super::{Services, taken};
use crate::api::repositories::{self as api, Filter};
use crate::api::{repository_name, tag_name};

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
}
