//! Which repositories hold what was pushed, and which what was pulled through; never what is in them.

use std::str::FromStr;

use mcr_oci::glob;
use mcr_verifier::Absence;

/// What a repository is (contract section 6, `--kind`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Pushed to: everything must be there.
    #[default]
    Private,
    /// A pull-through cache: what nobody asked for may be absent; damage stays a finding.
    PullThrough,
}

impl Kind {
    /// What the absence of something is in such a repository.
    #[must_use]
    pub const fn absence(self) -> Absence {
        match self {
            Self::Private => Absence::Finding,
            Self::PullThrough => Absence::Allowed,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "private" => Some(Self::Private),
            "pull-through" => Some(Self::PullThrough),
            _ => None,
        }
    }
}

/// The kinds of a registry's repositories: one for all, and exceptions by glob, of which the first that matches holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindRules {
    all: Kind,
    exceptions: Vec<(String, Kind)>,
}

/// One `--kind` of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindRule {
    glob: Option<String>,
    kind: Kind,
}

impl FromStr for KindRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (glob, name) = text.rsplit_once('=').map_or((None, text), |(glob, name)| (Some(glob), name));
        let kind = Kind::parse(name).filter(|_| glob.is_none_or(|glob| !glob.is_empty()));
        let kind = kind.ok_or_else(|| format!("{text:?}: expected private, pull-through or GLOB=pull-through"))?;
        Ok(Self { glob: glob.map(str::to_owned), kind })
    }
}

impl FromIterator<KindRule> for KindRules {
    fn from_iter<I: IntoIterator<Item = KindRule>>(rules: I) -> Self {
        let mut kinds = Self::default();
        for rule in rules {
            match rule.glob {
                None => kinds.all = rule.kind,
                Some(glob) => kinds.exceptions.push((glob, rule.kind)),
            }
        }
        kinds
    }
}

impl KindRules {
    /// The kind of `repository`.
    #[must_use]
    pub fn of(&self, repository: &str) -> Kind {
        let exception = self.exceptions.iter().find(|(pattern, _)| glob::matches(pattern, repository));
        exception.map_or(self.all, |(_, kind)| *kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(words: &[&str]) -> KindRules {
        words.iter().map(|word| word.parse::<KindRule>().unwrap()).collect()
    }

    #[test]
    fn exceptions_go_before_the_rule_for_all() {
        let rules = rules(&["cache/**=pull-through", "private"]);
        assert_eq!(rules.of("cache/library/alpine"), Kind::PullThrough);
        assert_eq!(rules.of("infra/ci"), Kind::Private);
        assert_eq!(self::rules(&["pull-through", "own/*=private"]).of("own/ci"), Kind::Private);
    }

    #[test]
    fn other_words_are_refused() {
        for bad in ["", "public", "=private", "a=b", "pull-through=x"] {
            assert!(bad.parse::<KindRule>().is_err(), "{bad}");
        }
    }
}
