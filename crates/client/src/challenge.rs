//! `WWW-Authenticate` (RFC 9110, section 11.6.1): which schemes are asked for, with what; never what is answered to it.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// All challenges of an answer together are read up to this length, in bytes.
const HEADER_MAX: usize = 16 * 1024;

/// More challenges than that are not read.
const CHALLENGES_MAX: usize = 16;

/// More parameters of one challenge than that are not kept.
const PARAMETERS_MAX: usize = 32;

/// One scheme that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// In lower case.
    pub(crate) scheme: String,
    /// Names in lower case; values without their quotes.
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The first parameter of that name (in lower case).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Every challenge of an answer, in its order.
pub(crate) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let mut text = String::new();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        if text.len().saturating_add(value.len()) > HEADER_MAX {
            break;
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&String::from_utf8_lossy(value.as_bytes()));
    }
    parse(&text)
}

/// Reads one header. Lenient where registries are sloppy (values with slashes and no quotes, quotes that do not end);
/// what cannot be read is skipped.
pub(crate) fn parse(text: &str) -> Vec<Challenge> {
    let mut reader = Reader { rest: text };
    let mut found = Vec::new();
    while found.len() < CHALLENGES_MAX {
        reader.skip(|byte| is_space(byte) || byte == b',');
        if reader.rest.is_empty() {
            break;
        }
        let scheme = reader.take(is_token);
        if scheme.is_empty() {
            // Neither a scheme nor a separator: the next comma is the next chance.
            reader.take(|byte| byte != b',');
            continue;
        }
        let scheme = scheme.to_ascii_lowercase();
        let parameters =
            if reader.rest.bytes().next().is_some_and(is_space) { reader.parameters() } else { Vec::new() };
        found.push(Challenge { scheme, parameters });
    }
    found
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// The longest beginning of ASCII bytes that `wanted` takes; other bytes are taken where `wanted` takes them all.
    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let end = self.rest.find(|character: char| !u8::try_from(character).map_or_else(|_| wanted(0xff), &wanted));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn skip(&mut self, wanted: impl Fn(u8) -> bool) {
        self.take(wanted);
    }

    /// The parameters up to the next scheme. Credentials of one word (token68) are passed over.
    fn parameters(&mut self) -> Vec<(String, String)> {
        let mut parameters = Vec::new();
        let mut first = true;
        loop {
            self.skip(|byte| is_space(byte) || byte == b',');
            let before = self.rest;
            if first && self.is_token68() {
                return parameters;
            }
            first = false;
            let name = self.take(is_token);
            self.skip(is_space);
            let Some(after) = self.rest.strip_prefix('=').filter(|_| !name.is_empty()) else {
                self.rest = before;
                return parameters;
            };
            self.rest = after;
            self.skip(is_space);
            let value = self.value();
            if parameters.len() < PARAMETERS_MAX {
                parameters.push((name.to_ascii_lowercase(), value));
            }
        }
    }

    /// Passes over `token68` if one stands here: a word, perhaps with `=` at its end, and then a comma or the end.
    fn is_token68(&mut self) -> bool {
        let before = self.rest;
        let word = self.take(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        self.skip(|byte| byte == b'=');
        self.skip(is_space);
        let ends = self.rest.is_empty() || self.rest.starts_with(',');
        if !word.is_empty() && ends {
            return true;
        }
        self.rest = before;
        false
    }

    fn value(&mut self) -> String {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            // A token by the grammar; some registries leave the quotes of a URL away.
            return self.take(|byte| byte != b',' && !is_space(byte)).to_owned();
        };
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((_, character)) = characters.next() {
            match character {
                '"' => break,
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                _ => value.push(character),
            }
        }
        self.rest = characters.as_str();
        value
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
