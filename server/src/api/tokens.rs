//! API tokens: made, listed, revoked; never checked.

use mcr_registry::TokenRecord;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words::TokenAction;
use super::{ApiError, Caller, Page, Time, page};

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    #[schema(min_length = 1)]
    pub name: String,
    /// `pull`, `push`, `delete`, `catalog`.
    #[schema(value_type = Vec<TokenAction>)]
    pub actions: Vec<String>,
    /// Patterns of repository names: `*` within a segment, `**` across.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// When it ends: at most 366 days from now.
    #[serde(default)]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Option<Time>,
}

/// A token; its secret is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApiToken {
    /// Its number.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The account that made it, and that it acts for.
    pub owner: String,
    /// What it may do.
    #[schema(value_type = Vec<TokenAction>)]
    pub actions: Vec<String>,
    /// Where.
    pub repositories: Vec<String>,
    /// When it was made.
    pub created_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// When it was last used, to a minute; null before.
    pub last_used_at: Option<Time>,
    /// When it was revoked; null where it was not.
    pub revoked_at: Option<Time>,
}

/// A token just made, with its secret.
#[derive(Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MadeToken {
    /// All but the secret.
    #[serde(flatten)]
    pub record: ApiToken,
    /// The secret, shown this once: a Bearer token, or the password of any username.
    pub token: String,
}

impl std::fmt::Debug for MadeToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeToken").field("record", &self.record).finish_non_exhaustive()
    }
}

/// A page of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenList {
    /// The caller's; all of them for administrators. Newest first.
    pub tokens: Vec<ApiToken>,
    /// Where the next page begins; null on the last one.
    pub next: Option<String>,
}

/// Makes a token for the caller's account.
///
/// # Errors
/// [`ApiError`].
pub async fn create(caller: &Caller, new: NewToken) -> Result<MadeToken, ApiError> {
    caller.logged_in()?;
    let Some(Time(expires_at_ms)) = new.expires_at else {
        return Err(ApiError::Invalid("expires_at: must be given: a token that never ends is one too many".to_owned()));
    };
    let NewToken { name, actions, repositories, .. } = new;
    let new = mcr_registry::NewToken { name, actions, repositories, expires_at_ms };
    let (made, token) = caller.edge.registry.create_token(&caller.identity, new).await?;
    Ok(MadeToken { record: record(made), token })
}

/// The caller's tokens; all of them for administrators.
///
/// # Errors
/// [`ApiError`].
pub fn list(caller: &Caller, page: &Page) -> Result<TokenList, ApiError> {
    caller.logged_in()?;
    let (after, limit) = (page.cursor()?, page.limit(page::DEFAULT)?);
    let mut tokens = caller.edge.registry.tokens(&caller.identity)?;
    if let Some(after) = after {
        let Some(place) = tokens.iter().position(|token| token.id == after) else {
            return Err(ApiError::Invalid("last is not the next of a page of tokens".to_owned()));
        };
        tokens.drain(..=place);
    }
    let more = tokens.len() > limit;
    tokens.truncate(limit);
    let next = tokens.last().filter(|_| more).map(|token| token.id.clone());
    Ok(TokenList { tokens: tokens.into_iter().map(record).collect(), next })
}

/// Revokes one of the caller's tokens; any for administrators.
///
/// # Errors
/// [`ApiError`].
pub async fn revoke(caller: &Caller, id: &str) -> Result<(), ApiError> {
    caller.logged_in()?;
    Ok(caller.edge.registry.revoke_token(&caller.identity, id).await?)
}

fn record(record: TokenRecord) -> ApiToken {
    ApiToken {
        id: record.id,
        name: record.name,
        owner: record.owner,
        actions: record.actions,
        repositories: record.repositories,
        created_at: Time(record.created_at_ms),
        expires_at: Time(record.expires_at_ms),
        last_used_at: record.last_used_at_ms.map(Time),
        revoked_at: record.revoked_at_ms.map(Time),
    }
}
