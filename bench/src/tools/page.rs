//! The table of the tools and its place in the documentation; measures nothing.

use std::fmt::Write as _;
use std::path::Path;

use crate::error::Error;
use crate::host::{self, Machine};

use super::child::Sample;

const BEGIN: &str = "<!-- mcr-bench tools: begin -->";
const END: &str = "<!-- mcr-bench tools: end -->";

/// What is to be reached.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Goal {
    pub(crate) seconds: Option<f64>,
    pub(crate) peak_mib: Option<f64>,
}

/// Rows so far.
#[derive(Debug)]
pub(crate) struct Page {
    head: String,
    rows: String,
}

impl Page {
    pub(crate) fn new(date: &str, machine: Machine) -> Self {
        let Machine { processor, cores, memory_mib, kernel, file_system } = machine;
        let machine = format!("{processor}, {cores} cores, {memory_mib} MiB, {kernel}, {file_system}");
        Self { head: format!("{date}; {machine}.\n"), rows: String::new() }
    }

    /// Adds a row: the median time with its extremes, the largest peak.
    pub(crate) fn row(&mut self, what: &str, samples: &[Sample], goal: Goal, note: &str) {
        let mut seconds: Vec<f64> = samples.iter().map(|sample| sample.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let at = |index: usize| seconds.get(index).copied().unwrap_or_default();
        let (median, least, most) = (at(seconds.len() / 2), at(0), at(seconds.len().saturating_sub(1)));
        let peak = samples.iter().map(|sample| sample.peak_mib).fold(0.0, f64::max);
        let mut goals = Vec::new();
        if let Some(goal) = goal.seconds {
            goals.push(verdict(median <= goal, &format!("≤ {goal} s")));
        }
        if let Some(goal) = goal.peak_mib {
            goals.push(verdict(peak <= goal, &format!("≤ {goal:.1} MiB")));
        }
        let goals = goals.join("<br>");
        let row = format!("| {what} | **{median:.2} s** ({least:.2}–{most:.2}) | {peak:.1} MiB | {goals} | {note} |");
        eprintln!("{row}");
        // Writing into a String cannot fail.
        let _ = writeln!(self.rows, "{row}");
    }

    pub(crate) fn text(&self) -> String {
        let table = "| work | time: median (least–most) | peak memory | goal | |\n|---|---|---|---|---|\n";
        format!("{}\n{table}{}", self.head, self.rows)
    }

    /// Puts the table between its markers.
    ///
    /// # Errors
    /// When the page cannot be read or written, or has no markers.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let page = host::read(path)?;
        let placed = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let (before, after) = placed.ok_or_else(|| Error::Results {
            path: path.to_owned(),
            problem: format!("no lines {BEGIN} and {END} in it"),
        })?;
        let text = format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.text());
        host::write(path, text.as_bytes())
    }
}

fn verdict(reached: bool, goal: &str) -> String {
    if reached { format!("{goal}: reached") } else { format!("{goal}: **missed**") }
}
