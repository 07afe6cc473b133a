//! `Content-Range` of an answer (RFC 9110, section 14.4); never a range that is asked for.

/// What an answer says about the part it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentRange {
    /// The bytes from the first to the last, both included, of so many in all (if that is known).
    Part { first: u64, last: u64, total: Option<u64> },
    /// No part can be had; there are so many bytes in all.
    Unsatisfied { total: u64 },
}

/// Reads the header; `None` where it makes no sense.
pub(crate) fn parse(text: &str) -> Option<ContentRange> {
    let (unit, rest) = text.trim().split_once([' ', '\t'])?;
    let (range, total) = rest.trim().split_once('/')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    if range == "*" {
        return Some(ContentRange::Unsatisfied { total: number(total)? });
    }
    let total = if total == "*" { None } else { Some(number(total)?) };
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let sound = first <= last && total.is_none_or(|total| last < total);
    sound.then_some(ContentRange::Part { first, last, total })
}

/// Digits only: `parse` would take a sign as well.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
