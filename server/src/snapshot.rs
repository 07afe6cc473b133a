//! `mcrsrv snapshot`: a copy of the database, and of the blobs, beside a running server; the proof of a copy. Never a lock
//! on the registry, and nothing written but in `backups/` and the directory that is given.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use mcr_metadata::{SnapshotFolder, TakenSnapshot, take_snapshot};
use mcr_oci::Finding;
use mcr_registry::{CheckReport, CopyReport, CopyRequest, Judgement, check, copy_to};
use mcr_seams::{Clock, rfc3339};
use serde_json::{Value, json};

use crate::bar::{self, bytes, plural};
use crate::cli::{Failure, complain, print};
use crate::place::{self, Place};

/// What is printed below the options.
pub const EXAMPLES: &str = "Examples:
  mcrsrv snapshot --config /srv/mcr/mcr.toml                        the database, into backups/ beside it
  mcrsrv snapshot --config /srv/mcr/mcr.toml --blobs /backup/mcr    and every blob it refers to: a whole backup
  mcrsrv snapshot --config /srv/mcr/mcr.toml --blobs /backup/mcr --deep    and read what is there already: what is damaged is replaced
  mcrsrv snapshot --check /backup/mcr                               prove that backup: every blob is read and hashed
  mcrsrv snapshot --config /srv/mcr/mcr.toml --check mcr-20261121-020000.db    the same for a snapshot and the live blobs
  mcrsrv snapshot --dev --data ./srv --json
Exit codes: 0 done and whole; 1 something is missing or damaged (each named), or it could not be done; 2 wrong usage";

/// `mcrsrv snapshot`
#[derive(Debug, Args)]
pub struct Snapshot {
    #[command(flatten)]
    place: Place,
    /// Also copy the blobs that the snapshot refers to into this directory; only what is not there yet
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    blobs: Option<PathBuf>,
    /// With --blobs: also read and hash what is there already, and replace what is damaged
    #[arg(long, requires = "blobs")]
    deep: bool,
    /// Snapshots that are kept, here and in the directory of --blobs; older ones go [default: [backup] keep]
    #[arg(long, value_name = "N", conflicts_with = "check", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// Take nothing: read and hash everything that the newest snapshot in this directory, or this snapshot, refers to
    #[arg(long, value_name = "DIR|FILE")]
    check: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Print nothing but what is wrong, and show no progress
    #[arg(long)]
    quiet: bool,
}

/// Takes a snapshot, or checks one.
///
/// # Errors
/// What could not be done; what is wrong with blobs or tags is told and makes the exit code 1.
pub fn run(asked: &Snapshot) -> Result<ExitCode, Failure> {
    match &asked.check {
        Some(path) => run_check(asked, path),
        None => run_take(asked),
    }
}

fn run_take(asked: &Snapshot) -> Result<ExitCode, Failure> {
    let config = asked.place.load()?;
    let paths = place::paths(&config);
    let keep = asked.keep.unwrap_or(config.backup.keep);
    let target = asked.blobs.as_deref().map(|directory| place::refuse_inside(directory, &paths)).transpose()?;
    let folder = SnapshotFolder::beside(&paths.database);
    let taken = take_snapshot(&paths.database, &folder, Clock::system().now_ms())
        .map_err(|error| Failure::refused(format!("no snapshot was taken of {}: {error}", paths.database.display())))?;
    let removed = folder.prune(keep).map_err(Failure::refused)?;
    let copied = target.as_deref().map(|directory| copy(asked, &taken, &paths.layers, directory, keep)).transpose()?;
    if asked.json {
        print_json(&taken_json(&taken, &removed, target.as_deref(), copied.as_ref()))?;
    } else if !asked.quiet {
        print(taken_text(&taken, &removed, target.as_deref(), copied.as_ref()).as_bytes())?;
    }
    let Some(report) = copied else { return Ok(ExitCode::SUCCESS) };
    let advice = "push what is missing again, then take another snapshot";
    Ok(verdict(&report.judgement, advice))
}

fn copy(
    asked: &Snapshot,
    taken: &TakenSnapshot,
    layers: &Path,
    directory: &Path,
    keep: u32,
) -> Result<CopyReport, Failure> {
    let quiet = asked.quiet || asked.json;
    let request = CopyRequest {
        snapshot: taken.file.path.clone(),
        layers: layers.to_owned(),
        directory: directory.to_owned(),
        keep,
        deep: asked.deep,
    };
    bar::shown("copying", quiet, |progress| copy_to(&request, progress)).map_err(|error| {
        Failure::refused(format!(
            "snapshot {} was taken, but the copy in {} is not whole: {error}; run the command again, it goes on",
            taken.file.name,
            directory.display()
        ))
    })
}

fn run_check(asked: &Snapshot, path: &Path) -> Result<ExitCode, Failure> {
    let (snapshot, layers) = what_to_check(asked, path)?;
    let quiet = asked.quiet || asked.json;
    let report = bar::shown("reading", quiet, |progress| check(&snapshot, &layers, progress))
        .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
    if asked.json {
        print_json(&check_json(&report, &layers))?;
    } else if !asked.quiet && report.judgement.findings_total == 0 {
        print(check_text(&report).as_bytes())?;
    }
    // A backup is a directory that holds its snapshot; a check changes nothing in it.
    let advice = if crate::files::parent_of(&snapshot) == layers {
        format!(
            "where the registry is: mcrsrv snapshot --config FILE --blobs {} --deep (it reads the copies and replaces what \
             is damaged or missing); what the registry lacks itself, push again first",
            layers.display()
        )
    } else {
        "push what is missing again, then take another snapshot".to_owned()
    };
    Ok(verdict(&report.judgement, &advice))
}

/// The snapshot and the blobs that belong together: a backup is one directory; a snapshot in `backups/` belongs to the
/// blobs of its registry.
fn what_to_check(asked: &Snapshot, path: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    let config = if asked.place.is_given() { Some(asked.place.load()?) } else { None };
    let found = if let Some(config) = &config {
        mcr_registry::find_snapshot(&config.database.path, Some(path)).ok()
    } else {
        SnapshotFolder::is_file(path).map_err(Failure::refused)?.then(|| path.to_owned())
    };
    let Some(snapshot) = found else {
        let newest_of = |folder: &SnapshotFolder| -> Result<_, Failure> {
            Ok(folder.list().map_err(Failure::refused)?.into_iter().next())
        };
        let here = newest_of(&SnapshotFolder::at(path.to_owned()))?;
        // A copy of the registry's own directories: a snapshot, or `backups/`, beside `layers/`.
        let layers = path.join("layers");
        if is_directory(&layers)? {
            let beside = newest_of(&SnapshotFolder::beside(&layers))?;
            if let Some(newest) = here.clone().or(beside) {
                return Ok((newest.path, layers));
            }
        }
        let newest = here;
        let newest = newest.ok_or_else(|| {
            Failure::refused(format!(
                "{}: no snapshot (mcr-YYYYMMDD-HHMMSS.db) lies there; give the directory of `mcrsrv snapshot --blobs DIR`, or one that holds copies of `backups` and `layers`",
                path.display()
            ))
        })?;
        return Ok((newest.path, path.to_owned()));
    };
    let beside = crate::files::parent_of(&snapshot);
    let layers = match config {
        Some(config) if SnapshotFolder::beside(&config.database.path).path() == beside => config.storage.layers_path,
        _ => beside,
    };
    Ok((snapshot, layers))
}

/// Whether there is a directory.
fn is_directory(path: &Path) -> Result<bool, Failure> {
    match crate::files::is_directory(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        looked => looked.map_err(|error| Failure::refused(format!("{}: {error}", path.display()))),
    }
}

/// Tells what is wrong, a line each, and what is to be done.
fn verdict(judgement: &Judgement, advice: &str) -> ExitCode {
    for finding in &judgement.findings {
        complain(&format!("mcrsrv: {}", finding_line(finding)));
    }
    let rest = judgement.findings_total.saturating_sub(judgement.findings.len() as u64);
    if rest > 0 {
        complain(&format!("mcrsrv: and {}", plural(rest, "further finding")));
    }
    if judgement.findings_total == 0 {
        return ExitCode::SUCCESS;
    }
    complain(&format!(
        "mcrsrv: not whole: {} of {} would not be restored; {advice}",
        judgement.incomplete,
        plural(judgement.tags, "tag")
    ));
    ExitCode::FAILURE
}

/// One finding in one line.
#[must_use]
pub fn finding_line(finding: &Finding) -> String {
    let place = match (&finding.repository, &finding.tag) {
        (Some(repository), Some(tag)) => format!("{repository}:{tag}: "),
        _ => String::new(),
    };
    let digest = finding.digest.as_ref().map_or_else(String::new, ToString::to_string);
    let detail = finding.detail.as_deref().unwrap_or("no more is known");
    format!("{place}{} {digest}: {detail}", finding.kind.as_str())
}

fn taken_text(
    taken: &TakenSnapshot,
    removed: &[String],
    directory: Option<&Path>,
    copied: Option<&CopyReport>,
) -> String {
    let TakenSnapshot { file, blobs, .. } = taken;
    let mut text =
        format!("snapshot {} ({}, refers to {})\n", file.path.display(), bytes(file.bytes), plural(*blobs, "blob"));
    for name in removed {
        text.push_str(&format!("removed {name}, the oldest\n"));
    }
    if let (Some(report), Some(directory)) = (copied, directory) {
        let directory = directory.display();
        text.push_str(&format!(
            "{directory}: copied {} ({}), {} were there\n",
            plural(report.copied, "new blob"),
            bytes(report.copied_bytes),
            report.present
        ));
        if report.healed > 0 {
            text.push_str(&format!("damaged copies that were replaced: {}\n", report.healed));
        }
        let unread = report.present.saturating_sub(report.reread);
        if report.judgement.findings_total == 0 && unread == 0 {
            text.push_str("whole: every blob in it was hashed just now\n");
        } else if report.judgement.findings_total == 0 {
            text.push_str(&format!(
                "complete; {} of before not read again: mcrsrv snapshot --check {directory} reads all\n",
                plural(unread, "blob")
            ));
        }
    }
    text
}

fn taken_json(
    taken: &TakenSnapshot,
    removed: &[String],
    directory: Option<&Path>,
    copied: Option<&CopyReport>,
) -> Value {
    let TakenSnapshot { file, schema, blobs } = taken;
    let copy = copied.map(|report| {
        json!({
            "directory": directory,
            "snapshot": report.snapshot,
            "blobs": report.blobs,
            "bytes": report.bytes,
            "present": report.present,
            "copied": report.copied,
            "copied_bytes": report.copied_bytes,
            "reread": report.reread,
            "healed": report.healed,
            "reflinked": report.reflinked,
            "whole": report.judgement.findings_total == 0,
            "tags": report.judgement.tags,
            "incomplete_tags": tags_json(&report.judgement),
            "findings": report.judgement.findings,
        })
    });
    json!({
        "name": file.name,
        "path": file.path,
        "taken_at": rfc3339(file.taken_at_ms),
        "bytes": file.bytes,
        "schema": schema,
        "blobs": blobs,
        "removed": removed,
        "copy": copy,
    })
}

fn check_text(report: &CheckReport) -> String {
    format!(
        "{} is whole: {}, {} and {} read and hashed ({})\n",
        report.snapshot.display(),
        plural(report.judgement.tags, "tag"),
        plural(report.manifests, "manifest"),
        plural(report.blobs, "blob"),
        bytes(report.bytes)
    )
}

fn check_json(report: &CheckReport, layers: &Path) -> Value {
    json!({
        "snapshot": report.snapshot,
        "layers": layers,
        "schema": report.schema,
        "whole": report.judgement.findings_total == 0,
        "tags": report.judgement.tags,
        "manifests": report.manifests,
        "blobs": report.blobs,
        "bytes": report.bytes,
        "incomplete_tags": tags_json(&report.judgement),
        "findings": report.judgement.findings,
        "findings_total": report.judgement.findings_total,
    })
}

/// The tags that are not whole.
#[must_use]
pub fn tags_json(judgement: &Judgement) -> Value {
    let tag = |tag: &mcr_metadata::IncompleteTag| json!({ "repository": tag.repository, "tag": tag.tag, "digest": tag.digest.as_str() });
    judgement.incomplete_tags.iter().map(tag).collect()
}

/// One JSON document on stdout.
///
/// # Errors
/// When stdout cannot be written.
pub fn print_json(document: &Value) -> Result<(), Failure> {
    print(format!("{document:#}\n").as_bytes())
}
