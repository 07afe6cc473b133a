//! `mcrctl status`: how a registry says it is; never a second opinion.

use std::time::Duration;

use mcr_client::Call;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::address::shown;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::print::{Answer, printable};
use crate::runtime;

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl --addr https://127.0.0.1:8443 --insecure status
  mcrctl --addr 127.0.0.1:8443 --ca-cert srv/tls/cert.pem status --json
  mcrctl --grpc 127.0.0.1:9443 --ca-cert srv/tls/cert.pem status
  mcrctl --addr 127.0.0.1:8443 --insecure --timeout 2s --quiet status || echo unwell";

/// Answers larger than this are not from this registry's API, in bytes.
const MAX_BODY: usize = 1 << 20;
/// How long a registry may take to say how it is, where nothing else was said.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a registry says how it is, without login.
const HEALTH: &str = "/v1/health";

/// What the registry says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Health {
    status: String,
    #[serde(default)]
    reasons: Vec<Value>,
}

/// Asks a registry how it is.
///
/// # Errors
/// When it could not be asked, or what answers is no such registry.
pub(crate) fn run(global: &Global) -> Result<Answer, Failure> {
    let patience = global.timeout.unwrap_or(PATIENCE);
    if let Some(base) = global.said_grpc()? {
        let asked = runtime::within(patience, &base, crate::rpc::health(global, &base));
        let (status, reasons) = runtime::block_on(asked)?;
        let body = json!({"status": status, "reasons": reasons}).to_string();
        return judge(&base, StatusCode::OK, body.as_bytes());
    }
    let base = global.base()?;
    let client = global.client(base.clone())?;
    // A degraded registry may answer 503 for as long as it is one.
    let call = Call::get(HEALTH).anonymous().impatient();
    let reply = runtime::block_on(runtime::within(patience, &base, async { Ok(client.call(&call, MAX_BODY).await?) }))?;
    let (status, body) = (reply.status, reply.body);
    let status = StatusCode::from_u16(status).map_err(|error| Failure::Undetermined(error.to_string()))?;
    judge(&base, status, &body)
}

/// `ok` is good; `degraded`, with its reasons, and `failing` are not. Anything else is not an answer.
fn judge(url: &Url, status: StatusCode, body: &[u8]) -> Result<Answer, Failure> {
    let health = match status {
        StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => serde_json::from_slice::<Health>(body).ok(),
        _ => None,
    };
    let known = health.filter(|health| matches!(health.status.as_str(), "ok" | "degraded" | "failing"));
    let Some(health) = known else {
        return Err(Failure::Undetermined(format!(
            "{} answered {status} to {HEALTH}, which is not how this registry answers; check --addr",
            shown(url)
        )));
    };
    let reasons: Vec<String> = health.reasons.iter().map(reason).collect();
    let holds = health.status == "ok" && status == StatusCode::OK;
    let mut text = format!("{}\n", health.status);
    for reason in &reasons {
        text.push_str(&format!("  {}\n", printable(reason)));
    }
    Ok(Answer {
        text,
        json: json!({"addr": shown(url), "status": health.status, "reasons": reasons}),
        outcome: if holds { Outcome::Holds } else { Outcome::Bad },
    })
}

fn reason(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Result<Answer, Failure> {
        let url = Url::parse("https://registry.example/").unwrap();
        judge(&url, StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn ok_is_the_first_line() {
        let report = judged(200, r#"{"status":"ok"}"#).unwrap();
        assert_eq!(report.text, "ok\n");
        assert_eq!(report.outcome, Outcome::Holds);
        assert_eq!(report.json, json!({"addr": "https://registry.example", "status": "ok", "reasons": []}));
    }

    #[test]
    fn reasons_are_listed() {
        let report = judged(200, r#"{"status":"degraded","reasons":["disk full","two\u001bfindings"]}"#).unwrap();
        assert_eq!(report.text, "degraded\n  disk full\n  two findings\n");
        assert_eq!(report.outcome, Outcome::Bad);
        let report = judged(503, r#"{"status":"failing","reasons":[{"part":"database"}]}"#).unwrap();
        assert_eq!(report.text, "failing\n  {\"part\":\"database\"}\n");
        assert_eq!(report.outcome, Outcome::Bad);
    }

    #[test]
    fn ok_with_503_does_not_hold() {
        assert_eq!(judged(503, r#"{"status":"ok"}"#).unwrap().outcome, Outcome::Bad);
    }

    #[test]
    fn what_is_no_such_registry_is_undetermined() {
        for (status, body) in [
            (404, "not found"),
            (200, "<html>"),
            (200, r#"{"status":"weird"}"#),
            (401, r#"{"status":"ok"}"#),
            (302, ""),
        ] {
            let failure = judged(status, body).unwrap_err();
            assert_eq!(failure.outcome(), Outcome::Undetermined, "{status} {body}");
        }
    }
}
