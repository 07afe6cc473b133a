//! `mcrsrv save`: images out of this registry's own files into a tar, without a server or beside one; never a change to
//! any of them, and never how a tar is made.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcr_oci::{Digest, Reference, RepositoryName, Tag};
use mcr_transfer::Shown;
use mcr_transfer::save::{self, Choice, Local, Output, SaveError, Wanted};
use mcr_verifier::PlatformFilter;

use crate::cli::{Failure, print};
use crate::config::Config;
use crate::place::Place;

/// What `save` was asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where the registry lies.
    pub place: Place,
    /// The references.
    pub references: Vec<String>,
    /// `--output`
    pub output: PathBuf,
    /// `--platform`
    pub platform: Option<PlatformFilter>,
}

/// Saves.
///
/// # Errors
/// What is wrong with a reference, with what it leads to, or with the file.
pub fn run(request: &Request) -> Result<(), Failure> {
    let config = &request.place.load()?;
    let local = Arc::new(Local::open(&config.database.path, &config.storage.layers_path).map_err(Failure::refused)?);
    let mut wanted = Vec::new();
    for text in &request.references {
        wanted.push(reference(text, &local, config)?);
    }
    let docker = request.platform.clone().unwrap_or_else(save::of_this_machine);
    let choice = Choice { only: request.platform.clone(), docker };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::refused)?;
    let text = runtime.block_on(save_all(wanted, &choice, request));
    // A pipe that nobody reads must not hold the process.
    runtime.shutdown_background();
    let text = text?;
    if request.output.as_os_str() == "-" {
        // Where nobody reads it there is nobody to tell.
        let _ = std::io::stderr().write_all(text.as_bytes());
        return Ok(());
    }
    print(text.as_bytes())
}

async fn save_all(wanted: Vec<Wanted<Local>>, choice: &Choice, request: &Request) -> Result<String, Failure> {
    let unwritten = |why: &dyn Display| Failure::refused(format!("{}: {why}", request.output.display()));
    let plan = save::plan(wanted, choice).await.map_err(|error| failure(error, &request.output))?;
    // Opened only now: what cannot be saved touches no file.
    let output = Output::open(&request.output).map_err(|error| unwritten(&error))?;
    let (images, bytes) = (plan.images.clone(), plan.bytes());
    let bar = Shown::of_bytes(std::io::stderr().is_terminal(), bytes);
    let written = save::write(plan, output, &|bytes| bar.more(bytes), save::interrupted()).await;
    bar.clear();
    let output = written.map_err(|error| failure(error, &request.output))?;
    output.keep().map_err(|error| unwritten(&error))?;
    Ok(save::text(&images, bytes, &request.output))
}

fn failure(error: SaveError, output: &Path) -> Failure {
    match error {
        SaveError::Unsound(findings) => {
            let mut lines: Vec<String> =
                findings.into_iter().map(|finding| SaveError::Unsound(vec![finding]).to_string()).collect();
            lines.push("not saved: it cannot be pulled whole".to_owned());
            Failure::refused_all(lines)
        }
        SaveError::Output(error) => Failure::refused(format!("{}: {error}", output.display())),
        error => Failure::refused(error),
    }
}

/// Reads `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`. The host is what the image shall be called by; without one it is the one
/// of `[server] external_url`, where that says.
fn reference(text: &str, local: &Arc<Local>, config: &Config) -> Result<Wanted<Local>, Failure> {
    let wrong = |what: &dyn Display| Failure {
        code: 2,
        lines: vec![format!("{text:?} is no reference: {what}; expected [HOST[:PORT]/]NAME[:TAG][@DIGEST]")],
    };
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(Digest::parse(digest).map_err(|error| wrong(&error))?)),
        None => (text, None),
    };
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        _ => (rest, "latest"),
    };
    let tag = Tag::parse(tag).map_err(|error| wrong(&error))?;
    let reference = digest.map_or(Reference::Tag(tag), Reference::Digest);
    let host = path.split_once('/').filter(|(first, _)| *first == "localhost" || first.contains(['.', ':']));
    // A repository may be called as if a host stood in front.
    let whole = RepositoryName::parse(path).ok();
    let known = match &whole {
        Some(whole) if host.is_some() => local.knows(whole).map_err(Failure::refused)?,
        _ => false,
    };
    let (host, repository) = match (host, whole) {
        (Some((host, name)), _) if !known => (Some(host.to_owned()), RepositoryName::parse(name)),
        _ => (own_name(config), RepositoryName::parse(path)),
    };
    let repository = repository.map_err(|error| wrong(&error))?;
    let name = host.map_or_else(|| repository.to_string(), |host| format!("{host}/{repository}"));
    Ok(Wanted { shelf: Arc::clone(local), repository, reference, name })
}

/// `host[:port]` of the first `[server] external_url`.
fn own_name(config: &Config) -> Option<String> {
    let url = config.server.external_url.first()?;
    url.split_once("://").map(|(_, rest)| rest.trim_end_matches('/').to_owned())
}
