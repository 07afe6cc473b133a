//! `PolicyService`: messages to arguments and back; no business.

use mcr_rpc::v1;
use mcr_rpc::v1::policy_service_server::PolicyService;
use tonic::{Request, Response, Status};

use super::convert::{page, rule};
use super::{Services, taken};
use crate::api::policy as api;

#[tonic::async_trait]
impl PolicyService for Services {
    async fn list_policy_rules(
        &self,
        request: Request<v1::ListPolicyRulesRequest>,
    ) -> Result<Response<v1::ListPolicyRulesResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let found = api::list(&caller, &page(asked.n, asked.last))?;
        let rules = found.rules.into_iter().map(rule).collect();
        Ok(Response::new(v1::ListPolicyRulesResponse { rules, next: found.next }))
    }

    async fn get_policy_rule(
        &self,
        request: Request<v1::GetPolicyRuleRequest>,
    ) -> Result<Response<v1::GetPolicyRuleResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let found = rule(api::get(&caller, asked.id)?);
        Ok(Response::new(v1::GetPolicyRuleResponse { rule: Some(found) }))
    }

    async fn create_policy_rule(
        &self,
        request: Request<v1::CreatePolicyRuleRequest>,
    ) -> Result<Response<v1::CreatePolicyRuleResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let new = api::NewRule {
            priority: asked.priority,
            description: asked.description,
            effect: asked.effect,
            actions: asked.actions,
            roles: asked.roles,
            account_types: asked.account_types,
            subject_uuid: asked.subject_uuid,
            repositories: asked.repositories,
            enabled: asked.enabled.unwrap_or(true),
        };
        let made = rule(api::create(&caller, new).await?);
        Ok(Response::new(v1::CreatePolicyRuleResponse { rule: Some(made) }))
    }

    async fn update_policy_rule(
        &self,
        request: Request<v1::UpdatePolicyRuleRequest>,
    ) -> Result<Response<v1::UpdatePolicyRuleResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let values = |list: Option<v1::StringList>| list.map(|list| list.values);
        let change = api::RuleChange {
            priority: asked.priority,
            description: asked.description,
            effect: asked.effect,
            actions: values(asked.actions),
            roles: values(asked.roles),
            account_types: values(asked.account_types),
            subject_uuid: asked.subject_uuid.map(|subject| Some(subject).filter(|subject| !subject.is_empty())),
            repositories: values(asked.repositories),
            enabled: asked.enabled,
        };
        let changed = rule(api::update(&caller, asked.id, change).await?);
        Ok(Response::new(v1::UpdatePolicyRuleResponse { rule: Some(changed) }))
    }

    async fn delete_policy_rule(
        &self,
        request: Request<v1::DeletePolicyRuleRequest>,
    ) -> Result<Response<v1::DeletePolicyRuleResponse>, Status> {
        let (caller, asked) = taken(request)?;
        api::delete(&caller, asked.id).await?;
        Ok(Response::new(v1::DeletePolicyRuleResponse {}))
    }

    async fn explain(&self, request: Request<v1::ExplainRequest>) -> Result<Response<v1::ExplainResponse>, Status> {
        let (caller, asked) = taken(request)?;
        let question = api::Question {
            subject: asked.subject,
            action: asked.action,
            repository: asked.repository,
            roles: asked.roles.map(|roles| roles.values),
            account_type: asked.account_type,
        };
        let found = api::explain(&caller, &question)?;
        let (allowed, reason) = (found.allowed, found.reason);
        Ok(Response::new(v1::ExplainResponse { allowed, rule: found.rule.map(rule), reason }))
    }
}
