//! Globs of repository names, as policies, rules and command lines write them; never what a match means.

/// Matches a repository glob: `*` within a path segment, `**` across segments (contract section 10).
#[must_use]
pub fn matches(glob: &str, name: &str) -> bool {
    // Greedy matching with one remembered star of each kind: linear in practice, and never recursive.
    let (g, n) = (glob.as_bytes(), name.as_bytes());
    let (mut gi, mut ni) = (0, 0);
    let mut single: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    while ni < n.len() {
        if g.get(gi) == Some(&b'*') {
            if g.get(gi + 1) == Some(&b'*') {
                gi += 2;
                double = Some((gi, ni));
                single = None;
            } else {
                gi += 1;
                single = Some((gi, ni));
            }
            continue;
        }
        if gi < g.len() && g.get(gi) == n.get(ni) {
            gi += 1;
            ni += 1;
            continue;
        }
        match (single, double) {
            (Some((at, from)), _) if n.get(from) != Some(&b'/') => {
                single = Some((at, from + 1));
                (gi, ni) = (at, from + 1);
            }
            (_, Some((at, from))) => {
                single = None;
                double = Some((at, from + 1));
                (gi, ni) = (at, from + 1);
            }
            _ => return false,
        }
    }
    g.get(gi..).is_some_and(|rest| rest.iter().all(|b| *b == b'*'))
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
}
