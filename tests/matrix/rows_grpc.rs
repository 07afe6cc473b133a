//! The rows of `mcr.v1` over gRPC; never who asks.

use std::time::Duration;

use mcr_rpc::v1;
use prost::Message as _;

use crate::rows::{Act, Row};
use crate::rows_keeping;
use crate::rows_rest::{foreign_token, made_rule, own_session, own_token, pair};
use crate::world::READ;

pub(crate) fn row(path: &'static str, note: &'static str, act: Act) -> Row {
    Row { method: "", path, note, act }
}

/// The rows of gRPC.
pub(crate) fn grpc() -> Vec<Row> {
    [
        registry(),
        rows_keeping::registry(),
        policy(),
        audit(),
        admin(),
        rows_keeping::admin(),
        tokens(),
        integrity(),
        others(),
    ]
    .concat()
}

fn registry() -> Vec<Row> {
    vec![
        row("mcr.v1.RegistryService/ListRepositories", "", |cell, _| {
            let message = v1::ListRepositoriesRequest::default().encode_to_vec();
            cell.call("mcr.v1.RegistryService/ListRepositories", &message)
        }),
        row("mcr.v1.RegistryService/GetRepository", "", |cell, _| {
            let message = v1::GetRepositoryRequest { name: READ.to_owned(), ..Default::default() };
            cell.call("mcr.v1.RegistryService/GetRepository", &message.encode_to_vec())
        }),
        row("mcr.v1.RegistryService/DeleteRepository", "", |cell, _| {
            let message = v1::DeleteRepositoryRequest { name: cell.place() };
            cell.call("mcr.v1.RegistryService/DeleteRepository", &message.encode_to_vec())
        }),
        row("mcr.v1.RegistryService/ListTags", "", |cell, _| {
            let message = v1::ListTagsRequest { name: READ.to_owned(), ..Default::default() };
            cell.call("mcr.v1.RegistryService/ListTags", &message.encode_to_vec())
        }),
        row("mcr.v1.RegistryService/DeleteTag", "", |cell, _| {
            let message = v1::DeleteTagRequest { name: cell.place(), tag: "v1".to_owned() };
            cell.call("mcr.v1.RegistryService/DeleteTag", &message.encode_to_vec())
        }),
        row("mcr.v1.RegistryService/TagHistory", "", |cell, _| {
            let message = v1::TagHistoryRequest { name: READ.to_owned(), tag: "v1".to_owned(), ..Default::default() };
            cell.call("mcr.v1.RegistryService/TagHistory", &message.encode_to_vec())
        }),
    ]
}

fn policy() -> Vec<Row> {
    vec![
        row("mcr.v1.PolicyService/ListPolicyRules", "", |cell, _| {
            let message = v1::ListPolicyRulesRequest::default().encode_to_vec();
            cell.call("mcr.v1.PolicyService/ListPolicyRules", &message)
        }),
        row("mcr.v1.PolicyService/GetPolicyRule", "", |cell, _| {
            let message = v1::GetPolicyRuleRequest { id: made_rule(cell) }.encode_to_vec();
            cell.call("mcr.v1.PolicyService/GetPolicyRule", &message)
        }),
        row("mcr.v1.PolicyService/CreatePolicyRule", "", |cell, _| {
            let message = v1::CreatePolicyRuleRequest {
                priority: 500,
                effect: "deny".to_owned(),
                actions: vec!["registry:pull".to_owned()],
                repositories: vec!["none/at/all".to_owned()],
                enabled: Some(false),
                ..Default::default()
            };
            cell.call("mcr.v1.PolicyService/CreatePolicyRule", &message.encode_to_vec())
        }),
        row("mcr.v1.PolicyService/UpdatePolicyRule", "", |cell, _| {
            let (id, description) = (made_rule(cell), Some("changed".to_owned()));
            let message = v1::UpdatePolicyRuleRequest { id, description, ..Default::default() };
            cell.call("mcr.v1.PolicyService/UpdatePolicyRule", &message.encode_to_vec())
        }),
        row("mcr.v1.PolicyService/DeletePolicyRule", "", |cell, _| {
            let message = v1::DeletePolicyRuleRequest { id: made_rule(cell) }.encode_to_vec();
            cell.call("mcr.v1.PolicyService/DeletePolicyRule", &message)
        }),
        row("mcr.v1.PolicyService/Explain", "", |cell, _| {
            let (subject, action, repository) = ("x".to_owned(), "pull".to_owned(), Some(READ.to_owned()));
            let message = v1::ExplainRequest { subject, action, repository, ..Default::default() };
            cell.call("mcr.v1.PolicyService/Explain", &message.encode_to_vec())
        }),
    ]
}

fn audit() -> Vec<Row> {
    vec![
        row("mcr.v1.AuditService/ListAuditEvents", "", |cell, _| {
            let message = v1::ListAuditEventsRequest { n: Some(1), ..Default::default() }.encode_to_vec();
            cell.call("mcr.v1.AuditService/ListAuditEvents", &message)
        }),
        row("mcr.v1.AuditService/VerifyAudit", "", |cell, _| {
            let message = v1::VerifyAuditRequest::default().encode_to_vec();
            cell.call("mcr.v1.AuditService/VerifyAudit", &message)
        }),
    ]
}

fn admin() -> Vec<Row> {
    vec![
        row("mcr.v1.AdminService/Health", "", |cell, _| {
            cell.call("mcr.v1.AdminService/Health", &v1::HealthRequest::default().encode_to_vec())
        }),
        row("mcr.v1.AdminService/Login", "with what one has as password", |cell, _| {
            let (username, password) = pair(cell);
            let message = v1::LoginRequest { username, password }.encode_to_vec();
            cell.call_with(None, "mcr.v1.AdminService/Login", &message)
        }),
        row("mcr.v1.AdminService/Logout", "", |cell, _| {
            let message = v1::LogoutRequest::default().encode_to_vec();
            cell.call_with(own_session(cell).as_deref(), "mcr.v1.AdminService/Logout", &message)
        }),
        row("mcr.v1.AdminService/WhoAmI", "", |cell, _| {
            cell.call("mcr.v1.AdminService/WhoAmI", &v1::WhoAmIRequest::default().encode_to_vec())
        }),
        row("mcr.v1.AdminService/GetReadOnly", "", |cell, _| {
            cell.call("mcr.v1.AdminService/GetReadOnly", &v1::GetReadOnlyRequest::default().encode_to_vec())
        }),
        row("mcr.v1.AdminService/SetReadOnly", "", |cell, _| {
            let message = v1::SetReadOnlyRequest { read_only: false, reason: None }.encode_to_vec();
            cell.call("mcr.v1.AdminService/SetReadOnly", &message)
        }),
    ]
}

fn tokens() -> Vec<Row> {
    vec![
        row("mcr.v1.AdminService/CreateToken", "", |cell, _| {
            let ends = jiff::Timestamp::now() + Duration::from_secs(600);
            let message = v1::CreateTokenRequest {
                name: "m".to_owned(),
                actions: vec!["pull".to_owned()],
                repositories: vec!["**".to_owned()],
                expires_at: Some(mcr_rpc::timestamp(ends.as_millisecond())),
            };
            cell.call("mcr.v1.AdminService/CreateToken", &message.encode_to_vec())
        }),
        row("mcr.v1.AdminService/ListTokens", "", |cell, _| {
            cell.call("mcr.v1.AdminService/ListTokens", &v1::ListTokensRequest::default().encode_to_vec())
        }),
        row("mcr.v1.AdminService/RevokeToken", "one's own", |cell, _| {
            let message = v1::RevokeTokenRequest { id: own_token(cell) }.encode_to_vec();
            cell.call("mcr.v1.AdminService/RevokeToken", &message)
        }),
        row("mcr.v1.AdminService/RevokeToken", "somebody else's", |cell, _| {
            let message = v1::RevokeTokenRequest { id: foreign_token(cell) }.encode_to_vec();
            cell.call("mcr.v1.AdminService/RevokeToken", &message)
        }),
    ]
}

fn integrity() -> Vec<Row> {
    vec![
        row("mcr.v1.IntegrityService/GetIntegrity", "", |cell, _| {
            let message = v1::GetIntegrityRequest::default().encode_to_vec();
            cell.call("mcr.v1.IntegrityService/GetIntegrity", &message)
        }),
        row("mcr.v1.IntegrityService/Verify", "", |cell, _| {
            let message = v1::VerifyRequest { repository: READ.to_owned(), reference: "v1".to_owned() };
            cell.call("mcr.v1.IntegrityService/Verify", &message.encode_to_vec())
        }),
    ]
}

fn others() -> Vec<Row> {
    vec![
        // A request to list the services: field 7, an empty text.
        row("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "", |cell, _| {
            cell.call("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &[0x3a, 0])
        }),
        row("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "", |cell, _| {
            cell.call("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &[0x3a, 0])
        }),
        row("mcr.v1.AdminService/<nothing>", "no method", |cell, _| cell.call("mcr.v1.AdminService/Nothing", &[])),
        row("<nothing>", "no service", |cell, _| cell.call("mcr.v1.NoService/Nothing", &[])),
    ]
}
