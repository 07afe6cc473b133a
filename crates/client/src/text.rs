//! What strangers sent, made fit for a message; never a change of what is handed on.

/// The longest piece of foreign text in a message, in bytes.
const LINE_MAX: usize = 240;

/// `text` as one line without control characters and signs that turn the writing around, of at most [`LINE_MAX`] bytes.
pub(crate) fn line(text: &str) -> String {
    let mut short = String::with_capacity(text.len().min(LINE_MAX));
    for character in text.trim().chars() {
        if short.len().saturating_add(character.len_utf8()) > LINE_MAX {
            short.push('…');
            break;
        }
        short.push(if is_hidden(character) { ' ' } else { character });
    }
    short
}

/// Characters that move the cursor or the order of writing, and so can make a terminal show something else.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The innermost reasons of an error in one line: the outer layers only say that something failed.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // "client error (Connect)" says nothing; an outer layer often repeats the inner one's text.
        causes.retain(|outer| !outer.contains(&text) && !is_wrapper(outer));
        causes.push(text);
        source = cause.source();
    }
    if causes.is_empty() { line(&error.to_string()) } else { line(&causes.join(": ")) }
}

/// Texts of layers that carry an error and add nothing to it.
fn is_wrapper(text: &str) -> bool {
    text.starts_with("client error") || text.starts_with("error sending request")
}

#[cfg(test)]
mod tests;
