//! Tests of the texts.

use super::*;

#[test]
fn every_text_is_one_line_that_says_what_to_do() {
    let text = |text: &str| text.to_owned();
    let what = || text("GET https://r.example/v2/");
    let errors = [
        Error::Unreachable { registry: text("https://r"), reason: text("refused"), advice: text("check it") },
        Error::Unauthorized { status: 401, what: what(), reason: text("no"), advice: text("check it") },
        Error::Busy { status: 429, what: what(), waits: 10, said: text(" (too many)") },
        Error::Failing {
            status: Some(500),
            attempts: 3,
            over: Duration::from_millis(10_040),
            what: what(),
            reason: text("500"),
        },
        Error::NotFound { what: what(), detail: None },
        Error::NotFound { what: what(), detail: Some(text("NAME_UNKNOWN")) },
        Error::Unexpected { what: what(), reason: text("a web page") },
        Error::Credentials { registry: text("https://r"), reason: text("c.json is broken; mend it") },
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.contains("; ") && !text.contains('\n'), "{text}");
    }
}
