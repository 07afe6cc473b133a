//! `mcrctl save`: images of any registry into a tar that docker, podman, containerd and skopeo load; never how a tar is
//! made.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use mcr_client::Client;
use mcr_transfer::Shown;
use mcr_transfer::save::{self, Choice, Output, SaveError, SavedImage, Wanted, Wire};
use mcr_verifier::PlatformFilter;
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::kinds::FailOn;
use crate::print::{self, Answer, printable};
use crate::runtime;
use crate::target::{Target, target};

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl save registry.example/infra/ci:latest -o ci.tar
  mcrctl save --platform linux/arm64 registry.example/infra/ci:1.4 registry.example/infra/base:12 -o both.tar
  mcrctl --addr registry.example save infra/ci:latest -o - | ssh node ctr -n k8s.io images import -
  docker load -i ci.tar; podman load -i ci.tar; skopeo copy oci-archive:ci.tar:latest containers-storage:ci

Without --platform every platform is in it; docker load then finds the one of the machine that saved it.
Every byte is hashed on the way: what is broken makes no file.
Exit codes: 0 saved, 1 findings or no such image, 2 wrong usage, 3 could not be determined or written";

/// The options of `save`.
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// What to save: [HOST[:PORT]/]NAME[:TAG][@DIGEST]; without a host it is on --addr
    #[arg(value_name = "REF", required = true)]
    references: Vec<String>,
    /// The file to write, - for stdout; one that is there is replaced when the new one is whole
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Save only this platform of images that have several: OS/ARCH[/VARIANT]
    #[arg(long, value_name = "PLATFORM", value_parser = save::platform)]
    platform: Option<PlatformFilter>,
    /// Requests under way at once while looking what is there
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
}

/// Saves.
///
/// # Errors
/// Wrong usage, and what keeps it from being looked at or written.
pub(crate) fn run(global: &Global, command: &Save) -> Result<Answer, Failure> {
    let to_stdout = command.output.as_os_str() == "-";
    if to_stdout && global.json {
        return Err(Failure::Usage("--json and -o - both want stdout; name a file".to_owned()));
    }
    let addr = global.said_base()?;
    let targets = command.references.iter().map(|text| target(text, addr.as_ref(), global.plain_http));
    let targets: Vec<Target> = targets.collect::<Result<_, _>>()?;
    let docker = save::of_this_machine();
    let choice = Choice { docker: command.platform.clone().unwrap_or(docker), only: command.platform.clone() };
    let mut wanted = Vec::new();
    for target in targets {
        let client = global.client(target.base.clone())?;
        wanted.push(one(client, target, command.jobs));
    }
    runtime::block_on(async {
        let stop = stopped(global.timeout);
        tokio::pin!(stop);
        let planned = tokio::select! {
            planned = save::plan(wanted, &choice) => planned,
            why = &mut stop => Err(SaveError::Stopped(why)),
        };
        let plan = match planned {
            Ok(plan) => plan,
            Err(error) => return answer(error, command),
        };
        // Opened only now: what cannot be saved touches no file.
        let output = Output::open(&command.output).map_err(|error| unwritten(command, &error.to_string()))?;
        let (images, bytes) = (plan.images.clone(), plan.bytes());
        let bar = Shown::of_bytes(print::bars_wanted(global), bytes);
        let written = save::write(plan, output, &|bytes| bar.more(bytes), stop).await;
        bar.clear();
        match written {
            Ok(output) => output.keep().map_err(|error| unwritten(command, &error.to_string()))?,
            Err(error) => return answer(error, command),
        }
        let text = save::text(&images, bytes, &command.output);
        if to_stdout {
            print::note(global, text.trim_end());
            return Ok(Answer::printed());
        }
        Ok(Answer::done(text, document(&images, bytes, command)))
    })
}

fn one(client: Client, target: Target, jobs: u16) -> Wanted<Wire> {
    let name = format!("{}/{}", client.host(), target.repository);
    let shelf = Arc::new(Wire::new(client, usize::from(jobs)));
    Wanted { shelf, repository: target.repository, reference: target.reference, name }
}

/// Comes to an end when the time is over, or somebody wants this to end: the file that was begun is then removed.
async fn stopped(patience: Option<Duration>) -> String {
    let over = async {
        match patience {
            Some(patience) => tokio::time::sleep(patience).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => "the time of --timeout is over; nothing was kept".to_owned(),
        why = save::interrupted() => why,
    }
}

fn unwritten(command: &Save, why: &str) -> Failure {
    Failure::Undetermined(format!("{}: {why}", command.output.display()))
}

/// What an end without a tar comes to.
fn answer(error: SaveError, command: &Save) -> Result<Answer, Failure> {
    match error {
        SaveError::Unsound(findings) => {
            let lines = findings.iter().map(|finding| {
                let one = SaveError::Unsound(vec![finding.clone()]);
                format!("✗ {}\n", printable(&one.to_string()))
            });
            let text = format!("{}not saved: it cannot be pulled whole\n", lines.collect::<String>());
            let outcome = FailOn::default().outcome(&findings);
            let json = json!({"saved": false, "findings": findings});
            // Where stdout is for the tar, the exit code and stderr say it.
            if command.output.as_os_str() == "-" {
                let told = SaveError::Unsound(findings).to_string();
                return Err(match outcome {
                    Outcome::Undetermined => Failure::Undetermined(told),
                    _ => Failure::Refused(told),
                });
            }
            Ok(Answer { text, json, outcome })
        }
        SaveError::Refused(why) => Err(Failure::Refused(why)),
        SaveError::Trouble(trouble) => Err(Failure::Undetermined(trouble.to_string())),
        SaveError::Stopped(why) => Err(Failure::Undetermined(why)),
        SaveError::Output(error) => Err(unwritten(command, &error.to_string())),
    }
}

fn document(images: &[SavedImage], bytes: u64, command: &Save) -> Value {
    let images: Vec<Value> = images
        .iter()
        .map(|image| {
            json!({
                "name": image.name,
                "digest": image.digest.as_str(),
                "image_id": image.image_id.as_ref().map(mcr_oci::Digest::as_str),
                "note": image.note,
            })
        })
        .collect();
    json!({"saved": true, "file": command.output.display().to_string(), "bytes": bytes, "images": images})
}
