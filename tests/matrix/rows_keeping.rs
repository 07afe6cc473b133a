//! The rows of what keeps, deletes and brings back, over REST and gRPC; never who asks.
//!
//! What would begin a run or be answered 409 while another one is under way is asked so that only the permission
//! decides: who may ask for it is told what is wrong with the request.

use mcr_rpc::v1;
use prost::Message as _;
use serde_json::json;

use crate::cell::Ask;
use crate::rows::{Row, each};
use crate::rows_grpc::row;

const READS: [&str; 2] = ["GET", "HEAD"];
/// A plan that is none.
const NO_PLAN: &str = "00000000000000000000000000000000";

/// The rows of REST.
pub(crate) fn rest(rows: &mut Vec<Row>) {
    restores(rows);
    each(rows, &["POST"], "/v1/gc", "with a grace that is none", |cell, method| {
        cell.ask(method, "/v1/gc", &Ask::json(&json!({"grace": "soon"})))
    });
    each(rows, &READS, "/v1/gc/status", "", |cell, method| cell.ask(method, "/v1/gc/status", &Ask::plain()));
    each(rows, &["POST"], "/v1/retention/run", "with a pattern that is none", |cell, method| {
        cell.ask(method, "/v1/retention/run", &Ask::json(&json!({"repositories": ["NO"]})))
    });
    each(rows, &READS, "/v1/plans", "", |cell, method| cell.ask(method, "/v1/plans", &Ask::plain()));
    each(rows, &["GET", "HEAD", "DELETE"], "/v1/plans/{id}", "of no plan", |cell, method| {
        cell.ask(method, &format!("/v1/plans/{NO_PLAN}"), &Ask::plain())
    });
    each(rows, &["POST"], "/v1/plans/{id}/confirm", "of no plan", |cell, method| {
        cell.ask(method, &format!("/v1/plans/{NO_PLAN}/confirm"), &Ask::plain())
    });
    each(rows, &["POST"], "/v1/plans/{id}/discard", "of no plan", |cell, method| {
        cell.ask(method, &format!("/v1/plans/{NO_PLAN}/discard"), &Ask::plain())
    });
    each(rows, &READS, "/v1/snapshot", "", |cell, method| cell.ask(method, "/v1/snapshot", &Ask::plain()));
    each(rows, &["POST"], "/v1/snapshot", "", |cell, method| cell.ask(method, "/v1/snapshot", &Ask::plain()));
}

fn restores(rows: &mut Vec<Row>) {
    each(rows, &["POST"], "/v1/repositories/{name}/tags/{tag}/restore", "of a deleted tag", |cell, method| {
        let name = cell.place();
        let _ = cell.world.admin.delete(&format!("/v1/repositories/{name}/tags/v1")).expect(204);
        cell.ask(method, &format!("/v1/repositories/{name}/tags/v1/restore"), &Ask::plain())
    });
    each(rows, &["POST"], "/v1/repositories/{name}/manifests/{digest}/restore", "", |cell, method| {
        let (name, digest) = (cell.place(), cell.world.image.digest());
        let _ = cell.world.admin.delete(&format!("/v2/{name}/manifests/{digest}")).expect(202);
        cell.ask(method, &format!("/v1/repositories/{name}/manifests/{digest}/restore"), &Ask::plain())
    });
    each(rows, &["POST"], "/v1/repositories/{name}/restore", "", |cell, method| {
        let name = cell.place();
        let _ = cell.world.admin.delete(&format!("/v1/repositories/{name}")).expect(200);
        cell.ask(method, &format!("/v1/repositories/{name}/restore"), &Ask::plain())
    });
    each(rows, &["POST"], "/v1/restore", "of no run", |cell, method| {
        cell.ask(method, "/v1/restore", &Ask::json(&json!({"run": NO_PLAN})))
    });
}

/// The rows of `RegistryService`.
pub(crate) fn registry() -> Vec<Row> {
    vec![
        row("mcr.v1.RegistryService/RestoreTag", "of a deleted tag", |cell, _| {
            let name = cell.place();
            let _ = cell.world.admin.delete(&format!("/v1/repositories/{name}/tags/v1")).expect(204);
            let message = v1::RestoreTagRequest { name, tag: "v1".to_owned(), to: None };
            cell.call("mcr.v1.RegistryService/RestoreTag", &message.encode_to_vec())
        }),
        row("mcr.v1.RegistryService/RestoreManifest", "", |cell, _| {
            let (name, digest) = (cell.place(), cell.world.image.digest().to_string());
            let _ = cell.world.admin.delete(&format!("/v2/{name}/manifests/{digest}")).expect(202);
            let message = v1::RestoreManifestRequest { name, digest };
            cell.call("mcr.v1.RegistryService/RestoreManifest", &message.encode_to_vec())
        }),
        row("mcr.v1.RegistryService/RestoreRepository", "", |cell, _| {
            let name = cell.place();
            let _ = cell.world.admin.delete(&format!("/v1/repositories/{name}")).expect(200);
            let message = v1::RestoreRepositoryRequest { name };
            cell.call("mcr.v1.RegistryService/RestoreRepository", &message.encode_to_vec())
        }),
        row("mcr.v1.RegistryService/RestoreRun", "of no run", |cell, _| {
            let message = v1::RestoreRunRequest { run: Some(NO_PLAN.to_owned()), ..Default::default() };
            cell.call("mcr.v1.RegistryService/RestoreRun", &message.encode_to_vec())
        }),
        row("mcr.v1.RegistryService/GarbageCollect", "with a grace that is none", |cell, _| {
            let message = v1::GarbageCollectRequest { grace: Some("soon".to_owned()), ..Default::default() };
            cell.call("mcr.v1.RegistryService/GarbageCollect", &message.encode_to_vec())
        }),
        row("mcr.v1.RegistryService/GetGCStatus", "", |cell, _| {
            cell.call("mcr.v1.RegistryService/GetGCStatus", &v1::GetGcStatusRequest::default().encode_to_vec())
        }),
        row("mcr.v1.RegistryService/RunRetention", "with a pattern that is none", |cell, _| {
            let message = v1::RunRetentionRequest { repositories: vec!["NO".to_owned()], ..Default::default() };
            cell.call("mcr.v1.RegistryService/RunRetention", &message.encode_to_vec())
        }),
    ]
}

/// The rows of `AdminService`.
pub(crate) fn admin() -> Vec<Row> {
    vec![
        row("mcr.v1.AdminService/Snapshot", "", |cell, _| {
            cell.call("mcr.v1.AdminService/Snapshot", &v1::SnapshotRequest::default().encode_to_vec())
        }),
        row("mcr.v1.AdminService/ListSnapshots", "", |cell, _| {
            cell.call("mcr.v1.AdminService/ListSnapshots", &v1::ListSnapshotsRequest::default().encode_to_vec())
        }),
        row("mcr.v1.AdminService/ListPlans", "", |cell, _| {
            cell.call("mcr.v1.AdminService/ListPlans", &v1::ListPlansRequest::default().encode_to_vec())
        }),
        row("mcr.v1.AdminService/GetPlan", "of no plan", |cell, _| {
            let message = v1::GetPlanRequest { id: NO_PLAN.to_owned(), ..Default::default() };
            cell.call("mcr.v1.AdminService/GetPlan", &message.encode_to_vec())
        }),
        row("mcr.v1.AdminService/ConfirmPlan", "of no plan", |cell, _| {
            let message = v1::ConfirmPlanRequest { id: NO_PLAN.to_owned() };
            cell.call("mcr.v1.AdminService/ConfirmPlan", &message.encode_to_vec())
        }),
        row("mcr.v1.AdminService/DiscardPlan", "of no plan", |cell, _| {
            let message = v1::DiscardPlanRequest { id: NO_PLAN.to_owned() };
            cell.call("mcr.v1.AdminService/DiscardPlan", &message.encode_to_vec())
        }),
    ]
}
