//! What a reader needs to repeat a run: versions, date and command. Asks programs, interprets little.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
};

use crate::servers::{Kind, Programs};

/// Options that say where things are on one machine, not what was measured.
const LOCAL: [&str; 8] =
    ["--mcrsrv", "--registry2", "--distribution", "--nginx", "--wrk", "--scratch", "--json", "--markdown"];

/// The versions of all programs of a run.
pub(crate) fn all(programs: &Programs, wrk: &Path) -> BTreeMap<String, String> {
    let mut versions: BTreeMap<String, String> = programs
        .found
        .iter()
        .map(|(kind, program)| {
            let flag = if *kind == Kind::Nginx { "-v" } else { "--version" };
            (kind.title().to_owned(), without_paths(&said(program, &[flag])))
        })
        .collect();
    // Its first line goes on with its copyright.
    let load = said(wrk, &["-v"]);
    let load = load.split(" [").next().unwrap_or_default();
    versions.insert("load of the GETs".to_owned(), without_paths(load));
    versions
}

/// Today in UTC, `YYYY-MM-DD`.
pub(crate) fn today() -> String {
    said(Path::new("date"), &["-u", "+%F"])
}

/// The command line without what only holds on this machine.
pub(crate) fn command(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["mcr-bench".to_owned()];
    let mut arguments = arguments.skip(1);
    while let Some(argument) = arguments.next() {
        if LOCAL.contains(&argument.as_str()) {
            arguments.next();
        } else if !LOCAL.iter().any(|local| argument.starts_with(&format!("{local}="))) {
            words.push(argument);
        }
    }
    words.join(" ")
}

/// First line of what a program prints on either stream.
fn said(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let Ok(output) = output else {
        return "unknown".to_owned();
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or("unknown").trim().to_owned()
}

/// Go programs begin with the path they were called by.
fn without_paths(version: &str) -> String {
    let words: Vec<&str> = version.split_whitespace().filter(|word| !word.starts_with('/')).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_no_place() {
        let words = "x/mcr-bench run --tls --nginx /n --wrk=/w --pairs 3 --json /j";
        let command = command(words.split(' ').map(str::to_owned));
        assert_eq!(command, "mcr-bench run --tls --pairs 3");
        assert_eq!(without_paths("/usr/bin/r github.com/x v3.1.1"), "github.com/x v3.1.1");
    }
}
