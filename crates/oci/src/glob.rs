//! Globs of repository names, as policies, rules and command lines write them; never what a match means.

/// Matches a repository glob: `*` within a path segment, `**` across segments (contract section 10).
///
/// Costs at most the product of both lengths, whatever the pattern: those of tokens and filters are anybody's to write.
#[must_use]
pub fn matches(glob: &str, name: &str) -> bool {
    let (g, n) = (glob.as_bytes(), name.as_bytes());
    let Some(first) = g.iter().position(|b| *b == b'*') else { return g == n };
    let last = g.iter().rposition(|b| *b == b'*').unwrap_or(first);
    // Most patterns are done here: what stands before the first star and behind the last one.
    let (Some(before), Some(stars), Some(behind)) = (g.get(..first), g.get(first..=last), g.get(last + 1..)) else {
        return false;
    };
    let between = n.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
    match (between, stars) {
        (None, _) => false,
        (Some(_), b"**") => true,
        (Some(between), b"*") => !between.contains(&b'/'),
        (Some(between), _) => walk(stars, between),
    }
}

/// Follows the pattern from left to right, with every place of the name that it can have come to: no way is taken
/// twice, as backtracking would.
fn walk(mut pattern: &[u8], name: &[u8]) -> bool {
    // Whether the pattern so far matches the first `at` bytes.
    let mut reached = vec![false; name.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    while let Some((&token, rest)) = pattern.split_first() {
        let crosses = token == b'*' && rest.first() == Some(&b'*');
        pattern = if crosses { rest.get(1..).unwrap_or_default() } else { rest };
        let mut before = false;
        let mut any = false;
        for (at, place) in reached.iter_mut().enumerate() {
            let byte = at.checked_sub(1).and_then(|at| name.get(at));
            let here = *place;
            *place = match token {
                b'*' => here || (before && (crosses || byte != Some(&b'/'))),
                literal => before && byte == Some(&literal),
            };
            // A star goes on from where it has come to, a byte from where the pattern before it was.
            before = if token == b'*' { *place } else { here };
            any |= *place;
        }
        if !any {
            return false;
        }
    }
    reached.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn one_star_stays_within_a_segment_and_two_cross() {
        for (glob, name, expected) in [
            ("infra/*", "infra/ci", true),
            ("infra/*", "infra/ci/deep", false),
            ("infra/**", "infra/ci/deep", true),
            ("**", "a/b/c", true),
            ("*", "a/b", false),
            ("*", "ab", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("**/ci", "x/y/ci", true),
            ("**/ci", "x/y/cj", false),
            ("a/*/c", "a/b/c", true),
            ("a/*/c", "a/b/b/c", false),
            ("**x*z", "a/xbx/y/xz", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(glob, name), expected, "{glob} ~ {name}");
        }
    }

    /// The definition, which tries every way.
    fn by_definition(glob: &[u8], name: &[u8]) -> bool {
        match glob {
            [] => name.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=name.len()).any(|at| by_definition(rest, &name[at..])),
            [b'*', rest @ ..] => {
                let end = name.iter().position(|b| *b == b'/').unwrap_or(name.len());
                (0..=end).any(|at| by_definition(rest, &name[at..]))
            }
            [byte, rest @ ..] => name.first() == Some(byte) && by_definition(rest, &name[1..]),
        }
    }

    #[test]
    fn it_is_what_the_definition_says() {
        let words = |letters: &[u8], longest: u32| -> Vec<Vec<u8>> {
            let base = letters.len();
            let word = |length: u32, number: usize| {
                (0..length).map(move |at| number / base.pow(at) % base).collect::<Vec<usize>>()
            };
            (0..=longest)
                .flat_map(|length| (0..base.pow(length)).map(move |number| word(length, number)))
                .map(|word| word.into_iter().map(|at| letters[at]).collect())
                .collect()
        };
        let names = words(b"ab/", 4);
        for glob in words(b"a/*", 6) {
            for name in &names {
                let (glob, name) = (std::str::from_utf8(&glob).unwrap(), std::str::from_utf8(name).unwrap());
                assert_eq!(matches(glob, name), by_definition(glob.as_bytes(), name.as_bytes()), "{glob} ~ {name}");
            }
        }
    }

    #[test]
    fn no_pattern_is_dear() {
        // What backtracking needed 200 ms for, each: an API token has up to 64 patterns, asked with each request.
        let name = format!("{}/aaaa", "a".repeat(250));
        let began = std::time::Instant::now();
        for stars in ["a*", "*a", "a**", "**a*a"] {
            let pattern = format!("**{stars}{}b*", "a".repeat(200));
            for _ in 0..10 {
                assert!(!matches(&pattern, &name));
            }
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    }
}
