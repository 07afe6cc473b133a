//! The rows of the admin API over REST; never who asks.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cell::{Ask, Cell};
use crate::rows::{Row, each};
use crate::rows_keeping;
use crate::world::{Holds, READ, send_json};

const READS: [&str; 2] = ["GET", "HEAD"];

/// The rows of `/v1/`.
pub(crate) fn rest() -> Vec<Row> {
    let mut rows = Vec::new();
    sessions(&mut rows);
    repositories(&mut rows);
    policy(&mut rows);
    audit(&mut rows);
    tokens(&mut rows);
    rows_keeping::rest(&mut rows);
    state(&mut rows);
    each(&mut rows, &["GET"], "/v1/<nothing>", "no endpoint", |cell, method| {
        cell.ask(method, "/v1/nothing", &Ask::plain())
    });
    each(&mut rows, &["PUT"], "/v1/repositories", "no method of it", |cell, method| {
        cell.ask(method, "/v1/repositories", &Ask::plain())
    });
    rows
}

/// Name and password of the caller; of who has none, those of somebody who does not exist.
pub(crate) fn pair(cell: &Cell<'_>) -> (String, String) {
    // Another name each time, or the limit on wrong passwords would answer.
    cell.hand.pair.clone().unwrap_or_else(|| (cell.fresh_name().replace('/', "-"), "wrong".to_owned()))
}

/// A token that only this cell ends: of a login, where the caller can log in; else what it has.
pub(crate) fn own_session(cell: &Cell<'_>) -> Option<String> {
    let token = match cell.column.holds {
        Holds::Account(mcr_tests::accounts::MACHINE) => cell.world.hand(cell.column.holds).bearer,
        Holds::Account(name) => Some(cell.world.session(name)),
        _ => cell.hand.bearer.clone(),
    };
    token.map(|token| format!("Bearer {token}"))
}

fn sessions(rows: &mut Vec<Row>) {
    each(rows, &["POST"], "/v1/auth/login", "with what one has as password", |cell, method| {
        let (name, password) = pair(cell);
        cell.ask_with(None, method, "/v1/auth/login", &Ask::json(&json!({"username": name, "password": password})))
    });
    each(rows, &["POST"], "/v1/auth/logout", "", |cell, method| {
        cell.ask_with(own_session(cell).as_deref(), method, "/v1/auth/logout", &Ask::plain())
    });
    each(rows, &READS, "/v1/auth/whoami", "", |cell, method| cell.ask(method, "/v1/auth/whoami", &Ask::plain()));
}

fn repositories(rows: &mut Vec<Row>) {
    const ONE: &str = "/v1/repositories/{name}";
    each(rows, &READS, "/v1/repositories", "", |cell, method| cell.ask(method, "/v1/repositories", &Ask::plain()));
    each(rows, &READS, ONE, "", |cell, method| cell.ask(method, &format!("/v1/repositories/{READ}"), &Ask::plain()));
    each(rows, &["DELETE"], ONE, "", |cell, method| {
        cell.ask(method, &format!("/v1/repositories/{}", cell.place()), &Ask::plain())
    });
    each(rows, &READS, "/v1/repositories/{name}/tags", "", |cell, method| {
        cell.ask(method, &format!("/v1/repositories/{READ}/tags"), &Ask::plain())
    });
    each(rows, &["DELETE"], "/v1/repositories/{name}/tags/{tag}", "", |cell, method| {
        cell.ask(method, &format!("/v1/repositories/{}/tags/v1", cell.place()), &Ask::plain())
    });
    each(rows, &READS, "/v1/repositories/{name}/tags/{tag}/history", "", |cell, method| {
        cell.ask(method, &format!("/v1/repositories/{READ}/tags/v1/history"), &Ask::plain())
    });
}

/// A rule that is about nothing.
pub(crate) fn idle_rule() -> Value {
    json!({
        "priority": 500, "description": "matrix", "effect": "deny", "actions": ["registry:pull"], "enabled": false,
        "repositories": ["none/at/all"],
    })
}

fn policy(rows: &mut Vec<Row>) {
    const ONE: &str = "/v1/policy/rules/{id}";
    each(rows, &READS, "/v1/policy/rules", "", |cell, method| cell.ask(method, "/v1/policy/rules", &Ask::plain()));
    each(rows, &["POST"], "/v1/policy/rules", "", |cell, method| {
        cell.ask(method, "/v1/policy/rules", &Ask::json(&idle_rule()))
    });
    each(rows, &["GET", "HEAD", "DELETE"], ONE, "", |cell, method| {
        let id = made_rule(cell);
        cell.ask(method, &format!("/v1/policy/rules/{id}"), &Ask::plain())
    });
    each(rows, &["PATCH"], ONE, "", |cell, method| {
        let id = made_rule(cell);
        cell.ask(method, &format!("/v1/policy/rules/{id}"), &Ask::json(&json!({"description": "changed"})))
    });
    each(rows, &["POST"], "/v1/policy/explain", "", |cell, method| {
        let question = json!({"subject": "x", "action": "pull", "repository": READ});
        cell.ask(method, "/v1/policy/explain", &Ask::json(&question))
    });
}

fn audit(rows: &mut Vec<Row>) {
    each(rows, &READS, "/v1/audit", "", |cell, method| cell.ask(method, "/v1/audit?n=1", &Ask::plain()));
    each(rows, &READS, "/v1/audit/export", "", |cell, method| {
        cell.ask(method, "/v1/audit/export?format=jsonl&event=logout", &Ask::plain())
    });
    each(rows, &["POST"], "/v1/audit/verify", "", |cell, method| {
        cell.ask(method, "/v1/audit/verify", &Ask::json(&json!({})))
    });
}

/// The number of a token: the caller's own where it can make one, else the administrator's.
pub(crate) fn own_token(cell: &Cell<'_>) -> String {
    let owner = match cell.column.holds {
        Holds::Account(_) => cell.client.with_basic(&pair(cell).0, &pair(cell).1),
        _ => cell.world.registry.admin(),
    };
    cell.world.api_token(&owner, &["pull"], &["base/**"])["id"].as_str().unwrap().to_owned()
}

/// The number of a token of somebody else than any column.
pub(crate) fn foreign_token(cell: &Cell<'_>) -> String {
    let owner = cell.world.registry.account(mcr_tests::accounts::GUEST);
    let owner = if cell.column.name == "guest" { cell.world.registry.admin() } else { owner };
    cell.world.api_token(&owner, &["pull"], &["base/**"])["id"].as_str().unwrap().to_owned()
}

fn tokens(rows: &mut Vec<Row>) {
    const ONE: &str = "/v1/tokens/{id}";
    each(rows, &READS, "/v1/tokens", "", |cell, method| cell.ask(method, "/v1/tokens", &Ask::plain()));
    each(rows, &["POST"], "/v1/tokens", "", |cell, method| {
        let expires = jiff::Timestamp::now() + Duration::from_secs(600);
        let new = json!({"name": "m", "actions": ["pull"], "repositories": ["**"], "expires_at": expires.to_string()});
        cell.ask(method, "/v1/tokens", &Ask::json(&new))
    });
    each(rows, &["DELETE"], ONE, "one's own", |cell, method| {
        cell.ask(method, &format!("/v1/tokens/{}", own_token(cell)), &Ask::plain())
    });
    each(rows, &["DELETE"], ONE, "somebody else's", |cell, method| {
        cell.ask(method, &format!("/v1/tokens/{}", foreign_token(cell)), &Ask::plain())
    });
}

fn state(rows: &mut Vec<Row>) {
    each(rows, &READS, "/v1/read-only", "", |cell, method| cell.ask(method, "/v1/read-only", &Ask::plain()));
    each(rows, &["PUT"], "/v1/read-only", "", |cell, method| {
        cell.ask(method, "/v1/read-only", &Ask::json(&json!({"read_only": false})))
    });
    each(rows, &READS, "/v1/integrity", "", |cell, method| cell.ask(method, "/v1/integrity", &Ask::plain()));
    each(rows, &["POST"], "/v1/integrity/verify", "", |cell, method| {
        let wanted = json!({"repository": READ, "reference": "v1"});
        cell.ask(method, "/v1/integrity/verify", &Ask::json(&wanted))
    });
    each(rows, &READS, "/v1/openapi.json", "", |cell, method| cell.ask(method, "/v1/openapi.json", &Ask::plain()));
}

/// The number of a rule made for this cell.
#[track_caller]
pub(crate) fn made_rule(cell: &Cell<'_>) -> i64 {
    send_json(&cell.world.admin, "POST", "/v1/policy/rules", &idle_rule()).expect(201).json()["id"].as_i64().unwrap()
}
