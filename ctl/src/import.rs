//! `mcrctl import`: everything of one registry into the one at `--addr`, over the wire; never how a run goes.

use std::sync::Arc;

use clap::Args;
use mcr_seams::Clock;
use mcr_transfer::{Options, RegistryOrigin, RemoteSink, Report, Shown, Verdict, Watch, run as transfer};
use reqwest::Url;
use serde_json::json;

use crate::address::{base_url, shown};
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::print::{self, Answer};
use crate::runtime;

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl import --addr registry.example https://old.example:5000 --dry-run
  mcrctl import --addr registry.example https://old.example:5000
  mcrctl import --addr registry.example http://127.0.0.1:5000 --repository 'infra/**' --jobs 4

Every byte is hashed and every image looked at whole on the way; what is broken is listed and left out.
Run again, it brings what is new and follows tags that moved. Over the wire the times of pushes cannot be brought:
keep_last then counts from the import on. mcrsrv import brings them, and is quicker where the old tree is at hand.
Exit codes: 0 everything is there, 1 something was left out, 2 wrong usage, 3 could not be determined";

/// The options of `import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The registry to bring from: a URL, or HOST[:PORT] over HTTPS
    #[arg(value_name = "URL", required_unless_present = "repository")]
    from: Option<String>,
    /// Only repositories of these names or patterns: * within a path segment, ** across
    #[arg(long, value_name = "GLOB", num_args = 1.., value_delimiter = ',')]
    repository: Vec<String>,
    /// Put everything below this name
    #[arg(long, value_name = "NAME")]
    prefix: Option<String>,
    /// Blobs under way at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Say what would be brought, and bring nothing
    #[arg(long)]
    dry_run: bool,
    /// Not over the wire: `mcrsrv import` does it
    #[arg(long, hide = true)]
    with_policy: bool,
    /// Not over the wire: `mcrsrv import` does it
    #[arg(long, hide = true)]
    with_audit: bool,
}

impl Import {
    /// The address, and the patterns. `--repository` takes several words, so it may have swallowed the address: what has
    /// a colon is no repository.
    fn words(&self) -> Result<(String, Vec<String>), Failure> {
        let mut repositories = self.repository.clone();
        let swallowed = || repositories.iter().rposition(|word| word.contains(':')).map(|at| repositories.remove(at));
        let missing =
            || Failure::Usage("say which registry to bring from, such as https://old.example:5000".to_owned());
        let from = self.from.clone().or_else(swallowed).ok_or_else(missing)?;
        Ok((from, repositories))
    }
}

/// Brings.
///
/// # Errors
/// Wrong usage, and a registry that cannot be asked at all.
pub(crate) fn run(global: &Global, command: &Import) -> Result<Answer, Failure> {
    if command.with_policy || command.with_audit {
        return Err(Failure::Usage(
            "rules and an audit log are brought by the registry itself: stop it, then mcrsrv import URL --with-policy \
             --with-audit"
                .to_owned(),
        ));
    }
    let to = global.base()?;
    let (from, repositories) = command.words()?;
    let from = source(&from, global.plain_http)?;
    if from.origin() == to.origin() {
        return Err(Failure::Usage(format!("{} is the registry of --addr itself; name the old one", shown(&from))));
    }
    if let Some(prefix) = &command.prefix {
        let wrong = |error| Failure::Usage(format!("--prefix: {error}"));
        mcr_oci::RepositoryName::parse(prefix).map_err(wrong)?;
    }
    let (old, new) = (global.client(from)?, global.client(to)?);
    let jobs = usize::from(command.jobs);
    let options = Options { repositories: repositories.clone(), ..Options::new(jobs, Clock::system().now_ms()) };
    let bar = Arc::new(Shown::of_tags(print::bars_wanted(global)));
    let report = runtime::block_on(async {
        // Told here in one line, and not as a run that ended before it began.
        old.ping().await?;
        new.ping().await?;
        let origin = RegistryOrigin::new(old, &repositories, command.prefix.clone(), jobs);
        let sink = RemoteSink::new(new, jobs, command.dry_run, Arc::clone(&bar) as Arc<dyn Watch>);
        let work = transfer(&origin, &sink, &options, &*bar);
        match global.timeout {
            None => Ok(work.await),
            Some(patience) => tokio::time::timeout(patience, work).await.map_err(|_| {
                let told = "the time of --timeout is over; run it again, it goes on where it was";
                Failure::Undetermined(told.to_owned())
            }),
        }
    });
    bar.clear();
    Ok(answer(&Report { dry_run: command.dry_run, ..report? }))
}

/// Reads the address of the old registry.
fn source(text: &str, plain_http: bool) -> Result<Url, Failure> {
    if text.starts_with(['/', '.']) {
        return Err(Failure::Usage(format!("{text:?} is a path; mcrsrv import brings from storage trees")));
    }
    let named = |failure: Failure| Failure::Usage(failure.to_string().replacen("--addr ", "", 1));
    // A scheme that is written is meant: the two registries may speak differently.
    base_url(text, plain_http && !text.contains("://")).map_err(named)
}

fn answer(report: &Report) -> Answer {
    let outcome = match report.verdict() {
        Verdict::Done => Outcome::Holds,
        Verdict::LeftOut => Outcome::Bad,
        Verdict::Undetermined => Outcome::Undetermined,
    };
    Answer { text: report.text(), json: json!(report), outcome }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_an_address_and_no_path() {
        let read = |text, plain| source(text, plain).map(|url| url.to_string()).map_err(|failure| failure.to_string());
        assert_eq!(read("http://old:5000", false).unwrap(), "http://old:5000/");
        assert_eq!(read("https://old:5000", true).unwrap(), "https://old:5000/");
        assert_eq!(read("old:5000", true).unwrap(), "http://old:5000/");
        assert_eq!(read("old", false).unwrap(), "https://old/");
        assert!(read("/var/lib/registry", false).unwrap_err().contains("mcrsrv import"));
        assert!(!read("ftp://old", false).unwrap_err().contains("--addr"));
    }
}
