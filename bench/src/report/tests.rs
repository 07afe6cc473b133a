//! Figures, ratios and verdicts from samples, and the page's markers.

use std::collections::BTreeMap;

use super::*;
use crate::servers::Transport;

fn measured(row: Row, samples: &[(Kind, &[f64])]) -> Measured {
    Measured {
        row,
        samples: samples.iter().map(|(kind, values)| (*kind, values.to_vec())).collect(),
        others: vec![0.01, 0.3, 0.02],
    }
}

#[test]
fn figures_have_their_unit() {
    assert_eq!(figure(Unit::RequestsPerSecond, 1_234_567.4), "1 234 567 /s");
    assert_eq!(figure(Unit::RequestsPerSecond, 999.0), "999 /s");
    assert_eq!(figure(Unit::BytesPerSecond, 1.5e9), "1.50 GB/s");
    assert_eq!(bare(Unit::RequestsPerSecond, 12_345.0), "12 345");
}

#[test]
fn a_shorter_time_is_more_times_as_good() {
    let push = measured(Row::PushBlob, &[(Kind::Mcr, &[2.0, 1.0]), (Kind::Distribution, &[4.0, 3.0])]);
    assert_eq!(times(&push, Kind::Distribution), Some(2.5));
    assert_eq!(verdict(&push), "≥ 1.2 × distribution 3: reached");
    let pull = measured(Row::Manifest, &[(Kind::Mcr, &[30.0]), (Kind::Distribution, &[10.0])]);
    assert_eq!(verdict(&pull), "≥ 4 × distribution 3: **missed**");
    let index = measured(Row::PutIndex, &[(Kind::Mcr, &[4.0, 6.0, 4.5])]);
    assert_eq!(verdict(&index), "< 5 ms: reached");
}

#[test]
fn a_phase_without_us_has_figures_and_no_verdict() {
    let phase = Phase {
        transport: Transport::Plain,
        servers: vec![Kind::Distribution, Kind::Nginx],
        rows: vec![measured(Row::Blob1m, &[(Kind::Nginx, &[1e9, 3e9, 2e9])])],
        peak_memory_mib: BTreeMap::from([(Kind::Distribution, 100.4)]),
    };
    let amounts = Amounts { seconds: 1, push_mib: 1, images: 1, indexes: 1 };
    let table = table(&phase, &amounts);
    assert!(table.contains("|  | **2.00 GB/s** (1.00–3.00) |  | ≥ 1.7 × distribution 3 |"), "{table}");
    assert!(table.contains("| **100 MiB** |  | | ≤ 48 MiB |"), "{table}");
}

#[test]
fn a_busy_machine_is_told() {
    let phase = |others: &[f64]| Phase {
        transport: Transport::Tls,
        servers: vec![Kind::Nginx],
        rows: vec![Measured { row: Row::Blob1m, samples: BTreeMap::new(), others: others.to_vec() }],
        peak_memory_mib: BTreeMap::new(),
    };
    let mut results = Results {
        date: "2000-01-01".to_owned(),
        command: "mcr-bench run".to_owned(),
        machine: host::Machine::describe(Path::new("/")).unwrap(),
        versions: BTreeMap::from([("nginx, files".to_owned(), "1".to_owned())]),
        pairs: 3,
        amounts: Amounts { seconds: 1, push_mib: 1, images: 1, indexes: 1 },
        phases: vec![phase(&[0.01, 0.3]), phase(&[0.02])],
    };
    let quiet = "Other programs took 2.0 % of the processors during the median sample, 30.0 % during the worst.";
    assert_eq!(trust(&results), quiet);
    assert!(section(&results).contains(quiet));
    results.phases.push(phase(&[0.2, 0.4, 0.5]));
    assert!(trust(&results).contains("not quiet"));
}

#[test]
fn only_what_stands_between_the_markers_changes() {
    let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
    let once = replace(&page, "new\n\n").unwrap();
    assert_eq!(once, format!("a\n{BEGIN}\n\nnew\n\n{END}\nb\n"));
    assert_eq!(replace(&once, "new").unwrap(), once);
    assert_eq!(replace("no markers", "new"), None);
}
