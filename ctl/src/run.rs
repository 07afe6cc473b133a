//! Waiting for a run of garbage collection or retention: a bar, and what it came to; never what begins one.

use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use crate::api::Api;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::plan::{path_of, steps, with_steps};
use crate::print::{Answer, bars_wanted, printable};
use crate::shape::cell;

/// The first wait between two looks; each is twice as long as the one before.
const SOON: Duration = Duration::from_millis(50);
/// The longest wait between two looks.
const LATER: Duration = Duration::from_secs(1);
/// How long a registry may be away meanwhile: a run goes on after a restart.
const AWAY: Duration = Duration::from_secs(60);
/// Steps of a dry run that are shown.
const STEPS: usize = 1000;

/// Waits for the run that was `begun`, and says what it came to; with `wait` false only that it began. `--timeout`
/// bounds the whole.
///
/// # Errors
/// [`Failure::Undetermined`] where its end is not seen in time.
pub(crate) fn followed(
    global: &Global,
    api: &Api,
    begun: &Value,
    wait: bool,
    dry_run: bool,
) -> Result<Answer, Failure> {
    let id = begun.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if id.is_empty() {
        return Err(Failure::Undetermined(format!("{} began a run without an id; check --addr", api.registry())));
    }
    if !wait {
        let text = format!("begun: mcrctl plan show {}\n", printable(&id));
        return Ok(Answer::done(text, begun.clone()));
    }
    let ended = watch(global, api, &id)?;
    let (json, table) = if dry_run || is(&ended, "needs_confirmation") {
        let json = with_steps(api, &path_of(&id), STEPS)?;
        let table = steps(&json).trim_start().to_owned();
        (json, table)
    } else {
        (ended, String::new())
    };
    let gap = if table.is_empty() { "" } else { "\n" };
    let text = format!("{table}{gap}{}\n", printable(&cell(&json, "message")));
    let outcome = if is(&json, "done") { Outcome::Holds } else { Outcome::Bad };
    Ok(Answer { text, json, outcome })
}

fn is(plan: &Value, state: &str) -> bool {
    plan.get("state").and_then(Value::as_str) == Some(state)
}

/// Looks at a plan until nothing more happens to it by itself.
fn watch(global: &Global, api: &Api, id: &str) -> Result<Value, Failure> {
    let (began, mut seen) = (Instant::now(), Instant::now());
    let mut pause = SOON;
    let bar = bars_wanted(global).then(bar);
    let ended = loop {
        // Each look has its own patience: how long the run may take is said by --timeout alone.
        api.take_heart();
        match api.get(format!("{}?n=1", path_of(id))) {
            Ok(plan) if !is(&plan, "planning") && !is(&plan, "running") => break Ok(plan),
            Ok(plan) => {
                seen = Instant::now();
                if let Some(bar) = &bar {
                    show(bar, &plan);
                }
            }
            Err(failure @ Failure::Undetermined(_)) if seen.elapsed() < AWAY => {
                tracing_note(bar.as_ref(), &failure);
            }
            Err(failure) => break Err(failure),
        }
        if global.timeout.is_some_and(|limit| began.elapsed() + pause > limit) {
            let id = printable(id);
            let text = format!("it was still under way when --timeout ran out; it goes on: mcrctl plan show {id}");
            break Err(Failure::Undetermined(text));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LATER);
    };
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    ended
}

/// Tells beside the bar that the registry cannot be asked just now.
fn tracing_note(bar: Option<&ProgressBar>, failure: &Failure) {
    if let Some(bar) = bar {
        bar.set_message(format!("waiting for the registry: {failure}"));
    }
}

fn bar() -> ProgressBar {
    let form = "{spinner} {wide_bar} {pos}/{len} {msg}";
    // A template that does not parse would be a defect of this file; the bar is then a plain one.
    let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style)
}

fn show(bar: &ProgressBar, plan: &Value) {
    let number = |at: &str| plan.pointer(at).and_then(Value::as_u64).unwrap_or(0);
    bar.set_length(number("/totals/steps"));
    bar.set_position(number("/progress/done").saturating_add(number("/progress/skipped")));
    let freed = BinaryBytes(number("/progress/bytes_freed"));
    bar.set_message(if is(plan, "planning") { "planning".to_owned() } else { format!("{freed} freed") });
    bar.tick();
}
