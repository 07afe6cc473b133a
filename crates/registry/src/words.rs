//! Words that people give to the admin API: their length and characters, with errors that name the field; never their meaning.

use crate::error::Error;

/// Characters of a wrong word that an error repeats.
const EXCERPT: usize = 64;

/// The longest pattern of repository names, in bytes: as long as a name may be.
const MAX_PATTERN: usize = 255;

/// A text that may be empty: no control characters, at most `most` characters.
pub(crate) fn text(field: &str, text: &str, most: usize) -> Result<(), Error> {
    if text.chars().count() > most {
        return Err(Error::Invalid(format!("{field}: must have at most {most} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::Invalid(format!("{field}: must have no line breaks or other control characters")));
    }
    Ok(())
}

/// A name: not empty, without blanks at its ends.
pub(crate) fn word(field: &str, word: &str, most: usize) -> Result<(), Error> {
    text(field, word, most)?;
    if word.is_empty() || word.trim() != word {
        return Err(Error::Invalid(format!("{field}: must be no empty text and have no blanks around it")));
    }
    Ok(())
}

/// At most `most` entries.
pub(crate) fn count(field: &str, entries: &[String], most: usize) -> Result<(), Error> {
    if entries.len() > most {
        return Err(Error::Invalid(format!("{field}: must have at most {most} entries, not {}", entries.len())));
    }
    Ok(())
}

/// A pattern that some repository's name can match.
pub(crate) fn pattern(pattern: &str) -> Result<(), Error> {
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'/' | b'*');
    let wrong = |why: &str| Err(Error::Invalid(format!("repositories: `{}` {why}", excerpt(pattern))));
    if pattern.is_empty() {
        return Err(Error::Invalid("repositories: a pattern must not be empty; `**` is every repository".to_owned()));
    }
    if pattern.len() > MAX_PATTERN {
        return wrong("is longer than 255 characters");
    }
    if !pattern.bytes().all(fits) {
        return wrong(
            "can match no repository: names have lower-case letters, digits, `.`, `_`, `-` and `/`, patterns also \
             `*` (within a segment) and `**` (across segments)",
        );
    }
    if pattern.starts_with('/') || pattern.ends_with('/') || pattern.contains("//") {
        return wrong("can match no repository: it has an empty segment");
    }
    Ok(())
}

/// Each once, in the order they came.
pub(crate) fn unique(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut unique: Vec<String> = Vec::new();
    for word in words {
        if !unique.contains(&word) {
            unique.push(word);
        }
    }
    unique
}

/// The beginning of a word, fit for a message of one line.
pub(crate) fn excerpt(word: &str) -> String {
    word.chars().take(EXCERPT).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_that_can_match() {
        for good in ["**", "*", "a", "team/*", "team/**/app-*", "a_b.c-d/e", "*-cache"] {
            assert!(pattern(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "Team/*", "a?", "a[b]", "a b", "a\n", "ä", &"a".repeat(256)] {
            let error = pattern(bad).unwrap_err().to_string();
            assert!(error.starts_with("repositories: ") && !error.contains('\n'), "{bad}: {error}");
        }
    }

    #[test]
    fn words_have_an_end_and_no_control_characters() {
        assert!(word("name", "ci push", 10).is_ok() && text("d", "", 1).is_ok());
        for bad in ["", " a", "a ", "a\u{7}", "aaaaaaaaaaa"] {
            assert!(word("name", bad, 10).unwrap_err().to_string().starts_with("name: "), "{bad}");
        }
        assert_eq!(excerpt("a\nb"), "a\u{fffd}b");
        assert_eq!(unique(["a".to_owned(), "b".to_owned(), "a".to_owned()]), ["a", "b"]);
    }
}
