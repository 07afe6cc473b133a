//! What the identity service says, read with tolerance for its spelling and none for doubt; never a request.

use std::fmt;

use mcr_access::AccountKind;
use serde_json::Value;

use super::Trouble;
use crate::names::{is_name, is_text};

/// Longest identity token that is taken, in bytes: encrypted in a token of ours it must still fit a header.
pub(crate) const MAX_IDENTITY_TOKEN: usize = 5 << 10;
/// Most roles of an account, and the longest, in bytes.
const MAX_ROLES: usize = 64;
const MAX_ROLE: usize = 128;

/// A token the service gave.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IdentityToken {
    pub(crate) token: String,
    /// When it runs out, in Unix milliseconds, where the service said so.
    pub(crate) expires_at_ms: Option<i64>,
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityToken").field("expires_at_ms", &self.expires_at_ms).finish_non_exhaustive()
    }
}

impl IdentityToken {
    /// Reads the answer to a login; none where it is not one.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let token = body.get("token")?.as_str().filter(|token| is_token(token))?;
        let expires_at_ms = match body.get("expires_at").or_else(|| body.get("exp")) {
            None | Some(Value::Null) => None,
            Some(value) => Some(time(value)?),
        };
        Some(Self { token: token.to_owned(), expires_at_ms })
    }
}

/// Whether a text can be a bearer token: printable, without spaces, not too long.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_IDENTITY_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdentityClaims {
    pub(crate) subject: String,
    /// The name people know the account by, where the service said it.
    pub(crate) name: Option<String>,
    pub(crate) kind: AccountKind,
    pub(crate) roles: Vec<String>,
    /// When the token runs out, in Unix milliseconds, where the service said so.
    pub(crate) expires_at_ms: Option<i64>,
}

impl IdentityClaims {
    /// Reads the answer to a validation.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Trouble> {
        let garbage = || Trouble::garbage("its answer to a validation cannot be understood");
        let body: Value = serde_json::from_slice(body).map_err(|_| garbage())?;
        // RFC 7662 calls it `active`.
        match body.get("valid").or_else(|| body.get("active")) {
            Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Err(Trouble::Wrong),
            // Claims alone say it too; an error beside them does not.
            None if body.is_object() && body.get("error").is_none() => {}
            _ => return Err(garbage()),
        }
        let claims = body.get("claims").filter(|claims| claims.is_object()).unwrap_or(&body);
        let text = |names: &[&str]| match names.iter().find_map(|name| claims.get(*name)) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if is_name(text) => Ok(Some(text.clone())),
            Some(_) => Err(garbage()),
        };
        let name = text(&["username", "name"])?;
        let subject = text(&["sub", "subject", "subject_uuid", "user_id", "uuid", "account_id"])?;
        let subject = subject.ok_or_else(garbage)?;
        let kind = match text(&["account_type", "type"])?.as_deref() {
            None | Some("human" | "user") => AccountKind::Human,
            // Whatever else it is, it is no person, and gets nothing but what rules give it.
            Some(_) => AccountKind::System,
        };
        let expires_at_ms = match claims.get("expires_at").or_else(|| claims.get("exp")) {
            None | Some(Value::Null) => None,
            Some(value) => Some(time(value).ok_or_else(garbage)?),
        };
        let roles = roles(claims.get("roles")).ok_or_else(garbage)?;
        Ok(Self { subject, name, kind, roles, expires_at_ms })
    }
}

fn roles(value: Option<&Value>) -> Option<Vec<String>> {
    let list = match value {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(value) => value.as_array().filter(|list| list.len() <= MAX_ROLES)?,
    };
    let role = |value: &Value| value.as_str().filter(|role| role.len() <= MAX_ROLE && is_text(role)).map(str::to_owned);
    list.iter().map(role).collect()
}

/// Unix milliseconds of RFC 3339 or Unix seconds.
fn time(value: &Value) -> Option<i64> {
    if let Some(text) = value.as_str() {
        return text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    }
    value.as_i64().and_then(|seconds| seconds.checked_mul(1000))
}
