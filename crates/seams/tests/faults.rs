//! Fault points as a whole process meets them: this program starts itself again with `MCR_FAULTS` set.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use mcr_seams::fault;

/// Passes the points `one`, `two`, `one` and says how each went. Does nothing unless a test below starts it.
#[test]
fn child() {
    if std::env::var_os("FAULTS_CHILD").is_none() {
        return;
    }
    assert_eq!(fault::armed(), std::env::var_os(fault::VARIABLE).is_some());
    for name in ["one", "two", "one"] {
        match fault::point(name) {
            Ok(()) => println!("{name}: passed"),
            Err(error) => println!("{name}: {:?} {:?} {error}", error.kind(), error.raw_os_error()),
        }
    }
}

fn run(faults: Option<&str>) -> io::Result<Output> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", "child", "--nocapture"]).env("FAULTS_CHILD", "1");
    match faults {
        Some(faults) => command.env(fault::VARIABLE, faults),
        None => command.env_remove(fault::VARIABLE),
    };
    command.output()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn unarmed_points_are_passed() {
    for faults in [None, Some(""), Some("three=kill")] {
        let output = run(faults).unwrap();
        assert!(output.status.success());
        assert!(said(&output).contains("one: passed\ntwo: passed\none: passed"), "{}", said(&output));
    }
}

#[test]
fn kill_is_sigkill_at_that_point() {
    let output = run(Some("one=kill@2")).unwrap();
    assert_eq!(output.status.signal(), Some(9));
    assert!(said(&output).ends_with("one: passed\ntwo: passed\n"), "{}", said(&output));
}

#[test]
fn errors_are_those_of_the_operating_system() {
    let output = run(Some("one=enospc@1,two=eio")).unwrap();
    let (full, broken) = (io::Error::from_raw_os_error(28), io::Error::from_raw_os_error(5));
    let expected =
        format!("one: {:?} Some(28) {full}\ntwo: {:?} Some(5) {broken}\none: passed", full.kind(), broken.kind());
    assert!(said(&output).contains(&expected), "{}", said(&output));
}

#[test]
fn sleeping_delays() {
    let before = Instant::now();
    assert!(said(&run(Some("two=sleep:150")).unwrap()).contains("two: passed"));
    assert!(before.elapsed() >= Duration::from_millis(150));
}

#[test]
fn a_mistyped_fault_fails_every_point() {
    let output = run(Some("one=eoi")).unwrap();
    assert_eq!(said(&output).matches("InvalidInput None MCR_FAULTS: `one=eoi`: ").count(), 3, "{}", said(&output));
}
