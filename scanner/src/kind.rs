//! Whether a registry must be complete or may lack what nobody asked it for; never how it is laid out.

use serde::Serialize;

/// Whether a registry must be complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What is pushed to it must be whole.
    Private,
    /// It holds what was pulled through it; what it does not hold, it fetches.
    PullThrough,
}

impl Kind {
    /// The kind as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PullThrough => "pull-through",
        }
    }

    /// The kind of that exact name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Private, Self::PullThrough].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What was said about the kinds of registries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KindRules {
    everywhere: Option<Kind>,
    named: Vec<(String, Kind)>,
}

impl KindRules {
    /// Reads `private`, `pull-through`, `NAME=private` and `NAME=pull-through`; a later rule of the same reach wins.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(rules: &[String]) -> Result<Self, String> {
        let mut read = Self::default();
        for rule in rules {
            let (name, kind) = rule.rsplit_once('=').map_or((None, rule.as_str()), |(name, kind)| (Some(name), kind));
            let known = Kind::parse(kind).filter(|_| name != Some(""));
            let known = known.ok_or_else(|| {
                format!("--kind {rule}: expected private, pull-through, NAME=private or NAME=pull-through")
            })?;
            match name {
                None => read.everywhere = Some(known),
                Some(name) => read.named.push((name.to_owned(), known)),
            }
        }
        Ok(read)
    }

    /// The names that rules are about.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|(name, _)| name.as_str())
    }

    /// The kind of the registry `name`, and why; `has_state` says whether it keeps the schedule of a proxy.
    pub(crate) fn judge(&self, name: &str, has_state: bool) -> Judged {
        let said = |kind, reason: String| Judged { kind, reason, was_said: true };
        if let Some((_, kind)) = self.named.iter().rev().find(|(named, _)| named == name) {
            return said(*kind, format!("--kind {name}={}", kind.as_str()));
        }
        if let Some(kind) = self.everywhere {
            return said(kind, format!("--kind {}", kind.as_str()));
        }
        if has_state {
            let reason = "scheduler-state.json is in its root, which a pull-through cache writes".to_owned();
            return Judged { kind: Kind::PullThrough, reason, was_said: false };
        }
        let reason = "nothing says that it is a pull-through cache".to_owned();
        Judged { kind: Kind::Private, reason, was_said: false }
    }
}

/// A kind and why it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) kind: Kind,
    pub(crate) reason: String,
    /// Whether somebody said so.
    pub(crate) was_said: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(words: &[&str]) -> Result<KindRules, String> {
        KindRules::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_named_rule_goes_before_a_general_one_and_that_before_the_file() {
        let rules = rules(&["private", "a/b=pull-through", "x=y=pull-through"]).unwrap();
        assert_eq!(rules.judge("a/b", false).kind, Kind::PullThrough);
        assert_eq!(rules.judge("x=y", false).kind, Kind::PullThrough);
        assert_eq!(rules.judge("c", true).kind, Kind::Private);
        let none = KindRules::default();
        assert_eq!(none.judge("c", true).kind, Kind::PullThrough);
        assert_eq!(none.judge("c", false).kind, Kind::Private);
        assert!(!none.judge("c", true).was_said && rules.judge("c", true).was_said);
    }

    #[test]
    fn other_words_are_no_rules() {
        for bad in ["", "cache", "a=cache", "=private", "private="] {
            assert!(rules(&[bad]).is_err(), "{bad}");
        }
    }
}
