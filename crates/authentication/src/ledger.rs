//! What the gate asks of the registry: rules, API tokens, ended logins, the audit trail; never how it keeps them.

use std::pin::Pin;
use std::sync::Arc;

use mcr_access::Policy;
use mcr_registry::{ApiToken, LoginEvent, Registry};
use serde_json::Value;

use crate::settings::Denied;

/// A future that a port hands out.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The registry as the gate sees it. Tests have a small one.
pub(crate) trait Ledger: Send + Sync {
    /// The rules in force.
    fn policy(&self) -> Arc<Policy>;
    /// Whose API token this is. Memory only, in constant time.
    fn api_token(&self, presented: &str) -> Option<ApiToken>;
    /// Whether a login was ended. Memory only.
    fn is_revoked(&self, id: &str) -> bool;
    /// Ends a login that would end by itself at `until_ms`.
    fn revoke<'a>(&'a self, id: &'a str, until_ms: i64) -> Answer<'a, Result<(), Denied>>;
    /// Appends an event beside its cause.
    fn record(&self, event: LoginEvent, account: &str, address: Option<&str>, details: Value);
}

impl Ledger for Registry {
    fn policy(&self) -> Arc<Policy> {
        Self::policy(self)
    }

    fn api_token(&self, presented: &str) -> Option<ApiToken> {
        Self::api_token(self, presented)
    }

    fn is_revoked(&self, id: &str) -> bool {
        Self::is_revoked(self, id)
    }

    fn revoke<'a>(&'a self, id: &'a str, until_ms: i64) -> Answer<'a, Result<(), Denied>> {
        Box::pin(async move {
            self.revoke_session(id, until_ms).await.map_err(|error| {
                tracing::warn!(%error, "the end of a login could not be written down");
                let message = "the end of the login could not be written down; try again".to_owned();
                Denied::Unavailable { message, retry_after: 5 }
            })
        })
    }

    fn record(&self, event: LoginEvent, account: &str, address: Option<&str>, details: Value) {
        self.record_login(event, account, address, details);
    }
}
