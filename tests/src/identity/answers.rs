//! What each endpoint of the stand-in answers when it is well; never a socket.

use serde_json::{Value, json};

use super::State;
use super::people::rfc3339;

/// A request as far as it matters.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) bearer: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Asked {
    fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether moods are about it.
    pub(super) fn is_moody(&self) -> bool {
        matches!(self.path.as_str(), "/v1/auth/login" | "/v1/token/validate")
    }
}

/// Status and body.
pub(super) fn answer(state: &mut State, asked: &Asked) -> (u16, Option<Value>) {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/v1/auth/login") => log_in(state, asked),
        ("POST", "/v1/token/validate") => validate(state, asked),
        ("POST", "/v1/auth/logout") => log_out(state, asked),
        ("GET", "/v1/health") => (200, Some(json!({"status": "ok"}))),
        _ => (404, Some(json!({"error": "no such endpoint"}))),
    }
}

pub(super) fn count(state: &mut State, asked: &Asked) {
    let counts = &mut state.counts;
    *match asked.path.as_str() {
        "/v1/auth/login" => &mut counts.logins,
        "/v1/token/validate" => &mut counts.validations,
        "/v1/auth/logout" => &mut counts.logouts,
        _ => &mut counts.others,
    } += 1;
}

fn log_in(state: &mut State, asked: &Asked) -> (u16, Option<Value>) {
    let body = asked.json().unwrap_or_default();
    let (Some(name), Some(password)) = (body["username"].as_str(), body["password"].as_str()) else {
        return (400, Some(json!({"error": "username and password are required"})));
    };
    state.last_login = json!({"service_name": body["service_name"], "tags": body["tags"]});
    match state.people.log_in(name, password) {
        Some((token, ends)) => (200, Some(json!({"token": token, "expires_at": rfc3339(ends)}))),
        None => (401, Some(json!({"error": "invalid credentials"}))),
    }
}

fn validate(state: &mut State, asked: &Asked) -> (u16, Option<Value>) {
    let body = asked.json().unwrap_or_default();
    let Some(token) = body["token"].as_str().map(str::to_owned) else {
        return (400, Some(json!({"error": "token is required"})));
    };
    let said = state.people.validate(&token);
    state.validated.push(token);
    (200, Some(said))
}

fn log_out(state: &mut State, asked: &Asked) -> (u16, Option<Value>) {
    let inside = asked.json().and_then(|body| body["token"].as_str().map(str::to_owned));
    match asked.bearer.clone().or(inside) {
        Some(token) if state.people.log_out(&token) => (204, None),
        _ => (401, Some(json!({"error": "invalid token"}))),
    }
}
