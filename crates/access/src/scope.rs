//! What a credential was limited to: the `scope` of token requests and the grants of API tokens; never whose it is.
//!
//! The grammar is distribution's "Token Scope Documentation": `repository:NAME:ACTIONS`, `registry:catalog:*`, several
//! of them joined by spaces or given in several parameters.

use std::fmt;

use mcr_oci::glob;

use crate::action::Kind;

/// Most entries of one scope; what a client asks for beyond them is not given.
pub const MAX_SCOPE: usize = 64;

/// Some of the actions that a scope can name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ActionSet(u8);

const PULL: u8 = 1;
const PUSH: u8 = 2;
const DELETE: u8 = 4;
const CATALOG: u8 = 8;

/// Names and bits, in the order they are written.
const NAMED: [(u8, &str, Kind); 4] = [
    (PULL, "pull", Kind::Pull),
    (PUSH, "push", Kind::Push),
    (DELETE, "delete", Kind::Delete),
    (CATALOG, "catalog", Kind::Catalog),
];

impl ActionSet {
    /// Pull, push and delete: what `*` means for a repository.
    pub const REPOSITORY: Self = Self(PULL | PUSH | DELETE);
    /// Listing the catalog: what `*` means for `registry:catalog`.
    pub const CATALOG: Self = Self(CATALOG);

    /// The actions a list such as `pull,push` names; words that are none are left out, as the grammar asks.
    #[must_use]
    pub fn parse(list: &str) -> Self {
        list.split(',').fold(Self::default(), |set, word| match word.trim() {
            "*" => Self(set.0 | Self::REPOSITORY.0),
            word => Self(set.0 | NAMED.iter().find(|(_, name, _)| *name == word).map_or(0, |(bit, ..)| *bit)),
        })
    }

    /// Whether it has the action.
    #[must_use]
    pub fn has(self, kind: Kind) -> bool {
        NAMED.iter().any(|(bit, _, named)| *named == kind && self.0 & bit != 0)
    }

    /// The same with one more action; one that scopes do not know changes nothing.
    #[must_use]
    pub fn with(self, kind: Kind) -> Self {
        Self(self.0 | NAMED.iter().find(|(_, _, named)| *named == kind).map_or(0, |(bit, ..)| *bit))
    }

    /// Its actions.
    pub fn kinds(self) -> impl Iterator<Item = Kind> {
        NAMED.into_iter().filter(move |(bit, ..)| self.0 & bit != 0).map(|(_, _, kind)| kind)
    }

    /// Its actions by name.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        NAMED.into_iter().filter(|(bit, ..)| self.0 & bit != 0).map(|(_, name, _)| name).collect()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for ActionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(","))
    }
}

/// Some actions in the repositories a pattern matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// A repository's name, or a pattern where the grant is an API token's.
    pub repositories: String,
    /// What may be done there.
    pub actions: ActionSet,
}

impl Grant {
    fn is_about(&self, repository: &str) -> bool {
        self.repositories == repository || glob::matches(&self.repositories, repository)
    }
}

/// What a credential was limited to. What it does not name is not given, whatever rules allow its account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// By repository.
    pub grants: Vec<Grant>,
    /// Whether the catalog may be listed.
    pub catalog: bool,
}

impl Scope {
    /// Reads the `scope` parameters of a token request. Entries that are not in the grammar, and those beyond
    /// [`MAX_SCOPE`], are left out: a token then gives less than was asked for, which is what a client expects.
    pub fn parse<'a>(parameters: impl IntoIterator<Item = &'a str>) -> Self {
        let mut scope = Self::default();
        for entry in parameters.into_iter().flat_map(str::split_ascii_whitespace).take(MAX_SCOPE) {
            // The name may have a colon of its own (a host with a port): type first, actions last.
            let Some((kind, rest)) = entry.split_once(':') else { continue };
            let Some((name, actions)) = rest.rsplit_once(':') else { continue };
            match kind.split_once('(').map_or(kind, |(kind, _)| kind) {
                "repository" => scope.add(name, ActionSet::parse(actions)),
                "registry" if name == "catalog" && !actions.is_empty() => scope.catalog = true,
                _ => {}
            }
        }
        scope
    }

    /// Adds actions to a repository.
    pub fn add(&mut self, name: &str, actions: ActionSet) {
        if let Some(grant) = self.grants.iter_mut().find(|grant| grant.repositories == name) {
            grant.actions.0 |= actions.0;
        } else if self.grants.len() < MAX_SCOPE {
            self.grants.push(Grant { repositories: name.to_owned(), actions });
        }
    }

    /// Whether any grant is about a repository, whatever may be done there.
    #[must_use]
    pub fn names(&self, repository: &str) -> bool {
        self.grants.iter().any(|grant| grant.is_about(repository))
    }

    /// Whether it covers an action; `repository` is none for those that have no place.
    #[must_use]
    pub fn covers(&self, action: Kind, repository: Option<&str>) -> bool {
        match (action, repository) {
            (Kind::VersionCheck, _) => true,
            (Kind::Catalog, None) => self.catalog,
            (_, Some(name)) => {
                self.grants.iter().filter(|grant| grant.is_about(name)).any(|grant| grant.actions.has(action))
            }
            (_, None) => false,
        }
    }
}

/// In the grammar it was read from.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        // One that gives nothing only narrows what lists show.
        for grant in self.grants.iter().filter(|grant| !grant.actions.is_empty()) {
            write!(f, "{space}repository:{}:{}", grant.repositories, grant.actions)?;
            space = " ";
        }
        if self.catalog {
            write!(f, "{space}registry:catalog:*")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_joined_and_repeated() {
        let scope = Scope::parse(["repository:a/b:pull,push repository:c:pull", "registry:catalog:*", "nonsense"]);
        assert_eq!(scope.to_string(), "repository:a/b:pull,push repository:c:pull registry:catalog:*");
        assert!(scope.covers(Kind::Push, Some("a/b")) && scope.covers(Kind::Catalog, None));
        assert!(!scope.covers(Kind::Delete, Some("a/b")) && !scope.covers(Kind::Push, Some("c")));
        assert!(!scope.covers(Kind::Pull, Some("a")) && !scope.covers(Kind::ManagePolicy, None));
    }

    #[test]
    fn a_star_is_pull_push_delete_and_no_more() {
        let scope = Scope::parse(["repository(plugin):a:*"]);
        for (kind, covered) in [(Kind::Pull, true), (Kind::Push, true), (Kind::Delete, true), (Kind::Administer, false)]
        {
            assert_eq!(scope.covers(kind, Some("a")), covered, "{kind:?}");
        }
        assert!(!scope.catalog);
    }

    #[test]
    fn what_is_not_in_the_grammar_gives_nothing() {
        for text in ["", ":::", "repository", "repository:a", "repository:a:fly", "registry:catalog:", "x:a:pull"] {
            let scope = Scope::parse([text]);
            assert!(!scope.covers(Kind::Pull, Some("a")) && !scope.catalog, "{text}");
        }
    }

    #[test]
    fn a_scope_is_bounded() {
        let many: String = (0..1000).map(|n| format!("repository:r{n}:pull ")).collect();
        assert_eq!(Scope::parse([many.as_str()]).grants.len(), MAX_SCOPE);
    }
}
