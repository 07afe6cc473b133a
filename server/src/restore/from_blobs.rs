//! `mcrsrv restore --from-blobs`: the lock, what is told of it, the exit code; never how a registry is made again.

use std::fmt::Write as _;
use std::process::ExitCode;

use mcr_blobs::Disk;
use mcr_oci::{Digest, Finding};
use mcr_registry::{RebuildNews, RebuildReport, RebuildRequest};
use mcr_seams::Clock;

use crate::bar::{bytes, plural};
use crate::cli::{Failure, complain, print};
use crate::lock::DataLock;
use crate::place::{self, Place};

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which registry.
    pub place: Place,
    /// `--deep`
    pub deep: bool,
    /// `--dry-run`
    pub dry_run: bool,
    /// `--replace`
    pub replace: bool,
    /// `--accept-default-policy`
    pub accept_default_policy: bool,
}

/// Makes the registry again; exit code 1 where something of what the journal told could not be.
///
/// # Errors
/// What is wrong; then the old database, or none, is in force.
pub fn run(request: &Request) -> Result<ExitCode, Failure> {
    let paths = place::paths(&request.place.load()?);
    let _lock = DataLock::acquire("mcrsrv restore", &paths.database, &paths.layers).map_err(Failure::refused)?;
    let asked = RebuildRequest {
        paths,
        deep: request.deep,
        dry_run: request.dry_run,
        replace: request.replace,
        accept_default_policy: request.accept_default_policy,
    };
    // stdout is for what it came to.
    let report = mcr_registry::rebuild(&asked, &Clock::system(), Disk::real(), &mut |news| complain(&line(&news)));
    let report = report.map_err(Failure::refused)?;
    print(summary(request, &report).as_bytes())?;
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line(news: &RebuildNews<'_>) -> String {
    match news {
        RebuildNews::Journal(said) => format!("journal: {said}"),
        RebuildNews::LeftOut { repository, tag, digest, findings } => {
            let mut text = format!("left out: {repository}:{tag} ({digest})");
            for finding in *findings {
                let _ = write!(text, "\n  {}", words(finding));
            }
            text
        }
    }
}

fn words(finding: &Finding) -> String {
    let mut text = finding.kind.as_str().to_owned();
    if let Some(digest) = &finding.digest {
        let _ = write!(text, " {digest}");
    }
    if !finding.path.is_empty() {
        let path: Vec<&str> = finding.path.iter().map(Digest::as_str).collect();
        let _ = write!(text, " in {}", path.join(" > "));
    }
    if let Some(detail) = &finding.detail {
        let _ = write!(text, ": {detail}");
    }
    text
}

fn summary(request: &Request, report: &RebuildReport) -> String {
    let verb = if request.dry_run { "would restore" } else { "restored" };
    let repositories = if report.repositories == 1 { "repository" } else { "repositories" };
    let mut text = format!(
        "{verb} registry {}: {} in {} {repositories}, {}, {} ({})\n",
        report.registry_id,
        plural(report.tags, "tag"),
        report.repositories,
        plural(report.manifests, "manifest"),
        plural(report.blobs, "blob"),
        bytes(report.bytes)
    );
    let mut note = |said: String| text.push_str(&format!("{said}\n"));
    if report.left_out + report.manifests_left_out > 0 {
        let (tags, manifests) = (plural(report.left_out, "tag"), plural(report.manifests_left_out, "manifest"));
        note(format!("left out, because they are not whole on disk: {tags}, {manifests}; push them again"));
    }
    if report.damaged_lines > 0 {
        note(format!("the journal has {} damaged or missing lines: what they told is lost", report.damaged_lines));
    }
    if report.unfinished {
        note(
            "the journal was being told anew when it ended: it may lack something that was there, and hold what no longer was"
                .to_owned(),
        );
    }
    note(
        "not recovered: policy rules, API tokens, the audit trail, tag history, what was deleted and could be undone"
            .to_owned(),
    );
    if let Some(kept) = &report.kept {
        note(format!("the old database is kept as {}", kept.display()));
    }
    if request.dry_run {
        note("nothing was changed".to_owned());
    } else {
        note(next(request));
    }
    text
}

fn next(request: &Request) -> String {
    let start = format!("next: {}", request.place.server_command());
    if request.accept_default_policy {
        return start;
    }
    format!(
        "{start}\nuntil there is a policy rule it serves administrators only and takes nothing: mcrctl policy create, or \
         restore again with --replace --accept-default-policy to do with the built-in rules"
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use mcr_oci::FindingKind;

    use super::*;

    fn request() -> Request {
        Request {
            place: Place { config: vec![PathBuf::from("/srv/mcr.toml")], dev: false, data: PathBuf::new() },
            deep: false,
            dry_run: false,
            replace: false,
            accept_default_policy: false,
        }
    }

    #[test]
    fn what_was_left_out_is_named_with_the_way_to_it() {
        let digest = Digest::sha256(b"layer");
        let mut finding = Finding::new(FindingKind::BlobTruncated);
        finding.digest = Some(digest.clone());
        finding.path = vec![Digest::sha256(b"index"), Digest::sha256(b"image")];
        finding.detail = Some("1 of 2 bytes are there".to_owned());
        let news = RebuildNews::LeftOut { repository: "a/b", tag: "1", digest: &digest, findings: &[finding] };
        let (index, image) = (Digest::sha256(b"index"), Digest::sha256(b"image"));
        assert_eq!(
            line(&news),
            format!(
                "left out: a/b:1 ({digest})\n  blob-truncated {digest} in {index} > {image}: 1 of 2 bytes are there"
            )
        );
    }

    #[test]
    fn the_last_words_say_what_is_missing_and_what_comes_next() {
        let report =
            RebuildReport { registry_id: "ab".to_owned(), tags: 1, repositories: 2, ..RebuildReport::default() };
        let said = summary(&request(), &report);
        assert!(said.starts_with("restored registry ab: 1 tag in 2 repositories, 0 manifests, 0 blobs"), "{said}");
        assert!(said.contains("not recovered: policy rules") && said.contains("mcrsrv server --config /srv/mcr.toml"));
        assert!(said.contains("mcrctl policy create"), "{said}");
        let said = summary(&Request { accept_default_policy: true, dry_run: true, ..request() }, &report);
        assert!(said.starts_with("would restore") && said.ends_with("nothing was changed\n"), "{said}");
    }
}
