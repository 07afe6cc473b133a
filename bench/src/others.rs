//! How much of the processors programs outside this run used while a sample was taken: the figure that says whether
//! the others can be trusted. Counts processes, knows nothing of what they are.

use std::{collections::HashMap, time::Instant};

use crate::{error::Error, host};

/// The parent of all kernel threads; their work (writing back, networking) belongs to the sample.
const KERNEL: u32 = 2;

/// A moment to measure from.
pub(crate) struct Others {
    since: Instant,
    ticks: u64,
}

impl Others {
    /// Starts to measure.
    pub(crate) fn watch() -> Result<Others, Error> {
        Ok(Others { since: Instant::now(), ticks: ticks()? })
    }

    /// The share of all processors that others used since, from 0 to 1.
    pub(crate) fn share(&self) -> Result<f64, Error> {
        let used = ticks()?.saturating_sub(self.ticks) as f64;
        let processors = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        let all = self.since.elapsed().as_secs_f64() * processors * per_second;
        Ok(if all > 0.0 { used / all } else { 0.0 })
    }
}

fn ticks() -> Result<u64, Error> {
    Ok(foreign_ticks(&host::processes()?, std::process::id()))
}

/// One line of `/proc/PID/stat`.
struct Process {
    pid: u32,
    parent: u32,
    ticks: u64,
}

impl Process {
    /// Time of a process and of its children that ended, so that nothing is lost when one ends in between.
    fn parse(stat: &str) -> Option<Process> {
        // The name in parentheses may hold spaces and parentheses.
        let (pid, rest) = stat.split_once(" (")?;
        let (_, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Process { pid: pid.parse().ok()?, parent: fields.get(1)?.parse().ok()?, ticks })
    }
}

/// Ticks of all processes but kernel threads and the family of `own`.
fn foreign_ticks(stats: &[String], own: u32) -> u64 {
    let processes: HashMap<u32, Process> =
        stats.iter().filter_map(|stat| Process::parse(stat)).map(|process| (process.pid, process)).collect();
    processes
        .values()
        .filter(|process| !descends(process, &processes, &[own, KERNEL]))
        .map(|process| process.ticks)
        .sum()
}

fn descends(process: &Process, processes: &HashMap<u32, Process>, from: &[u32]) -> bool {
    let mut pid = process.pid;
    // Bounded by the number of processes: the table is not read in one moment, so a circle is thinkable.
    for _ in 0..=processes.len() {
        if from.contains(&pid) {
            return true;
        }
        match processes.get(&pid) {
            Some(process) => pid = process.parent,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, parent: u32, ticks: [u64; 4]) -> String {
        let [user, system, children_user, children_system] = ticks;
        format!(
            "{pid} (a b) c)) S {parent} 1 1 0 -1 4194560 9 9 9 9 {user} {system} {children_user} {children_system} 20 0"
        )
    }

    #[test]
    fn counts_strangers_and_their_ended_children_only() {
        let stats = [
            stat(1, 0, [1, 2, 3, 4]),
            stat(2, 0, [1000; 4]),
            stat(3, 2, [1000; 4]),
            stat(50, 1, [1000; 4]),
            stat(51, 50, [1000; 4]),
            stat(60, 1, [20, 0, 0, 0]),
            "gone".to_owned(),
        ];
        assert_eq!(foreign_ticks(&stats, 50), 30);
    }

    #[test]
    fn reads_this_machine() {
        assert!(ticks().is_ok());
    }
}
