//! Names as strangers send them, made fit for a log and an audit row; never whether an account has one.

use mcr_access::PROBE_ACCOUNT;
use mcr_registry::IMPORT;

/// Longest name of an account, in bytes.
pub(crate) const MAX_NAME: usize = 255;
/// Names the audit trail has for others than accounts.
const RESERVED: [&str; 6] = [PROBE_ACCOUNT, IMPORT, "mcrsrv", "anonymous", "nobody", "API token"];
/// How much of a name that is none is shown, in characters.
const SHOWN: usize = 64;

/// Whether a name can be an account's: [`is_text`], and not one that stands for something else in the audit trail.
pub(crate) fn is_name(name: &str) -> bool {
    is_text(name) && !RESERVED.contains(&name)
}

/// Not empty, at most [`MAX_NAME`] bytes, nothing that a log or a terminal takes for more than text.
pub(crate) fn is_text(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(is_unfit)
}

/// A name for a log or an audit row: what is unfit is replaced, what is long is cut.
pub(crate) fn shown(name: &str) -> String {
    let mut text: String =
        name.chars().take(SHOWN).map(|c| if is_unfit(c) { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if name.chars().nth(SHOWN).is_some() {
        text.push('…');
    }
    text
}

/// Control characters, and those that turn the direction of a line round.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_forge_a_line_is_no_name() {
        for bad in [
            "",
            "a\nb",
            "a\r",
            "\u{1b}[31m",
            "a\u{0}",
            "a\u{202e}b",
            "a\u{2028}b",
            PROBE_ACCOUNT,
            "mcrsrv",
            IMPORT,
            "anonymous",
        ] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert!(!is_name(&"a".repeat(256)));
        for good in ["anna", "anna@example.org", "Ännä", "ci bot", "00000000-0000-0000-0000-000000000000"] {
            assert!(is_name(good) && shown(good) == good, "{good}");
        }
    }

    #[test]
    fn what_is_shown_is_one_short_line() {
        let text = shown(&format!("x\n2026-01-01 login ok\u{1b}[0m{}", "y".repeat(500)));
        assert!(!text.chars().any(char::is_control) && text.chars().count() == SHOWN + 1 && text.ends_with('…'));
    }
}
