//! The matrix itself: every row asked by every column, in every mode and form, and the file it must be equal to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use mcr_tests::accounts::{ADMIN, GUEST, MACHINE, Mode, OTHER, USER};

use crate::cell::Cell;
use crate::rows::{Row, oci, open};
use crate::rows_grpc::grpc;
use crate::rows_rest::rest;
use crate::world::{COLUMNS, Column, Form, Rules, World};

/// The rows under their headings.
pub(crate) fn sections() -> [(&'static str, Vec<Row>); 4] {
    [
        ("OCI API", oci()),
        ("Admin API over REST", rest()),
        ("Admin API over gRPC", grpc()),
        ("Health and figures", open()),
    ]
}

/// Answers by section, row and column.
type Answers = BTreeMap<(usize, usize, usize), String>;

/// Every row of one registry's columns.
fn answers(world: &World, form: Form) -> Answers {
    let grpc = world.grpc();
    let mut answers = Answers::new();
    let columns = COLUMNS.iter().enumerate().filter(|(_, column)| column.rules == world.rules);
    for (c, column) in columns {
        let (hand, client) = (world.hand(column.holds), world.registry.nobody());
        let cell = Cell { world, column, form, hand: &hand, client: &client, grpc: &grpc };
        for (s, (_, rows)) in sections().iter().enumerate() {
            for (r, row) in rows.iter().enumerate() {
                let _ = answers.insert((s, r, c), (row.act)(&cell, row.method));
            }
        }
    }
    answers
}

/// Both forms of one mode; where they differ, that is a defect.
fn of_mode(mode: Mode) -> Answers {
    let ask = |rules: Rules| {
        let world = World::start(mode, rules);
        Form::ALL.map(|form| answers(&world, form))
    };
    let parts: Vec<[Answers; 2]> = std::thread::scope(|scope| {
        let threads = Rules::ALL.map(|rules| scope.spawn(move || ask(rules)));
        threads.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).into()
    });
    let mut merged = Answers::new();
    let mut differ = Vec::new();
    for [basic, tokens] in parts {
        for (key, answer) in basic {
            if tokens[&key] != answer {
                let (column, row) = (COLUMNS[key.2].name, sections()[key.0].1[key.1].name());
                differ.push(format!("{row}, {column}: {answer} as Basic, {} with a token", tokens[&key]));
            }
            let _ = merged.insert(key, answer);
        }
    }
    assert!(differ.is_empty(), "{mode:?}: what one may depends on how one shows who one is:\n{}", differ.join("\n"));
    merged
}

const ABBREVIATIONS: [(&str, &str); 6] = [
    ("OK", "ok"),
    ("UNAUTHENTICATED", "unauth"),
    ("PERMISSION_DENIED", "denied"),
    ("NOT_FOUND", "notfound"),
    ("INVALID_ARGUMENT", "invalid"),
    ("UNIMPLEMENTED", "unimpl"),
];

fn short(answer: &str) -> &str {
    ABBREVIATIONS.iter().find(|(code, _)| *code == answer).map_or(answer, |(_, short)| short)
}

fn says(column: &Column) -> String {
    let holds = match column.name {
        "nobody" => "sends nothing".to_owned(),
        "nobody+pull" => "sends nothing; a rule lets account type anonymous pull".to_owned(),
        "forged" => "a token of an administrator whose signature is wrong".to_owned(),
        "expired" => "a token of an administrator, rightly signed, whose time is past".to_owned(),
        "guest" => format!("{GUEST}, a person with the role guest"),
        "guest+all" => "the same; a rule without actions, roles and repositories allows it everything".to_owned(),
        "user" => format!("{USER}, a person with the role user"),
        "user+allow" => "the same; a rule allows pull, push, delete and catalog".to_owned(),
        "user+deny" => "the same; a rule allows everything, one of a lower rank denies everything".to_owned(),
        "user+rules" => format!("{OTHER}, a person with the role user; a rule allows policy:manage"),
        "system" => format!("{MACHINE}, a system account"),
        "system+allow" => "the same; a rule allows pull, push, delete and catalog".to_owned(),
        "admin" => format!("{ADMIN}, a person with the role admin"),
        "admin+deny" => "the same; a rule denies everything".to_owned(),
        "admin/pull" => "an API token of an administrator, made for pull".to_owned(),
        other => panic!("nobody said who {other} is"),
    };
    format!("#   {:<13} {holds}\n", column.name)
}

fn head() -> String {
    let mut text = String::from(
        "# Who may do what: for every endpoint and every kind of caller the answer of a real registry.\n\
         # Made and compared by tests/matrix; MCR_UPDATE_MATRIX=1 writes it anew. A cell that changes is a decision.\n\
         #\n\
         # Each answer was had four times: with a password file and with the identity service, each with HTTP Basic\n\
         # and with tokens (below /v2/ one for what the challenge asks for). Two answers `a|b` are those with a\n\
         # password file | with the identity service: [policy] user_default is pull and catalog with the first,\n\
         # pull, push, delete and catalog with the second. How one shows who one is makes no difference, but that a\n\
         # token for one repository mounts nothing out of another.\n\
         #\n\
         # Callers:\n",
    );
    text.extend(COLUMNS.iter().map(says));
    text.push_str("#\n# Codes of gRPC:");
    for (code, short) in ABBREVIATIONS {
        let _ = write!(text, " {short} = {code}{}", if short == "unimpl" { ".\n" } else { "," });
    }
    text
}

fn table(htpasswd: &Answers, mcias: &Answers) -> String {
    let sections = sections();
    let rows = sections.iter().flat_map(|(_, rows)| rows);
    let first = rows.map(|row| row.name().len()).max().unwrap_or(0);
    let mut text = head();
    for (s, (title, rows)) in sections.iter().enumerate() {
        let _ = write!(text, "\n# {title}\n{:<first$}", "endpoint");
        let widths = COLUMNS.map(|column| column.name.len().max(15) + 1);
        let widths = if *title == "Admin API over gRPC" { widths } else { COLUMNS.map(|c| c.name.len().max(7) + 1) };
        for (column, width) in COLUMNS.iter().zip(widths) {
            let _ = write!(text, " {:<width$}", column.name);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        for (r, row) in rows.iter().enumerate() {
            let _ = write!(text, "{:<first$}", row.name());
            for (c, width) in widths.iter().enumerate() {
                let (one, other) = (short(&htpasswd[&(s, r, c)]), short(&mcias[&(s, r, c)]));
                let both = if one == other { one.to_owned() } else { format!("{one}|{other}") };
                let _ = write!(text, " {both:<width$}");
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
    }
    text
}

/// What changed, line by line, for a reader.
fn difference(expected: &str, found: &str) -> String {
    let name = |line: &str| line.split("  ").next().unwrap_or_default().to_owned();
    let (expected, found): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let mut text = String::new();
    for line in expected.iter().filter(|line| !found.contains(line)) {
        let _ = writeln!(text, "- {line}");
        for other in found.iter().filter(|other| name(other) == name(line) && !expected.contains(other)) {
            let _ = writeln!(text, "+ {other}");
        }
    }
    for line in found.iter().filter(|line| !expected.iter().any(|other| name(other) == name(line))) {
        let _ = writeln!(text, "+ {line}");
    }
    text
}

#[test]
fn everybody_may_what_the_matrix_says() {
    let (htpasswd, mcias) = std::thread::scope(|scope| {
        let other = scope.spawn(|| of_mode(Mode::Mcias));
        let htpasswd = of_mode(Mode::Htpasswd);
        (htpasswd, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let found = table(&htpasswd, &mcias);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("matrix").join("matrix.txt");
    if std::env::var_os("MCR_UPDATE_MATRIX").is_some_and(|value| value == "1") {
        std::fs::write(&file, &found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file).expect("tests/matrix/matrix.txt");
    let columns: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    assert!(
        found == expected,
        "the answers are others than in {}; columns: {}\n{}",
        file.display(),
        columns.join(", "),
        difference(&expected, &found)
    );
}
