//! `mcrsrv restore`: a snapshot becomes the registry again, instead of a running server; never how that is done.

pub mod from_blobs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use mcr_metadata::{Actor, SnapshotFile, SnapshotFolder};
use mcr_registry::{Paths, RestoreReport, RestoreRequest, find_snapshot, restore};
use mcr_seams::Clock;
use serde_json::{Value, json};

use crate::bar::{self, bytes, plural};
use crate::cli::{Failure, complain, print};
use crate::lock::DataLock;
use crate::place::{self, Place};
use crate::snapshot::{finding_line, print_json, tags_json};

/// What is printed below the options.
pub const EXAMPLES: &str = "Examples:
  mcrsrv restore --config /srv/mcr/mcr.toml --latest --dry-run           see what would be restored
  mcrsrv restore --config /srv/mcr/mcr.toml --latest                     the newest snapshot in backups/
  mcrsrv restore --config /srv/mcr/mcr.toml mcr-20261121-020000.db       that one
  mcrsrv restore --config /srv/mcr/mcr.toml --latest --blobs /backup/mcr    bring missing blobs back as well
  mcrsrv restore --config /srv/mcr/mcr.toml --from-blobs                 no snapshot: from the blobs and their journal
The server must be stopped. The database before is kept beside the restored one.
Exit codes: 0 restored whole; 1 restored without the tags that are named or with other findings, or refused (it says what
was changed); 2 wrong usage";

/// `mcrsrv restore`
#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    place: Place,
    /// The snapshot: a file, or a name in backups/
    #[arg(value_name = "SNAPSHOT", conflicts_with = "latest", required_unless_present_any = ["latest", "from_blobs"])]
    snapshot: Option<PathBuf>,
    /// The newest snapshot in backups/ or in the directory of --blobs
    #[arg(long)]
    latest: bool,
    /// Without a snapshot: make the database again from the blobs and the journal beside them. Policies, audit and
    /// history are lost
    #[arg(long, conflicts_with_all = ["snapshot", "latest", "blobs", "strict", "json", "quiet"])]
    from_blobs: bool,
    /// With --from-blobs: serve with the built-in rules alone; else only administrators, until there is a policy rule
    #[arg(long, requires = "from_blobs")]
    accept_default_policy: bool,
    /// With --from-blobs: also where there is a database that can be used; it is kept beside the new one
    #[arg(long, requires = "from_blobs")]
    replace: bool,
    /// A backup of `snapshot --blobs` to bring blobs from that are missing or damaged
    #[arg(long, value_name = "DIR")]
    blobs: Option<PathBuf>,
    /// Change nothing if any tag would have to be left out
    #[arg(long)]
    strict: bool,
    /// Change nothing: say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Read and hash every blob, instead of only looking at lengths
    #[arg(long)]
    deep: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Print nothing but what is wrong, and show no progress
    #[arg(long)]
    quiet: bool,
}

/// Restores a registry.
///
/// # Errors
/// What is wrong, and what was changed before that. Tags that were left out, and whatever else is wrong, are told and make
/// the exit code 1.
pub fn run(asked: &Restore) -> Result<ExitCode, Failure> {
    if asked.from_blobs {
        return from_blobs::run(&from_blobs::Request {
            place: asked.place.clone(),
            deep: asked.deep,
            dry_run: asked.dry_run,
            replace: asked.replace,
            accept_default_policy: asked.accept_default_policy,
        });
    }
    let config = asked.place.load()?;
    let paths = place::paths(&config);
    let _lock = DataLock::acquire("mcrsrv restore", &paths.database, &paths.layers).map_err(Failure::refused)?;
    let snapshot = choose(asked, &paths)?;
    let request = RestoreRequest {
        paths,
        snapshot,
        blobs: asked.blobs.clone(),
        strict: asked.strict,
        dry_run: asked.dry_run,
        deep: asked.deep,
        actor: Actor { name: "mcrsrv".to_owned(), address: None },
    };
    let quiet = asked.quiet || asked.json;
    let report = bar::shown("looking at", quiet, |progress| restore(&request, &Clock::system(), progress))
        .map_err(Failure::refused)?;
    tell_wrong(&report);
    if asked.json {
        print_json(&document(&report))?;
    } else if !asked.quiet {
        print(text(asked, &report).as_bytes())?;
    }
    Ok(if report.judgement.findings_total == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The snapshot that is meant.
fn choose(asked: &Restore, paths: &Paths) -> Result<PathBuf, Failure> {
    if let Some(named) = &asked.snapshot {
        return find_snapshot(&paths.database, Some(named)).map_err(Failure::refused);
    }
    let elsewhere = asked.blobs.as_deref().map_or(Ok(None), newest_in)?;
    let here = newest_in(SnapshotFolder::beside(&paths.database).path())?;
    match here.into_iter().chain(elsewhere).max_by_key(|file| file.taken_at_ms) {
        Some(file) => Ok(file.path),
        None => find_snapshot(&paths.database, None).map_err(Failure::refused),
    }
}

fn newest_in(directory: &Path) -> Result<Option<SnapshotFile>, Failure> {
    Ok(SnapshotFolder::at(directory.to_owned()).list().map_err(Failure::refused)?.into_iter().next())
}

fn tell_wrong(report: &RestoreReport) {
    let judgement = &report.judgement;
    let word = if report.switched { "left out" } else { "would be left out" };
    for tag in &judgement.incomplete_tags {
        complain(&format!("mcrsrv: {word}: {}", finding_line(&tag.finding)));
    }
    // The first findings are those of the tags.
    let apart = judgement.findings.get(judgement.incomplete_tags.len()..).unwrap_or_default();
    for finding in apart {
        complain(&format!("mcrsrv: no tag is left out for it: {}", finding_line(finding)));
    }
    let rest = judgement.findings_total.saturating_sub(judgement.findings.len() as u64);
    if rest > 0 {
        complain(&format!("mcrsrv: and {}", plural(rest, "further finding")));
    }
}

fn text(asked: &Restore, report: &RestoreReport) -> String {
    let judgement = &report.judgement;
    let mut lines = vec![format!(
        "{} (schema {}): {}, {}: {} unchanged, {} hashed, {} brought back ({}), {} to be hashed when read",
        report.snapshot.display(),
        report.schema,
        plural(judgement.tags, "tag"),
        plural(report.blobs, "blob"),
        report.unchanged,
        report.hashed,
        report.brought,
        bytes(report.brought_bytes),
        report.to_hash
    )];
    if report.files_without_rows > 0 {
        lines.push(format!(
            "{} ({}) in the blob directory are not of this snapshot, as what was pushed later: `mcrctl gc run --reconcile` \
             removes them once you are sure",
            plural(report.files_without_rows, "file"),
            bytes(report.bytes_without_rows)
        ));
    }
    if report.unlisted > 0 {
        lines.push(format!(
            "directories of blobs that could not be listed: {}; see that the disk is well",
            report.unlisted
        ));
    }
    if let Some(kept) = &report.kept {
        lines.push(format!("the database before is kept as {}", kept.display()));
    }
    let apart = judgement.findings_total.saturating_sub(judgement.incomplete);
    if apart > 0 {
        lines.push(format!("{} that no tag is left out for: see above", plural(apart, "finding")));
    }
    lines.push(ending(asked, report));
    lines.push(String::new());
    lines.join("\n")
}

/// What was done, and what comes next.
fn ending(asked: &Restore, report: &RestoreReport) -> String {
    let left_out = report.judgement.incomplete;
    if report.switched {
        let start = asked.place.server_command();
        if left_out == 0 {
            return format!("restored; start the server: {start}");
        }
        return format!(
            "restored without {}; start the server ({start}), push what is missing, then bring the tags back: \
             mcrctl tag restore --run {}",
            plural(left_out, "tag"),
            report.run_id
        );
    }
    let kept = if report.changed.begun { "the database is as it was" } else { "nothing was changed" };
    match left_out {
        0 => format!("{kept}: without --dry-run this is restored"),
        _ if asked.strict => format!(
            "{kept}: --strict refuses to leave out {}; bring the blobs with --blobs DIR, or leave --strict out",
            plural(left_out, "tag")
        ),
        _ => format!("{kept}: without --dry-run this is restored, without {}", plural(left_out, "tag")),
    }
}

fn document(report: &RestoreReport) -> Value {
    json!({
        "snapshot": report.snapshot,
        "schema": report.schema,
        "switched": report.switched,
        "kept": report.kept,
        "tags": report.judgement.tags,
        "left_out": report.judgement.incomplete,
        "incomplete_tags": tags_json(&report.judgement),
        "findings": report.judgement.findings,
        "findings_total": report.judgement.findings_total,
        "unreadable": report.unreadable,
        "run_id": report.run_id,
        "blobs": report.blobs,
        "unchanged": report.unchanged,
        "hashed": report.hashed,
        "brought": report.brought,
        "brought_bytes": report.brought_bytes,
        "to_hash": report.to_hash,
        "files_without_rows": report.files_without_rows,
        "bytes_without_rows": report.bytes_without_rows,
        "directories_unlisted": report.unlisted,
    })
}
