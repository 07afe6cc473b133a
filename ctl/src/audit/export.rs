//! `mcrctl audit export`: the log as a file; never held in memory.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{PATH, Which};
use crate::api::{Api, query_of};
use crate::failure::Failure;
use crate::files::Growing;
use crate::global::Global;
use crate::print::Answer;

/// The options of `audit export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    which: Which,
    /// What it is written as
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    format: Format,
    /// Write into this file, whole or not at all, instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What an export is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a head (RFC 4180).
    Csv,
}

/// Writes the log.
///
/// # Errors
/// What the registry refuses, that it could not be asked, or that the log could not be written.
pub(super) fn run(global: &Global, command: &Export) -> Result<Answer, Failure> {
    let api = Api::new(global)?;
    let format = if command.format == Format::Csv { "csv" } else { "jsonl" };
    let mut query = command.which.query();
    query.insert(0, ("format", format.to_owned()));
    let path = format!("{PATH}/export{}", query_of(&query));
    let Some(output) = &command.output else {
        let mut stdout = std::io::stdout().lock();
        let written = |error: std::io::Error| Failure::Undetermined(format!("stdout cannot be written: {error}"));
        api.stream(&path, &mut |piece| stdout.write_all(piece).map_err(written))?;
        stdout.flush().map_err(written)?;
        return Ok(Answer::printed());
    };
    let told =
        |error: std::io::Error| Failure::Undetermined(format!("{} cannot be written: {error}", output.display()));
    let mut file = Growing::beside(output).map_err(told)?;
    let mut bytes: u64 = 0;
    api.stream(&path, &mut |piece| {
        bytes = bytes.saturating_add(piece.len() as u64);
        file.write(piece).map_err(told)
    })?;
    file.keep().map_err(told)?;
    let json = json!({"file": output.display().to_string(), "format": format, "bytes": bytes});
    Ok(Answer::done(format!("wrote {} bytes to {}\n", bytes, output.display()), json))
}
