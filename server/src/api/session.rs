//! Logging in, logging out, who one is; never how a password is checked.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, Caller, Time};

/// A password to be exchanged for a token.
#[derive(Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The account's name.
    pub username: String,
    /// Its password.
    #[schema(format = Password)]
    pub password: String,
}

impl std::fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginRequest").field("username", &self.username).field("password", &"***").finish()
    }
}

/// A token that stands for the account until it ends.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Session {
    /// To be sent as `Authorization: Bearer …`.
    pub token: String,
    /// When it ends.
    pub expires_at: Time,
    /// The account's name.
    pub account: String,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("account", &self.account).field("expires_at", &self.expires_at).finish()
    }
}

/// Who the caller is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WhoAmI {
    /// The account's name.
    pub account: String,
    /// What rules know it by (`subject_uuid`).
    pub subject: String,
    /// `anonymous`, `human`, `system`.
    pub account_type: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// Whether no rule refuses it anything.
    pub admin: bool,
    /// What the credential was limited to, in the grammar of token scopes; null where it was not.
    pub scope: Option<String>,
}

/// Exchanges a password for a token.
///
/// # Errors
/// [`ApiError`]: wrong, too many, or nobody to ask.
pub async fn login(caller: &Caller, request: &LoginRequest) -> Result<Session, ApiError> {
    let session = caller.edge.gate.login(&request.username, &request.password, &caller.peer).await?;
    let (account, expires_at) = (session.account.name.clone(), Time(session.expires_at_ms));
    Ok(Session { token: session.token, expires_at, account })
}

/// Ends the token the request came with.
///
/// # Errors
/// [`ApiError`]: none came with it, or one that cannot be ended.
pub async fn logout(caller: &Caller) -> Result<(), ApiError> {
    let Some(token) = &caller.bearer else {
        caller.logged_in()?;
        let message = "nothing to log out from: the request came without a Bearer token";
        return Err(ApiError::Invalid(message.to_owned()));
    };
    Ok(caller.edge.gate.logout(token, &caller.peer).await?)
}

/// Who the caller is.
///
/// # Errors
/// [`ApiError::Unauthenticated`].
pub fn who_am_i(caller: &Caller) -> Result<WhoAmI, ApiError> {
    caller.logged_in()?;
    let identity = &caller.identity;
    let account = identity.holder();
    Ok(WhoAmI {
        account: account.name.clone(),
        subject: account.subject.clone(),
        account_type: account.kind.as_str().to_owned(),
        roles: account.roles.clone(),
        admin: identity.is_admin(),
        scope: identity.scope().map(ToString::to_string),
    })
}
