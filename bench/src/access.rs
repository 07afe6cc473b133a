//! What logins, rules and the audit trail cost: this registry with them beside itself without, in pairs. Never a
//! comparison with others, which `run` makes.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::error::Error;
use crate::http::{Body, Connection};
use crate::rows::{self, Pull, Tagged};
use crate::servers::{Kind, Server, Setting, Transport};
use crate::wrk::Wrk;
use crate::{cli, host, interrupt, stats, tls, versions};

/// Rules beside the built-in ones.
const RULES: usize = 1000;
/// Connections of `wrk`.
const CONNECTIONS: u32 = 32;

/// Options of `access`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measured pairs.
    #[arg(long, default_value_t = 10)]
    pairs: u64,
    /// Seconds of each GET sample.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Images of each sample of pushes.
    #[arg(long, default_value_t = 320)]
    images: usize,
    /// mcrsrv.
    #[arg(long, env = "MCR_BENCH_MCRSRV", default_value = "target/release/mcrsrv")]
    mcrsrv: PathBuf,
    /// mcrsrv built with `--features mcr-metadata/without-audit`; without it the audit trail is not measured.
    #[arg(long)]
    without_audit: Option<PathBuf>,
    /// wrk (default: in PATH).
    #[arg(long, env = "MCR_BENCH_WRK")]
    wrk: Option<PathBuf>,
    /// Directory on the disk to measure; a temporary directory in it holds all data.
    #[arg(long, default_value = "target")]
    scratch: PathBuf,
}

/// Measures and prints.
///
/// # Errors
/// What cannot be measured.
pub(crate) fn run(options: &Options) -> Result<(), Error> {
    host::make_directory(&options.scratch)?;
    let parent = host::absolute(&options.scratch)?;
    let made = tempfile::Builder::new().prefix("mcr-bench-access-").tempdir_in(&parent);
    let scratch = made.map_err(Error::file("create a directory in", &parent))?;
    interrupt::watch().map_err(Error::file("wait for signals in", &parent))?;
    let setting = |name: &str| -> Result<Setting, Error> {
        let directory = scratch.path().join(name);
        Ok(Setting {
            transport: Transport::Plain,
            certificate: tls::Certificate::make(&directory.join("certificate"))?,
            client: tls::client()?,
            directory,
        })
    };
    let machine = host::Machine::describe(scratch.path())?;
    let mut text = format!(
        "{}; {}, {} cores, {}, {}.\n\n| | without | with | with ÷ without, median of {} pairs | goal |\n|---|---|---|---|---|\n",
        versions::today(),
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.file_system,
        options.pairs
    );
    gets(options, &setting("gets")?, &mut text)?;
    if let Some(without) = &options.without_audit {
        pushes(options, &host::absolute(without)?, [&setting("with")?, &setting("without")?], &mut text)?;
    }
    print!("{text}");
    Ok(())
}

/// GETs of a manifest: openly, and with a token under [`RULES`] rules.
fn gets(options: &Options, setting: &Setting, text: &mut String) -> Result<(), Error> {
    let mcrsrv = host::absolute(&options.mcrsrv)?;
    let wrk = Wrk::new(cli::find(options.wrk.as_deref(), "wrk", "--wrk")?, &setting.directory)?;
    let (open, guarded) = (Server::start(Kind::Mcr, &mcrsrv, setting)?, Server::with_accounts(&mcrsrv, setting)?);
    let pull = Pull::new();
    pull.seed(&open)?;
    pull.seed(&guarded)?;
    add_rules(&mut guarded.connect()?)?;
    let mut user = guarded.connect_as_user()?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for pair in 0..=options.pairs {
        let bearer = format!("Bearer {}", token(&mut user, &pull)?);
        let free = || wrk.run(&open.url(pull.manifest()), CONNECTIONS, options.seconds);
        let checked = || wrk.run_as(Some(&bearer), &guarded.url(pull.manifest()), CONNECTIONS, options.seconds);
        // Who goes first changes, and the first pair is for the caches.
        let (a, b) = if pair % 2 == 0 {
            let a = free()?;
            (a, checked()?)
        } else {
            let b = checked()?;
            (free()?, b)
        };
        if pair > 0 {
            without.push(a.requests_per_second);
            with.push(b.requests_per_second);
        }
    }
    row(text, &format!("manifest GETs a second; a token, {RULES} rules"), &without, &with, "≥ 0.90", 0.90);
    Ok(())
}

/// Pushes of small images: with the audit trail, and by a build that writes none.
fn pushes(options: &Options, bare: &std::path::Path, settings: [&Setting; 2], text: &mut String) -> Result<(), Error> {
    let [with_setting, without_setting] = settings;
    let audited = Server::start(Kind::Mcr, &host::absolute(&options.mcrsrv)?, with_setting)?;
    let silent = Server::start(Kind::Mcr, bare, without_setting)?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for pair in 0..=options.pairs {
        let images: Vec<Tagged> = rows::small_images(pair, options.images);
        let (a, b) = if pair % 2 == 0 {
            let a = rows::push_small(&silent, &images)?;
            (a, rows::push_small(&audited, &images)?)
        } else {
            let b = rows::push_small(&audited, &images)?;
            (rows::push_small(&silent, &images)?, b)
        };
        if pair > 0 {
            without.push(a);
            with.push(b);
        }
    }
    row(text, "small images pushed a second; the audit trail", &without, &with, "≥ 0.95", 0.95);
    Ok(())
}

/// Rules of both effects, for other repositories and accounts, and one in a hundred about ours.
fn add_rules(admin: &mut Connection) -> Result<(), Error> {
    for number in 0..RULES {
        let effect = if number % 2 == 0 { "allow" } else { "deny" };
        let place = if number % 100 == 0 { "bench/**".to_owned() } else { format!("team-{number}/**") };
        let rule = json!({
            "priority": 10 + number, "description": format!("rule {number}"), "effect": effect,
            "actions": ["registry:pull", "registry:push"], "repositories": [place],
            "account_types": if number % 3 == 0 { json!(["system"]) } else { json!(["human", "system"]) },
        });
        let headers = [("Content-Type", "application/json")];
        admin
            .send("POST", "/v1/policy/rules", &headers, Body::Bytes(rule.to_string().as_bytes()))?
            .require(201, || "POST /v1/policy/rules".to_owned())?;
    }
    Ok(())
}

/// A token for pulling what is measured.
fn token(user: &mut Connection, pull: &Pull) -> Result<String, Error> {
    let path = format!("/v2/token?service=mcr&scope=repository:{}:pull", pull.repository());
    let answer = user.send("GET", &path, &[], Body::Empty)?.require(200, || format!("GET {path}"))?;
    let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer
        .get("token")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Error::Wrong { what: format!("GET {path}"), problem: "no token in the answer".to_owned() })
}

fn row(text: &mut String, what: &str, without: &[f64], with: &[f64], goal: &str, least: f64) {
    let shown = |values: &[f64]| {
        let (low, middle, high) = stats::spread(values).unwrap_or_default();
        format!("{middle:.0} ({low:.0}–{high:.0})")
    };
    let ratio = stats::paired_ratio(with, without).unwrap_or_default();
    let verdict = if ratio >= least { "reached" } else { "**missed**" };
    // Writing into a String cannot fail.
    let _ = writeln!(text, "| {what} | {} | {} | **{ratio:.3}** | {goal}: {verdict} |", shown(without), shown(with));
}
