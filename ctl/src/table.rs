//! Tables for people: columns, and digests that are shortened where the terminal is narrow; never what is in them.

use std::io::IsTerminal as _;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use mcr_oci::Digest;

use crate::print::printable;

/// So much of a digest tells it from others where there is no room for all of it: `sha256:` and twelve digits.
const SHORT_DIGEST: usize = 19;

/// Rows and a head over them, as text that ends with a line break; the columns of `right` hold numbers. Without a
/// terminal nothing is shortened and every row is one line. On one, the head is underlined; where there is no room,
/// digests are shortened, and where that is not enough, long cells are broken into lines.
pub(crate) fn table(head: &[&str], right: &[usize], rows: &[Vec<String>]) -> String {
    if !std::io::stdout().is_terminal() {
        return drawn(head, right, rows, false, None);
    }
    on_terminal(head, right, rows, width())
}

fn on_terminal(head: &[&str], right: &[usize], rows: &[Vec<String>], room: Option<usize>) -> String {
    let fits = |text: &str| room.is_none_or(|room| widest(text) <= room);
    let mut text = drawn(head, right, rows, false, None);
    if !fits(&text) {
        text = drawn(head, right, rows, true, None);
    }
    if !fits(&text) {
        text = drawn(head, right, rows, true, room.and_then(|room| u16::try_from(room).ok()));
    }
    let line = "─".repeat(widest(&text));
    match text.split_once('\n') {
        Some((head, rows)) => format!("{head}\n{line}\n{rows}"),
        None => text,
    }
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

fn drawn(head: &[&str], right: &[usize], rows: &[Vec<String>], short: bool, room: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    match room {
        Some(room) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(room),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table.set_header(head.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>());
    for row in rows {
        table.add_row(row.iter().map(|cell| if short { shortened(cell) } else { printable(cell) }).collect::<Vec<_>>());
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn shortened(cell: &str) -> String {
    match cell.get(..SHORT_DIGEST).filter(|_| Digest::parse(cell).is_ok()) {
        Some(start) => start.to_owned(),
        None => printable(cell),
    }
}

/// The columns of the terminal that stdout is.
fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        let digest = format!("sha256:{}", "a".repeat(64));
        vec![
            vec!["v1".to_owned(), digest, "7".to_owned()],
            vec!["la\u{1b}test".to_owned(), "-".to_owned(), "1234".to_owned()],
        ]
    }

    #[test]
    fn without_a_terminal_columns_are_plain_and_whole() {
        let text = drawn(&["TAG", "DIGEST", "BYTES"], &[2], &rows(), false, None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("TAG      DIGEST "), "{text}");
        assert!(lines[1].contains(&"a".repeat(64)) && lines[1].ends_with("     7"), "{text}");
        assert!(lines[2].starts_with("la test  -") && lines[2].ends_with("  1234"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn digests_are_shortened_only_where_there_is_no_room() {
        let wide = on_terminal(&["TAG", "DIGEST", "BYTES"], &[2], &rows(), Some(200));
        assert!(wide.contains(&"a".repeat(64)), "{wide}");
        let narrow = on_terminal(&["TAG", "DIGEST", "BYTES"], &[2], &rows(), Some(60));
        assert_eq!(narrow.lines().nth(1), Some("─".repeat(widest(&narrow)).as_str()));
        let tiny = on_terminal(&["TAG", "DIGEST", "BYTES"], &[2], &rows(), Some(24));
        assert!(widest(&tiny) <= 24 && tiny.lines().count() > 4, "{tiny}");
        assert!(narrow.contains("sha256:aaaaaaaaaaaa ") && !narrow.contains(&"a".repeat(13)), "{narrow}");
    }
}
