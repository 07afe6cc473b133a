//! The closed set of things a caller can ask to do; never who may.

/// An action, by the name it has in rules and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `GET /v2/`.
    VersionCheck,
    /// Read manifests, blobs, tags, referrers.
    Pull,
    /// Upload blobs, put manifests and tags.
    Push,
    /// Delete tags, manifests, blobs.
    Delete,
    /// List repositories.
    Catalog,
    /// Read and change policy rules.
    ManagePolicy,
    /// Run the registry: audit, tokens of others, deleting repositories, read-only. No rule gives it; only
    /// administrators have it.
    Administer,
}

impl Kind {
    /// The actions a rule can name, in the order documents show them.
    pub const IN_RULES: [Self; 6] =
        [Self::VersionCheck, Self::Pull, Self::Push, Self::Delete, Self::Catalog, Self::ManagePolicy];

    /// The action that a rule calls `name`, as in `registry:pull`; the part before the colon may be left out where
    /// people type it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let is_called = |kind: &Self| {
            kind.as_str() == name || kind.as_str().split_once(':').is_some_and(|(_, short)| short == name)
        };
        Self::IN_RULES.into_iter().find(is_called)
    }

    /// The name of the action in policy rules, as in `registry:pull`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VersionCheck => "registry:version_check",
            Self::Pull => "registry:pull",
            Self::Push => "registry:push",
            Self::Delete => "registry:delete",
            Self::Catalog => "registry:catalog",
            Self::ManagePolicy => "policy:manage",
            Self::Administer => "registry:administer",
        }
    }

    /// The word people use for it in messages.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::VersionCheck => "check the version",
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
            Self::Catalog => "list repositories",
            Self::ManagePolicy => "manage policy rules",
            Self::Administer => "administer the registry",
        }
    }
}

/// An action as a type, so that a use case can only be called with the permit it needs.
pub trait Action: sealed::Sealed {
    /// The same action as a value.
    const KIND: Kind;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl Action for $name {
            const KIND: Kind = Kind::$name;
        }
    )+};
}

actions! {
    /// See [`Kind::VersionCheck`].
    VersionCheck,
    /// See [`Kind::Pull`].
    Pull,
    /// See [`Kind::Push`].
    Push,
    /// See [`Kind::Delete`].
    Delete,
    /// See [`Kind::Catalog`].
    Catalog,
    /// See [`Kind::ManagePolicy`].
    ManagePolicy,
    /// See [`Kind::Administer`].
    Administer,
}
