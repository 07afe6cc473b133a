//! How results are shown: the table, and the page of the documentation that holds it. Computes ratios
//! and verdicts, measures nothing.

use std::{fmt::Write, path::Path};

use crate::{
    error::Error,
    host,
    results::{Measured, Phase, Results},
    rows::{Amounts, Goal, Row, Unit},
    servers::Kind,
    stats,
};

/// Everything between these two lines of the page is written by the bench.
const BEGIN: &str = "<!-- mcr-bench: begin -->";
const END: &str = "<!-- mcr-bench: end -->";
/// Our peak memory has to stay under this, in MiB.
const MEMORY_GOAL_MIB: f64 = 48.0;

/// Other programs may take this share of the processors before a warning.
const QUIET: f64 = 0.05;

/// A figure with its unit, to three or four digits.
pub(crate) fn figure(unit: Unit, value: f64) -> String {
    match unit {
        Unit::RequestsPerSecond => format!("{} /s", thousands(value)),
        Unit::BytesPerSecond => format!("{:.2} GB/s", value / 1e9),
        Unit::ImagesPerSecond => format!("{value:.0} /s"),
        Unit::Seconds => format!("{value:.2} s"),
        Unit::Milliseconds => format!("{value:.2} ms"),
    }
}

/// A whole number with its thousands apart.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// What a row is, with its amounts.
fn title(row: Row, amounts: &Amounts) -> String {
    match row {
        Row::Manifest => "GET manifest by tag, 32 connections".to_owned(),
        Row::Blob1m => "GET 1 MiB blob, 16 connections".to_owned(),
        Row::Blob64m => "GET 64 MiB blob, 4 connections".to_owned(),
        Row::PushBlob => format!("push {} MiB blob", amounts.push_mib),
        Row::PushImages => "push small images, 16 clients".to_owned(),
        Row::PutIndex => "PUT index, 32 children × 20 layers".to_owned(),
    }
}

/// All phases as markdown tables.
pub(crate) fn tables(results: &Results) -> String {
    let mut out = String::new();
    for phase in &results.phases {
        let _ = writeln!(out, "### {}\n", phase.transport.title());
        out.push_str(&table(phase, &results.amounts));
        out.push('\n');
    }
    out
}

fn table(phase: &Phase, amounts: &Amounts) -> String {
    let mut lines = vec![head(phase)];
    lines.push(format!("|---{}|---|---|", "|---".repeat(phase.servers.len())));
    for measured in &phase.rows {
        lines.push(line(phase, measured, amounts));
    }
    lines.push(memory(phase));
    lines.join("\n") + "\n"
}

fn head(phase: &Phase) -> String {
    let columns: Vec<&str> = phase.servers.iter().map(|kind| kind.title()).collect();
    format!("| work | {} | MCR against | goal |", columns.join(" | "))
}

fn line(phase: &Phase, measured: &Measured, amounts: &Amounts) -> String {
    let unit = measured.row.unit();
    let cells: Vec<String> = phase
        .servers
        .iter()
        .map(|kind| {
            stats::spread(measured.of(*kind)).map_or_else(String::new, |(low, middle, high)| {
                let (low, high) = (bare(unit, low), bare(unit, high));
                format!("**{}** ({low}–{high})", figure(unit, middle))
            })
        })
        .collect();
    format!(
        "| {} | {} | {} | {} |",
        title(measured.row, amounts),
        cells.join(" | "),
        ratios(phase, measured),
        verdict(measured)
    )
}

/// A figure without its unit.
fn bare(unit: Unit, value: f64) -> String {
    let shown = figure(unit, value);
    shown.rsplit_once(' ').map_or(shown.clone(), |(number, _)| number.to_owned())
}

/// How many times as good ours is as `other`, round by round.
fn times(measured: &Measured, other: Kind) -> Option<f64> {
    let (ours, theirs) = (measured.of(Kind::Mcr), measured.of(other));
    if measured.row.unit().less_is_better() {
        stats::paired_ratio(theirs, ours)
    } else {
        stats::paired_ratio(ours, theirs)
    }
}

fn ratios(phase: &Phase, measured: &Measured) -> String {
    let each: Vec<String> = phase
        .servers
        .iter()
        .filter(|kind| **kind != Kind::Mcr)
        .filter_map(|kind| Some(format!("{} ×{:.2}", kind.title(), times(measured, *kind)?)))
        .collect();
    each.join("<br>")
}

fn verdict(measured: &Measured) -> String {
    let (wanted, reached) = match measured.row.goal() {
        Goal::Times(at_least, other) => {
            (format!("≥ {at_least} × {}", other.title()), times(measured, other).map(|times| times >= at_least))
        }
        Goal::Under(limit) => (
            format!("< {limit} {}", unit_of_limit(measured.row.unit())),
            stats::median(measured.of(Kind::Mcr)).map(|middle| middle < limit),
        ),
    };
    format!("{wanted}{}", mark(reached))
}

fn unit_of_limit(unit: Unit) -> &'static str {
    match unit {
        Unit::Milliseconds => "ms",
        Unit::Seconds => "s",
        Unit::RequestsPerSecond | Unit::ImagesPerSecond => "/s",
        Unit::BytesPerSecond => "B/s",
    }
}

fn mark(reached: Option<bool>) -> &'static str {
    match reached {
        Some(true) => ": reached",
        Some(false) => ": **missed**",
        None => "",
    }
}

fn memory(phase: &Phase) -> String {
    let of = |kind: Kind| phase.peak_memory_mib.get(&kind).copied();
    let cells: Vec<String> = phase
        .servers
        .iter()
        .map(|kind| of(*kind).map_or_else(String::new, |mib| format!("**{mib:.0} MiB**")))
        .collect();
    let reached = of(Kind::Mcr).map(|mib| mib <= MEMORY_GOAL_MIB);
    format!("| peak memory over all of it | {} | | ≤ {MEMORY_GOAL_MIB} MiB{} |", cells.join(" | "), mark(reached))
}

/// How far the figures can be trusted: what other programs did meanwhile.
pub(crate) fn trust(results: &Results) -> String {
    let Some((_, middle, most)) = stats::spread(&results.others()) else {
        return String::new();
    };
    let noisy = if middle > QUIET { " **The machine was not quiet: do not rely on these figures.**" } else { "" };
    format!(
        "Other programs took {:.1} % of the processors during the median sample, {:.1} % during the worst.{noisy}",
        middle * 100.0,
        most * 100.0
    )
}

/// The measured part of the page: what was run where, and the tables.
fn section(results: &Results) -> String {
    let machine = &results.machine;
    let mut out = format!(
        "Measured on {} with `{}`; measured rounds per row, after one to warm up: {}.\n\n\
         {} × {}, {:.1} GiB memory, {}, data on {}; servers and load generators share the processors. {}\n\n",
        results.date,
        results.command,
        results.pairs,
        machine.cores,
        machine.processor,
        machine.memory_mib as f64 / 1024.0,
        machine.kernel,
        machine.file_system,
        trust(results),
    );
    for (program, version) in &results.versions {
        let _ = writeln!(out, "- {program}: {version}");
    }
    out.push('\n');
    out.push_str(&tables(results));
    out
}

/// Puts the results into the page at `path`, between its two markers.
pub(crate) fn write_page(results: &Results, path: &Path) -> Result<(), Error> {
    let page = host::read(path)?;
    let page = replace(&page, &section(results)).ok_or_else(|| Error::Results {
        path: path.to_path_buf(),
        problem: format!("no lines {BEGIN} and {END} in it"),
    })?;
    host::write(path, page.as_bytes())
}

fn replace(page: &str, section: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", section.trim_end()))
}

#[cfg(test)]
mod tests;
