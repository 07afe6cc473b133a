//! The audit log as a stream of lines, a batch at a time; never more than a few batches in memory.

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use mcr_registry::Error;
use tokio::sync::mpsc;

use crate::api::audit::{AuditEvent, Reader, Selection};
use crate::api::{ApiError, Caller};
use crate::http::body::OutBody;
use crate::http::respond::Answer;

/// Batches that wait for the client.
const AHEAD: usize = 2;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A JSON object a line.
    Jsonl,
    /// RFC 4180, with a head.
    Csv,
}

/// The columns of CSV.
const COLUMNS: [&str; 10] =
    ["seq", "at", "event", "actor", "address", "repository", "tag", "digest", "details", "hash"];

/// Begins an export. What goes wrong later cuts the connection, so that no export is whole that is not.
pub(super) async fn answer(caller: &Caller, selection: Selection, format: Format) -> Result<Answer, ApiError> {
    let mut reader = Reader::new(caller, selection)?;
    // The first batch before the head: what cannot be read at all is an error and no broken stream.
    let first = reader.next().await?.unwrap_or_default();
    let (sender, receiver) = mpsc::channel(AHEAD);
    let work = async move {
        let mut piece = written(&first, format, true).map(Some);
        loop {
            let is_last = !matches!(&piece, Ok(Some(_)));
            let is_empty = matches!(&piece, Ok(Some(bytes)) if bytes.is_empty());
            if (!is_empty && sender.send(piece).await.is_err()) || is_last {
                return;
            }
            piece = match reader.next().await {
                Ok(Some(events)) => written(&events, format, false).map(Some),
                Ok(None) => Ok(None),
                Err(error) => {
                    tracing::warn!(%error, "an export of the audit log was cut off");
                    Err(Error::Unavailable { message: error.to_string(), retry_after: 5 })
                }
            };
        }
    };
    let stopping = caller.edge.stopping.clone();
    caller.edge.tasks.spawn(async move { stopping.run_until_cancelled(work).await });
    let mut answer = Answer::new(OutBody::Pieces(receiver));
    *answer.status_mut() = StatusCode::OK;
    let (content_type, disposition) = match format {
        Format::Jsonl => ("application/jsonl", "attachment; filename=\"audit.jsonl\""),
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""),
    };
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    Ok(answer)
}

fn written(events: &[AuditEvent], format: Format, head: bool) -> Result<Bytes, Error> {
    let text = match format {
        Format::Jsonl => jsonl(events),
        Format::Csv => csv(events, head),
    };
    text.map(Bytes::from).map_err(|error| {
        tracing::error!(%error, "audit events cannot be written");
        Error::Unavailable { message: "audit events cannot be written; the log has more".to_owned(), retry_after: 5 }
    })
}

fn jsonl(events: &[AuditEvent]) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    for event in events {
        serde_json::to_writer(&mut text, event).map_err(|error| error.to_string())?;
        text.push(b'\n');
    }
    Ok(text)
}

fn csv(events: &[AuditEvent], head: bool) -> Result<Vec<u8>, String> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    if head {
        writer.write_record(COLUMNS).map_err(|error| error.to_string())?;
    }
    for event in events {
        let text = |value: &Option<String>| tame(value.as_deref().unwrap_or_default());
        let row = [
            event.seq.to_string(),
            mcr_seams::rfc3339(event.at.0),
            tame(&event.event),
            tame(&event.actor),
            text(&event.address),
            text(&event.repository),
            text(&event.tag),
            text(&event.digest),
            tame(&event.details.to_string()),
            event.hash.clone(),
        ];
        writer.write_record(&row).map_err(|error| error.to_string())?;
    }
    writer.into_inner().map_err(|error| error.to_string())
}

/// A value that spreadsheets do not take for a formula: the name of a failed login is anybody's to choose.
fn tame(value: &str) -> String {
    if value.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{value}") } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Time;

    fn event(actor: &str) -> AuditEvent {
        AuditEvent {
            seq: 7,
            at: Time(0),
            event: "login_failed".to_owned(),
            actor: actor.to_owned(),
            address: None,
            repository: None,
            tag: None,
            digest: None,
            details: serde_json::json!({ "count": 2 }),
            hash: "ab".to_owned(),
        }
    }

    #[test]
    fn csv_is_quoted_and_holds_no_formulas() {
        let text = String::from_utf8(csv(&[event("=cmd|' /C calc'!A0"), event("a\"b,c\nd")], true).unwrap()).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], COLUMNS.join(","));
        assert!(lines[1].contains("'=cmd|"), "{text}");
        assert!(text.contains("\"a\"\"b,c\nd\""), "{text}");
    }

    #[test]
    fn a_line_of_json_is_one_event() {
        let text = String::from_utf8(jsonl(&[event("a\nb"), event("c")]).unwrap()).unwrap();
        assert_eq!(text.lines().count(), 2);
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!((first["seq"].as_i64(), first["actor"].as_str()), (Some(7), Some("a\nb")));
    }
}
